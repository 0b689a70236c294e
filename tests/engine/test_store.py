"""Files at an address are there whole or not at all, and what is wrong with one is a sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from refusals import refused

from ssl_bench.engine.store import Store, is_address


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(f"{request.param}://{tmp_path}/shared")


@pytest.fixture
def part(tmp_path: Path) -> Path:
    path = tmp_path / "mine" / "images-00000.npz"
    path.parent.mkdir()
    path.write_bytes(b"whole")
    return path


def test_a_folder_is_no_address() -> None:
    assert is_address("s3://bucket/parts")
    assert not is_address("/shared/parts")


def test_what_is_put_is_fetched(store: Store, part: Path, tmp_path: Path) -> None:
    copy = tmp_path / "other" / part.name
    assert not store.fetch(copy)
    assert not copy.exists()
    store.put(part)
    assert store.fetch(copy)
    assert copy.read_bytes() == b"whole"


def test_what_is_put_again_replaces_it_and_nothing_else_is_left(part: Path, tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}/shared")
    for content in (b"first", b"second"):
        part.write_bytes(content)
        store.put(part)
    [found] = (tmp_path / "shared").iterdir()
    assert found.read_bytes() == b"second"


def test_what_is_removed_is_not_there(store: Store, part: Path) -> None:
    store.put(part)
    store.remove(part.name)
    assert not store.fetch(part)
    store.put(part)
    store.remove()
    assert not store.fetch(part)
    store.remove()


def test_looking_whether_something_can_be_kept_leaves_nothing(tmp_path: Path) -> None:
    Store(f"file://{tmp_path}/parts").require()
    assert list((tmp_path / "parts").iterdir()) == []


@pytest.mark.parametrize(
    "address", ["nosuch://bucket/parts", "file:///dev/null/parts", "http://127.0.0.1:9/parts"]
)
def test_an_address_where_nothing_can_be_kept_is_refused(address: str) -> None:
    with refused("E_PARTS_ADDRESS", where=address):
        Store(address).require()


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with refused("E_EXTRA_MISSING"):
        Store("memory://parts").require()
