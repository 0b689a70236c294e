"""Tests of keeping compiled functions on disk."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import pytest

from ssl_bench.files import CACHE_VARIABLE

SOURCE = """
from ssl_bench.compiled import compiled


@compiled()
def double(number):
    return 2 * number
"""


def imported(folder: Path) -> Any:
    """The compiled function, from an installation in a folder whose own cache cannot be written."""
    path = folder / "installed.py"
    if not path.exists():
        path.write_text(SOURCE)
        (folder / "__pycache__").write_text("no folder")
    spec = importlib.util.spec_from_file_location("installed", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.double


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    (tmp_path / "package").mkdir()
    return tmp_path / "cache"


def test_a_read_only_installation_uses_the_cache_folder(tmp_path: Path, cache: Path) -> None:
    assert imported(tmp_path / "package")(2) == 4
    again = imported(tmp_path / "package")
    assert again(2) == 4
    assert sum(again.stats.cache_hits.values()) == 1
    assert {each.suffix for each in cache.rglob("*.nb?")} == {".nbi", ".nbc"}


def test_without_any_place_it_is_compiled_each_time(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, "/dev/null/cache")
    assert imported(tmp_path / "package")(2) == 4
    assert not cache.exists()


def test_a_place_that_can_no_longer_be_written_costs_time_alone(
    tmp_path: Path, cache: Path
) -> None:
    double = imported(tmp_path / "package")
    shutil.rmtree(cache)
    cache.write_text("no folder")
    assert double(2) == 4


def test_a_damaged_cache_is_compiled_anew(tmp_path: Path, cache: Path) -> None:
    imported(tmp_path / "package")(2)
    for file in cache.rglob("*.nb?"):
        file.write_bytes(b"damaged")
    assert imported(tmp_path / "package")(2) == 4
