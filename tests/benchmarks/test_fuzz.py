"""Changed files are read within bounds, and what falls is noticed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import fuzz
import pytest
from fuzz_changes import blind
from fuzz_kinds import Kind

from ssl_bench.errors import DataError

SCRIPT = Path(fuzz.__file__)


def refuse() -> None:
    raise DataError("this is wrong", code="E_FILE_DAMAGED")


def forget() -> None:
    raise KeyError("name")


def loop() -> None:
    while True:
        pass


def wait() -> None:
    os.read(os.pipe()[0], 1)


def allocate() -> None:
    try:
        bytearray(2**40)
    except MemoryError as error:
        raise DataError("this is too large", code="E_FILE_SIZE") from error


@pytest.mark.parametrize(
    ("reader", "name"),
    [
        (lambda: None, "accepted"),
        (refuse, "refused"),
        (forget, "traceback"),
        (loop, "hang"),
        (wait, "hang"),
        (allocate, "memory"),
        (lambda: b"\1" * (fuzz._MEMORY + 2**27), "memory"),
        (lambda: os._exit(9), "died"),
    ],
)
@pytest.mark.slow
def test_what_becomes_of_an_input_is_noticed(
    reader: Callable[[], object], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "hang":  # what ends by itself has the time that it needs
        monkeypatch.setattr(fuzz, "_SECONDS", 1)
        monkeypatch.setattr(fuzz, "_BLOCKED", 2)
    monkeypatch.setattr(fuzz, "_MEMORY", 2**27)

    def read(path: Path) -> None:
        if not path.is_file() or path.read_bytes() != b"whole":
            reader()

    kind = Kind("a.txt", [b"whole"], [lambda *_: b"changed"], read)
    found = fuzz.tried(kind, "a", 0, range(2), tmp_path / "input")
    assert [each.name for each in found] == [name, name]


def test_an_input_depends_on_kind_seed_and_number_alone(tmp_path: Path) -> None:
    kind = Kind("a.txt", [b"0123456789" * 20], [blind], lambda path: None)

    def put(name: str, seed: int, number: int) -> bytes:
        path = fuzz.put(kind, name, tmp_path / "input", seed, number)
        return path.read_bytes() if path.is_file() else b""

    inputs = {
        (name, seed, number): put(name, seed, number)
        for name in "ab"
        for seed in (0, 1)
        for number in range(5)
    }
    assert len(set(inputs.values())) > 15
    assert all(put(*key) == content for key, content in inputs.items())


@pytest.mark.slow
def test_no_reader_falls() -> None:
    found = subprocess.run(
        [sys.executable, SCRIPT, "--inputs", "4", "--seed", "7"], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout + found.stderr
    *_, last = found.stdout.splitlines()
    assert last.split()[:1] == ["all"]
