"""The check of a built site: it names the page that differs, and every file that is too much."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ssl_bench.files import sha256_of_file
from ssl_bench.leaderboard.findings import Finding
from ssl_bench.site.build import build_site
from ssl_bench.site.check import check_site


@pytest.fixture(scope="module")
def _built(made_board: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = Path(shutil.copytree(made_board, tmp_path_factory.mktemp("built") / "board"))
    build_site(root)
    return root


@pytest.fixture
def built(_built: Path, tmp_path: Path) -> Path:
    """A board of one's own with its site."""
    return Path(shutil.copytree(_built, tmp_path / "board"))


def only(found: list[Finding]) -> Finding:
    assert len(found) == 1, [str(each) for each in found]
    return found[0]


def test_a_site_as_it_was_built_is_right(built: Path) -> None:
    assert check_site(built) == []


def test_it_is_right_without_pictures_library_and_manifest(built: Path) -> None:
    (built / "site" / "build.json").unlink()
    for path in [*(built / "site").glob("media/*/*"), *(built / "site").glob("assets/vendor/*")]:
        path.unlink()
    assert check_site(built) == []


def test_a_board_with_entries_needs_a_site(board: Path) -> None:
    found = only(check_site(board))
    assert (found.level, found.path) == ("wrong", "site")
    assert "the pages are missing" in found.message


def test_a_board_without_entries_needs_none(tmp_path: Path) -> None:
    assert check_site(tmp_path) == []


def test_a_changed_number_is_told_with_both_lines(built: Path) -> None:
    page = built / "site" / "entries" / "synth" / "center.html"
    text = page.read_text()
    page.write_text(text.replace('<div class="tile"><span class="label">', "<div>99.9<span>", 1))
    found = only(check_site(built))
    assert (found.level, found.path) == ("wrong", "site/entries/synth/center.html")
    assert "in 1 lines" in found.message
    assert "99.9" in found.stored
    assert "tile" in found.recomputed


def test_an_entry_without_its_page_is_told(built: Path) -> None:
    (built / "site" / "entries" / "synth" / "center.html").unlink()
    assert "missing" in only(check_site(built)).message


def test_a_page_of_an_entry_that_is_gone_does_not_belong(built: Path) -> None:
    (built / "entries" / "synth" / "full.json").unlink()
    found = {each.path: each for each in check_site(built)}
    assert "does not belong" in found["site/entries/synth/full.html"].message
    assert "site/index.html" in found


def add(name: str) -> Callable[[Path], object]:
    def change(site: Path) -> object:
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        return (site / name).write_text("alert(1)")

    return change


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (add("assets/more.js"), "site/assets/more.js"),
        (add("assets/vendor/more.js"), "site/assets/vendor/more.js"),
        (add("media/synth/x.html"), "site/media/synth/x.html"),
        (add(f"media/synth/{'0' * 20}.jpg"), f"site/media/synth/{'0' * 20}.jpg"),
        (add("build.json"), "site/build.json"),
        (add("deep/er/x"), "site/deep/er/x"),
        (add("assets/site.js"), "site/assets/site.js"),
        (add("assets/vendor/datatables.js"), "site/assets/vendor/datatables.js"),
    ],
)
def test_a_script_that_was_put_there_is_told(
    built: Path, change: Callable[[Path], object], place: str
) -> None:
    change(built / "site")
    found = only(check_site(built))
    assert (found.level, found.path) == ("wrong", place)


def test_links_are_told_and_not_followed(built: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("do not show this")
    page = built / "site" / "index.html"
    page.unlink()
    page.symlink_to(secret)
    (built / "site" / "folder").symlink_to(tmp_path)
    found = check_site(built)
    assert [each.path for each in found] == ["site/folder", "site/index.html"]
    assert all("link" in each.message and not each.stored for each in found)


def test_a_site_that_is_a_link_is_told(built: Path, tmp_path: Path) -> None:
    (built / "site").rename(tmp_path / "elsewhere")
    (built / "site").symlink_to(tmp_path / "elsewhere")
    assert "links" in only(check_site(built)).message


def test_a_board_that_cannot_be_read_is_not_called_right(built: Path) -> None:
    (built / "entries" / "synth" / "center.json").write_text("{}")
    found = only(check_site(built))
    assert (found.level, found.path) == ("wrong", "site")
    assert "center.json" in found.message


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry["result"].update(measures=entry["result"]["measures"][:1]),
        lambda entry: entry["evidence"].update(replicates=[]),
        lambda entry: entry["evidence"]["replicates"][0].update(data="AAAAAA=="),
    ],
    ids=["one measure", "no replicates", "one replicate"],
)
def test_an_entry_that_cannot_be_rendered_hides_nothing(
    built: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    path = built / "entries" / "synth" / "center.json"
    entry = json.loads(path.read_text())
    change(entry)
    path.write_text(json.dumps(entry))
    (built / "site" / "assets" / "site.js").write_text("alert(1)")
    (built / "site" / "assets" / "more.js").write_text("alert(1)")
    found = {each.path: each.level for each in check_site(built)}
    assert found["site/assets/site.js"] == found["site/assets/more.js"] == "wrong"
    assert {"site", "site/entries/synth/center.html"} & found.keys()
    assert set(found.values()) == {"wrong"}


def media(site: Path, kind: str) -> Path:
    return next(iter(sorted(site.glob(f"media/*/*.{kind}"))))


@pytest.mark.parametrize("kind", ["jpg", "flac"])
def test_another_picture_or_sound_is_told_and_built_again(built: Path, kind: str) -> None:
    path = media(built / "site", kind)
    right = path.read_bytes()
    other = next(each for each in path.parent.glob(f"*.{kind}") if each != path)
    path.write_bytes(other.read_bytes())
    found = only(check_site(built))
    assert (found.level, found.path) == ("wrong", str(path.relative_to(built)))
    assert "not what its trial shows or plays" in found.message
    build_site(built)
    assert path.read_bytes() == right
    assert check_site(built) == []


def test_pictures_are_not_rendered_twice(built: Path) -> None:
    path = media(built / "site", "jpg")
    before = path.stat().st_mtime_ns
    build_site(built)
    assert path.stat().st_mtime_ns == before


def test_a_note_that_calls_another_page_up_to_date_is_told(built: Path) -> None:
    site = built / "site"
    page = site / "index.html"
    page.write_text(page.read_text().replace("<h2", "<h2 hidden", 1))
    note = json.loads((site / "build.json").read_text())
    note["pages"]["index.html"]["sha256"] = sha256_of_file(page)
    (site / "build.json").write_text(json.dumps(note))
    assert [each.path for each in check_site(built)] == ["site/build.json", "site/index.html"]


def test_a_note_of_an_older_build_is_no_fault(built: Path) -> None:
    path = built / "site" / "build.json"
    note = json.loads(path.read_text())
    note["pages"]["index.html"] = {"inputs": "0" * 64, "sha256": "1" * 64}
    path.write_text(json.dumps(note))
    assert check_site(built) == []
