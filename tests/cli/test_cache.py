"""The cache folder: what is in it, and removing some of it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from command_line import Call

from ssl_bench.engine.parts import in_use
from ssl_bench.files import CACHE_VARIABLE

_FILES = ("parts/a/images-00000.npz", "parts/b/images-00000.npz", "scores/1f/1f2e.json")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    for name in (*_FILES, "weights.pth", "media.sqlite"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1000))
    return tmp_path


def there(cache: Path) -> set[str]:
    return {str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file()}


def kinds(call: Call, *words: str) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = json.loads(call("cache", *words, "--json").out)["kinds"]
    return found


def test_it_shows_how_much_there_is_of_each_kind(cache: Path, call: Call) -> None:
    assert kinds(call)["parts"] == {"files": 2, "bytes": 2000}
    assert kinds(call)["priors"] == {"files": 0, "bytes": 0}
    done = call("cache")
    assert str(cache) in done.out
    assert all(len(line.rstrip()) <= 80 for line in done.out.splitlines()[1:])
    assert len(there(cache)) == 5


def test_a_kind_is_removed_with_its_folders_and_nothing_else(cache: Path, call: Call) -> None:
    assert call("cache", "--clear", "scores").code == 0
    assert there(cache) == {*_FILES[:2], "weights.pth", "media.sqlite"}
    assert not (cache / "scores" / "1f").exists()


def test_everything_is_removed_that_can_be_made_again(cache: Path, call: Call) -> None:
    assert call("cache", "--clear", "all").code == 0
    assert there(cache) == {"weights.pth"}


def test_only_what_is_old_is_counted_and_removed(cache: Path, call: Call) -> None:
    before = time.time() - 8 * 24 * 3600
    os.utime(cache / _FILES[0], (before, before))
    # A run that has a new part is not old.
    for name in ("images-00000.npz", "images-00001.npz"):
        (cache / "parts" / "c").mkdir(exist_ok=True)
        (cache / "parts" / "c" / name).touch()
    os.utime(cache / "parts" / "c" / "images-00000.npz", (before, before))
    assert kinds(call, "--older-than", "7")["parts"]["files"] == 2
    call("cache", "--older-than", "7", "--clear", "all")
    assert not (cache / "parts" / "a").exists()
    assert len(there(cache)) == 6


def test_parts_of_a_run_that_is_going_on_stay(cache: Path, call: Call) -> None:
    with in_use(cache / "parts" / "a"):
        assert kinds(call, "--clear", "parts")["parts"]["left"] == 1
    assert "parts/a/images-00000.npz" in there(cache)
    assert "parts/b/images-00000.npz" not in there(cache)


def test_a_cache_that_is_not_there_is_empty(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "none"))
    assert {each["bytes"] for each in kinds(call, "--clear", "all").values()} == {0}
