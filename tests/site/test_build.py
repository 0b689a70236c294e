"""Building: deterministic, only what changed, and nothing else is touched."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ssl_bench.errors import LeaderboardError
from ssl_bench.leaderboard.places import default_board
from ssl_bench.site.build import MANIFEST, build_site


def texts(site: Path) -> dict[str, bytes]:
    """Pages, style and scripts of a site."""
    return {
        path.relative_to(site).as_posix(): path.read_bytes()
        for path in sorted(site.rglob("*"))
        if path.suffix in (".html", ".css", ".js")
    }


def edit(board: Path, slug: str, old: str, new: str) -> None:
    path = board / "entries" / "synth" / f"{slug}.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def site(made_board: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "site"
    build_site(made_board, out)
    return out


def test_building_twice_gives_the_same_bytes(made_board: Path, site: Path, tmp_path: Path) -> None:
    build_site(made_board, tmp_path / "again", media=False)
    assert texts(tmp_path / "again") == texts(site)


def test_every_kind_of_page_is_there(site: Path) -> None:
    names = set(texts(site))
    assert {
        "index.html",
        "measures.html",
        "dialects.html",
        "reported.html",
        "protocols/synth.html",
        "protocols/vggss.html",
        "baselines/ezvsl.html",
        "entries/synth/center.html",
        "entries/synth/my-model.html",
        "assets/site.css",
        "assets/vendor/datatables.js",
    } <= names


def test_every_link_leads_to_a_file_and_every_anchor_to_an_element(site: Path) -> None:
    pages = {name: text.decode() for name, text in texts(site).items() if name.endswith(".html")}
    ids = {name: set(re.findall(r'\bid="([^"]+)"', text)) for name, text in pages.items()}
    for name, text in pages.items():
        for target in re.findall(r'\b(?:href|src)="([^"]*)"', text):
            if target.startswith(("data:", "https://")):
                continue
            place, _, anchor = target.partition("#")
            path = (site / name).parent / place if place else site / name
            assert path.resolve().is_file(), (name, target)
            if anchor:
                inner = path.resolve().relative_to(site.resolve()).as_posix()
                assert anchor in ids[inner], (name, target)


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for name, text in texts(site).items():
        if name.endswith(".html"):
            page = text.decode()
            assert not re.search(r'\b(?:src|srcset)="(?:https?:)?//', page), name
            assert not re.search(r'<link[^>]*href="(?:https?:)?//', page), name
            assert " style=" not in page, name
            assert not re.search(r"<script(?![^>]*\bsrc=)", page), name
            assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page, name


def test_the_pages_name_pictures_and_sounds_that_are_rendered(site: Path) -> None:
    shown = re.findall(
        r'src="../../(media/[^"]+)"', texts(site)["entries/synth/center.html"].decode()
    )
    assert len(shown) == 48
    assert all((site / name).stat().st_size > 500 for name in shown)


def test_a_second_build_renders_nothing(board: Path) -> None:
    first = build_site(board, media=False)
    second = build_site(board, media=False)
    assert first.unchanged == ()
    assert len(first.rendered) > 30
    assert second.rendered == ()
    assert second.unchanged == first.rendered


def test_a_page_that_was_changed_by_hand_is_rendered_again(board: Path) -> None:
    build_site(board, media=False)
    page = board / "site" / "entries" / "synth" / "center.html"
    page.write_text("something else")
    assert build_site(board, media=False).rendered == ("entries/synth/center.html",)
    assert "something else" not in page.read_text()


def test_a_changed_summary_renders_its_own_page_and_not_those_of_other_entries(
    board: Path,
) -> None:
    build_site(board, media=False)
    edit(board, "center", '"summary": "', '"summary": "Once more. ')
    rendered = build_site(board, media=False).rendered
    assert [name for name in rendered if name.startswith("entries/")] == [
        "entries/synth/center.html"
    ]
    assert "index.html" in rendered
    assert "measures.html" not in rendered


def test_an_entry_that_moves_changes_the_pages_of_all(board: Path) -> None:
    build_site(board, media=False)
    (board / "entries" / "synth" / "full.json").unlink()
    done = build_site(board, media=False)
    assert done.removed == ("entries/synth/full.html",)
    assert "entries/synth/center.html" in done.rendered


def test_a_damaged_manifest_counts_as_none(board: Path) -> None:
    first = build_site(board, media=False)
    for content in ("{", "[]", json.dumps({"format": "another"}), '{"format": "ssl-bench-site/1"}'):
        (board / "site" / MANIFEST).write_text(content)
        assert build_site(board, media=False).rendered == first.rendered


def test_an_unreadable_entry_leaves_the_site_as_it_was(board: Path) -> None:
    build_site(board, media=False)
    before = texts(board / "site")
    edit(board, "center", '"slug": "center"', '"slug": "centre"')
    with pytest.raises(LeaderboardError, match=r"center\.json"):
        build_site(board, media=False)
    assert texts(board / "site") == before


def test_a_folder_with_something_else_is_refused(board: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.html").write_text("years of work")
    with pytest.raises(LeaderboardError, match="something else"):
        build_site(board, other)
    assert (other / "thesis.html").read_text() == "years of work"


def test_a_board_without_entries_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "board").mkdir()
    build_site(tmp_path / "board", media=False)
    assert "no entry yet" in (tmp_path / "board" / "site" / "index.html").read_text()


def test_a_board_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LeaderboardError, match="no such board"):
        build_site(tmp_path / "none")


def test_the_projects_own_board_can_be_built(tmp_path: Path) -> None:
    done = build_site(default_board(), tmp_path / "site", media=False)
    assert "index.html" in done.rendered
