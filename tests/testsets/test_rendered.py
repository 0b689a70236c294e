from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ssl_bench.files import CACHE_VARIABLE
from ssl_bench.testsets.rendered import ArrayCache, cache_of


def only_file(folder: Path) -> Path:
    (path,) = (path for path in folder.rglob("*") if path.is_file())
    return path


def test_arrays_come_back_as_they_were_stored(tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path)
    arrays = {"a": np.arange(6, dtype=np.int16).reshape(2, 3), "b": np.array([True, False])}
    for compress in (False, True):
        cache.store("some/name", arrays, compress=compress)
        loaded = cache.load("some/name")
        assert loaded is not None
        assert set(loaded) == {"a", "b"}
        for key, values in arrays.items():
            assert loaded[key].dtype == values.dtype
            np.testing.assert_array_equal(loaded[key], values)


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "replace", "append"])
def test_a_damaged_file_counts_as_absent_and_can_be_replaced(tmp_path: Path, damage: str) -> None:
    cache = ArrayCache(tmp_path)
    cache.store("x", {"a": np.arange(100)})
    path = only_file(tmp_path)
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(
        {
            "cut": content[:middle],
            "flip": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
            "empty": b"",
            "replace": b"not an archive at all",
            "append": content + b"x",
        }[damage]
    )
    assert cache.load("x") is None
    cache.store("x", {"a": np.arange(100)})
    assert cache.load("x") is not None


def test_the_folder_stays_within_its_limit_and_keeps_what_was_used_last(tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path, limit=5_000)
    for number in range(4):
        cache.store(str(number), {"a": np.zeros(125, np.int64)})  # about 1.3 kB each
        for path in tmp_path.iterdir():
            # Times of use one minute apart, without waiting for them.
            facts = path.stat()
            os.utime(path, (facts.st_atime - 60, facts.st_mtime - 60))
        if number == 2:
            assert cache.load("0") is not None  # used now, and so kept
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 5_000
    assert cache.load("0") is not None
    assert cache.load("1") is None
    assert cache.load("3") is not None


def test_something_larger_than_the_limit_is_not_stored(tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path, limit=500)
    cache.store("x", {"a": np.zeros(1000)})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    cache = ArrayCache(blocked / "folder")
    cache.store("x", {"a": np.zeros(3)})
    assert cache.load("x") is None
    assert blocked.read_text() == "in the way"


@pytest.mark.slow
def test_two_processes_write_and_read_the_same_names_at_once(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
import numpy as np
from ssl_bench.testsets.rendered import ArrayCache
cache = ArrayCache(Path(sys.argv[1]), limit=400_000)
for turn in range(150):
    name = f"n{turn % 7}"
    cache.store(name, {"a": np.full(5000, turn % 7)})
    arrays = cache.load(name)
    assert arrays is None or (arrays["a"] == turn % 7).all()
"""
    workers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for worker in workers:
        _, errors = worker.communicate(timeout=300)
        assert worker.returncode == 0, errors.decode()
    for number in range(7):
        arrays = ArrayCache(tmp_path).load(f"n{number}")
        assert arrays is not None
        assert (arrays["a"] == number).all()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_the_folder_lies_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    assert cache_of("synth", 1) == tmp_path / "synth" / "v1"
