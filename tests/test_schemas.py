"""Files with a schema: every problem is reported at once, with its field."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError, field_validator
from refusals import refused

from ssl_bench.errors import ModelError, ResultError
from ssl_bench.schemas import MAX_BYTES, Document, Strict, checked, quoted, read_json, read_toml


class Part(Strict):
    speed: float
    names: tuple[str, ...] = ()

    @field_validator("speed")
    @classmethod
    def _positive(cls, value: float) -> float:
        if value < 0:
            raise ValueError("Speed is below 0\x1b[2J")
        return value


class Whole(Strict):
    title: str
    parts: tuple[Part, ...] = ()


class Lenient(Document):
    names: tuple[str, ...]
    level: float = 0.0


def test_a_file_that_follows_its_schema_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('\ufefftitle = "x"\n[[parts]]\nspeed = 1\nnames = ["a"]\n')
    whole = read_toml(path, Whole)
    assert whole == Whole(title="x", parts=(Part(speed=1.0, names=("a",)),))
    (tmp_path / "a.json").write_text("\ufeff" + whole.model_dump_json())
    assert read_json(tmp_path / "a.json", Whole, error=ResultError) == whole


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "E_FILE_MISSING"),
        (b"title = ", "E_TOML"),
        (b"a = " + b"[" * 5000, "E_TOML"),
        (b"a." * 3000 + b"b = 1", "E_TOML"),
        (b"a." * 200_000 + b"b = 1", "E_TOML"),
        (b"#" * 2**20, "E_FILE_SIZE"),
        (b"title = 0x" + b"f" * 9000, "E_TOML"),
        (b"title = " + b"9" * 5000, "E_TOML"),
        (b"\xff\xfe", "E_ENCODING"),
        (b"title = 1979-05-27", "E_SCHEMA"),
        (b"title = 1", "E_SCHEMA"),
        (b"", "E_SCHEMA"),
        (b'title = "x"\n[[parts]]\nspeed = nan', "E_SCHEMA"),
    ],
)
def test_any_other_toml_file_is_refused(tmp_path: Path, content: bytes | None, code: str) -> None:
    path = tmp_path / "a.toml"
    if content is not None:
        path.write_bytes(content)
    with refused(code, where=path, kind=ModelError):
        read_toml(path, Whole, error=ModelError)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "E_FILE_MISSING"),
        ("{", "E_JSON"),
        ("[" * 5000, "E_JSON"),
        ("{}", "E_SCHEMA"),
        ('{"title": "a", "parts": [' + "{}," * 600_000 + "{}]}", "E_FILE_SIZE"),
        ('{"title": "a", "title": "b"}', "E_KEY_REPEATED"),
        ('{"title": "a", "parts": [{"speed": 1, "names": ["a"], "speed": 2}]}', "E_KEY_REPEATED"),
    ],
)
def test_any_other_json_file_is_refused(tmp_path: Path, content: str | None, code: str) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_text(content)
    with refused(code, where=path, kind=ResultError):
        read_json(path, Whole, error=ResultError)


def test_a_folder_a_pipe_and_a_device_are_not_files(tmp_path: Path) -> None:
    with refused("E_FILE_UNREADABLE", where=tmp_path):
        read_toml(tmp_path, Whole)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    for name in ("pipe", "device"):
        with refused("E_FILE_KIND", where=name):
            read_toml(tmp_path / name, Whole)
        with refused("E_FILE_KIND", where=name):
            read_json(tmp_path / name, Whole, error=ResultError)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.json").open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    with refused("E_FILE_SIZE", where="a.json"):
        read_json(tmp_path / "a.json", Whole, error=ResultError)


def test_a_key_that_stands_twice_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"title": "a", "parts": [{"speed": 1}, {"speed": 1, "speed": 1}]}')
    with refused("E_KEY_REPEATED", where="parts.1.speed"):
        read_json(path, Whole, error=ResultError)


def test_all_fields_are_named_at_once_and_printably() -> None:
    content = {"titel": 1, "parts": [{"speed": "fast"}, {"speed": -1.0, "x\x1b": 2}]}
    with refused("E_SCHEMA", where="a.toml") as caught:
        checked(content | {"parts": tuple(content["parts"])}, Whole, "a.toml")
    for field in ("titel", "title", "parts.0.speed", "parts.1.speed", "x\\x1b"):
        assert field in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_a_flood_of_problems_is_cut() -> None:
    with refused("E_SCHEMA") as caught:
        checked({f"{number}" * 200: 1 for number in range(1000)}, Whole, "a.toml")
    assert len(str(caught.value)) < 4000
    assert "981 more" in str(caught.value)


def test_a_misspelled_field_is_answered_with_the_nearest() -> None:
    with refused("E_SCHEMA") as caught:
        checked({"title": "a", "part": ()}, Whole, "a.toml")
    assert caught.value.remedy is not None
    assert "'parts'" in caught.value.remedy


@pytest.mark.parametrize(
    "refuse",
    [
        lambda: Part(speed=float("inf")),
        lambda: Part.model_validate({"speed": "1"}),
        lambda: Part.model_validate({"speed": 1.0, "names": ["a"]}),
        lambda: Lenient(names=("a",), level=float("nan")),
        lambda: Lenient.model_validate({"names": (), "other": 1}),
    ],
)
def test_bases_refuse(refuse: Callable[[], BaseModel]) -> None:
    with pytest.raises(ValidationError):
        refuse()


def test_a_document_takes_a_list_for_a_tuple_and_does_not_change() -> None:
    document = Lenient.model_validate({"names": ["a"]})
    assert document.names == ("a",)
    with pytest.raises(ValidationError):
        document.level = 1.0  # type: ignore[misc]


def test_names_from_a_file_cannot_steer_the_terminal_or_flood_it() -> None:
    assert "\x1b" not in quoted("\x1b]0;title\x07")
    assert len(quoted("x" * 10_000)) < 100
