"""Figures printed in papers: 471 facts, each with its place."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from refusals import refused

from ssl_bench.leaderboard.published import PublishedFigure, read_published
from ssl_bench.leaderboard.submissions import default_board
from ssl_bench.measures.values import parse_measure
from ssl_bench.models.registry import list_baselines, load_baseline


def test_every_figure_is_there() -> None:
    figures = read_published()
    assert Counter(each.paper for each in figures) == {
        "senocak2023": 101,
        "mo2022": 102,
        "oya2020": 174,
        "lin2021": 58,
        "senocak2025": 6,
        "nguyen2026": 6,
        "um2025": 3,
        "hu2026": 3,
        "malard2026": 2,
        "kim2025": 2,
        "sun2023": 8,
        "mo2022closer": 6,
    }
    assert sum(each.in_conflict for each in figures) == 49
    assert sum("TRAIN-SET DOUBT:" in each.note for each in figures) == 32
    assert sum("PRETRAINING DOUBT:" in each.note for each in figures) == 76


def test_a_byte_order_mark_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "published.csv"
    path.write_bytes(b"\xef\xbb\xbf" + (default_board() / "published.csv").read_bytes())
    assert read_published(path) == read_published()


def test_no_figure_comes_twice() -> None:
    keys = Counter(
        (
            each.paper,
            each.table,
            each.method,
            each.variant,
            each.train_set,
            each.test_set,
            each.protocol,
            each.metric,
        )
        for each in read_published()
    )
    assert max(keys.values()) == 1


def test_a_known_figure() -> None:
    found = [
        each.value
        for each in read_published()
        if (each.paper, each.method, each.test_set, each.metric, each.variant, each.table)
        == ("mo2022", "EZ-VSL", "vggss", "cIoU@0.5", "w/ OGL", "2")
    ]
    assert 38.85 in found


def test_figures_are_filed_as_what_they_are() -> None:
    own = [each for each in read_published() if each.paper == "oya2020" and each.printed_as]
    assert {(each.printed_as, each.metric) for each in own} == {
        ("cIoU", "mean-cIoU"),
        ("AUC", "tau-AUC"),
        ("IoU", "mIoU"),
        ("cIoU gap", "gap-mean-cIoU"),
        ("IoU gap", "gap-mIoU"),
        ("AUC gap", "gap-tau-AUC"),
    }
    for each in read_published():
        assert str(parse_measure(each.metric.removeprefix("gap-"))) == each.metric.removeprefix(
            "gap-"
        )
        assert ("not a success rate" in each.note) <= (each.metric == "mean-cIoU")


def test_shares_are_not_negative() -> None:
    assert all(each.value >= 0 for each in read_published() if each.unit == "percent")


def test_the_figures_that_cards_name_are_there() -> None:
    held = {(each.paper, each.method, each.variant) for each in read_published()}
    for name in list_baselines():
        for reference in load_baseline(name).card.published:
            assert (reference.paper, reference.method, reference.variant) in held, name


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("paper,table", "table,paper"),
        (",18.50,", ",eighteen,"),
        (",18.50,", ",1850,"),
        (",18.50,", ",nan,"),
        (",percent,", ",permille,"),
        ("senocak2023,1,", "senocak2023,"),
    ],
)
def test_a_damaged_table_names_its_row(old: str, new: str, tmp_path: Path) -> None:
    text = (default_board() / "published.csv").read_text()
    path = tmp_path / "published.csv"
    path.write_text(text.replace(old, new, 1))
    with refused("E_FIGURES", where="published.csv"):
        read_published(path)


def test_the_columns_are_those_of_the_schema() -> None:
    head = (default_board() / "published.csv").read_text().splitlines()[0]
    assert head.split(",") == list(PublishedFigure.model_fields)
