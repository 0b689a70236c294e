"""Building: deterministic, complete, and nothing else is touched."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kills import content, hidden
from refusals import refused

from ssl_bench.leaderboard.board import Board
from ssl_bench.site.build import build_site
from ssl_bench.site.pages import site_pages


@pytest.fixture(scope="module")
def site(board: Board, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "site"
    build_site(board, out)
    return out


def test_building_again_changes_nothing(board: Board, site: Path) -> None:
    stamps = {
        path: path.stat().st_mtime_ns for path in site.rglob("*.*") if "assets" not in str(path)
    }
    done = build_site(board, site)
    assert (done.n_changed, done.n_removed) == (0, 0)
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}


def test_every_kind_of_page_is_there(site: Path) -> None:
    for name in (
        "index.html",
        "measures.html",
        "dialects.html",
        "reported.html",
        "reproduced.html",
        "protocols/synth.html",
        "protocols/vggss.html",
        "baselines/ezvsl.html",
        "entries/synth/center.html",
        "entries/synth/my-model.html",
        "assets/site.css",
        "assets/vendor/datatables.min.js",
        "assets/vendor/LICENSE.datatables.txt",
    ):
        assert (site / name).is_file(), name


def test_every_link_leads_to_a_file_and_a_place_in_it(site: Path) -> None:
    for page in sorted(site.rglob("*.html")):
        for target in re.findall(r'(?:href|src)="([^"]*)"', page.read_text()):
            if target.startswith(("https://", "data:")):
                continue
            path, _, place = target.partition("#")
            other = (page.parent / path).resolve() if path else page
            assert other.is_file(), (page, target)
            if place and other.suffix == ".html":
                assert f'id="{place}"' in other.read_text(), (page, target)


def test_pictures_and_sounds_are_those_of_galleries(site: Path) -> None:
    named = set()
    for page in site.glob("entries/*/*.html"):
        named |= set(re.findall(r'src="../../(media/[^"]*)"', page.read_text()))
    there = {path.relative_to(site).as_posix() for path in (site / "media").iterdir()}
    assert named == there
    assert {Path(name).suffix for name in named} == {".jpg", ".flac"}


def test_what_is_no_longer_part_of_the_site_is_removed(board: Board, site: Path) -> None:
    (site / "entries" / "synth" / "gone.html").write_text("x")
    (site / "media" / "gone.jpg").write_text("x")
    (site / "note.txt").write_text("mine")
    assert build_site(board, site).n_removed == 2
    assert (site / "note.txt").is_file()


def test_a_folder_with_something_else_is_refused(board: Board, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with refused("E_SITE_FOLDER", where=tmp_path):
        build_site(board, tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with refused("E_SITE_FOLDER"):
        build_site(board, tmp_path / "link")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link", "thesis.tex"]


def test_a_board_without_submissions_has_a_site(tmp_path: Path) -> None:
    build_site(Board({}, (), (), 0), tmp_path / "site", media=False)
    assert "This board holds no entry yet" in (tmp_path / "site" / "index.html").read_text()


def test_a_build_that_was_interrupted_can_be_repeated(board: Board, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    (folder / "protocols").mkdir(parents=True)
    (folder / "protocols" / "synth.html").write_text("unfinished")
    (folder / ".site.0123456789abcdef").mkdir()
    build_site(board, folder, media=False)
    assert "unfinished" not in (folder / "protocols" / "synth.html").read_text()
    assert hidden(folder) == []


def test_a_page_of_somebody_else_is_no_site(board: Board, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("mine")
    with refused("E_SITE_FOLDER", where=tmp_path):
        build_site(board, tmp_path, media=False)
    assert content(tmp_path) == {"report.html": b"mine"}


def test_several_builds_at_once_leave_one_whole_site(
    board: Board, site: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "site"
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: build_site(board, folder, media=False), range(3)))
    whole = {name: text for name, text in content(site).items() if not name.startswith("media")}
    assert content(folder).keys() == whole.keys() - {"note.txt"}
    assert hidden(folder) == []


def test_pages_lead_to_the_documentation_where_there_is_one(board: Board) -> None:
    without = dict(site_pages(board))
    assert "Documentation" not in without["index.html"]
    pages = dict(site_pages(board, documentation="docs/index.html"))
    assert 'href="docs/index.html"' in pages["index.html"]
    assert 'href="../docs/index.html"' in pages["protocols/synth.html"]
    elsewhere = dict(site_pages(board, documentation="https://example.org/"))
    assert 'href="https://example.org/"' in elsewhere["protocols/synth.html"]
