"""Printed figures: by test set, best first, each with its paper and its doubts."""

from __future__ import annotations

from ssl_bench.leaderboard.board import Board
from ssl_bench.leaderboard.published import PublishedFigure, read_published
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.site.pages import site_pages
from ssl_bench.site.printed import TEST_SETS, printed_for, printed_sections, printed_table


def figure(**changes: object) -> PublishedFigure:
    facts = dict.fromkeys(PublishedFigure.model_fields, "x") | {
        "modality": "audio-visual",
        "vision_pretraining": "yes",
        "metric": "cIoU@0.5",
        "printed_as": "",
        "value": 38.85,
        "unit": "percent",
        "note": "",
    }
    return PublishedFigure.model_validate(facts | changes)


def test_all_figures_are_shown_once_by_test_set() -> None:
    figures = read_published()
    sections = printed_sections(figures)
    assert [name for name, _, _ in sections][:3] == ["vggss", "vggss-retrieval", "flickr-soundnet"]
    assert sum(table.n_figures for _, _, table in sections) == len(figures)
    assert {each.test_set for each in figures} == TEST_SETS.keys()


def test_the_highest_of_the_first_metric_comes_first() -> None:
    for _, _, table in printed_sections(read_published()):
        first = [float(row.cells[0].exact.split(" / ")[0] or -1) for row in table.rows]
        assert first == sorted(first, reverse=True)


def test_one_decimal_is_shown_and_the_printed_figure_kept() -> None:
    [row] = printed_table([figure()]).rows
    assert (row.cells[0].text, row.cells[0].exact) == ("38.9", "38.85")
    [row] = printed_table([figure(value=18.5)]).rows
    assert (row.cells[0].text, row.cells[0].exact) == ("18.5", "18.5")


def test_a_badge_belongs_to_its_own_figure() -> None:
    [row] = printed_table(
        [
            figure(note="CONFLICT: another"),
            figure(metric="tau-AUC", printed_as="AUC", note="TRAIN-SET DOUBT: two"),
        ]
    ).rows
    assert [cell.in_conflict for cell in row.cells] == [True, False]
    assert [cell.printed_as for cell in row.cells] == ["", "AUC"]
    assert row.in_doubt


def test_a_paper_that_is_not_known_keeps_its_key() -> None:
    [known] = printed_table([figure(paper="oya2020")]).rows
    [unknown] = printed_table([figure(paper="nobody2001")]).rows
    assert known.paper is not None
    assert known.label == "Oya et al. 2020"
    assert (unknown.paper, unknown.label) == (None, "nobody2001")


def test_printed_figures_stand_with_the_protocols_that_they_are_of() -> None:
    figures = read_published()
    for name, papers in (
        ("vggss", {"senocak2023", "mo2022", "senocak2025", "nguyen2026", "sun2023"}),
        ("vggss-extended", {"mo2022closer"}),
        ("flickr-extended", {"mo2022closer"}),
        ("type-ab", {"oya2020"}),
        ("concat", {"oya2020"}),
        ("multi-source", {"lin2021"}),
        ("music-duet", {"um2025"}),
        ("vggss-duet", {"hu2026"}),
        ("ade20k-sound-prompted", {"malard2026"}),
        ("retrieval", {"senocak2023"}),
    ):
        protocol = load_protocol(name)
        found = printed_for(protocol, figures)
        assert {each.paper for each in found} == papers, name
        assert {each.test_set for each in found} <= set(protocol.reported)


def test_the_page_links_papers_and_names_each_badge() -> None:
    page = dict(site_pages(Board({}, read_published(), (), 0)))["reported.html"]
    assert page.count('href="https://arxiv.org/abs/2007.05722"') > 10
    assert page.count('title="another table prints another value"') == 49
    assert 'title="printed: 38.85"' in page
    assert "printed as cIoU" in page
    assert 'data-testset="flickr-concat"' in page
