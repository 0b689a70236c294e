"""Measures in words: that very measure, and every sign of its formula."""

from __future__ import annotations

from collections import Counter

import pytest

from ssl_bench.measures.values import DEFINITIONS, parse_measure
from ssl_bench.scoring.explain import USES, by_use, explain, explain_kind


def test_a_variant_is_explained_by_its_own_rule() -> None:
    half, adaptive = (explain(parse_measure(f"cIoU({rule})@0.5")) for rule in ("half", "adaptive"))
    assert half.formula == adaptive.formula
    assert half.rule != adaptive.rule
    assert "as many pixels as the truth" in adaptive.rule
    assert dict(half.signs).keys() == {"P", "G", "sum", "#{...}"}


@pytest.mark.parametrize(
    ("text", "title", "formula"),
    [
        ("cIoU@0.3", "at least 0.3", ">= 0.3, else 0"),
        ("LocAcc", "whatever the confidence", "1 if cIoU >= 0.5, else 0"),
        ("recall(a2i)@5", "among the first 5", "<= 5, else 0"),
        ("IIoU(adaptive)@0.5", "every sound is localized", "of cIoU >= 0.5]"),
    ],
)
def test_numbers_are_put_in(text: str, title: str, formula: str) -> None:
    told = explain(parse_measure(text))
    assert title in told.title
    assert formula in told.formula
    assert "threshold" not in told.formula


@pytest.mark.parametrize("name", ["pointing", "AUROC", "recall", "tau-AUC", "class-IoU"])
def test_what_cuts_no_map_at_the_threshold_has_no_rule(name: str) -> None:
    assert explain_kind(DEFINITIONS[name]).rule == ""


def test_signs_of_signs_are_explained_too() -> None:
    signs = dict(explain_kind(DEFINITIONS["F-AUC-AOC"]).signs)
    assert {"AUC", "AOC", "pIA", "cIoU", "P", "G"} <= signs.keys()


def test_every_measure_has_one_use() -> None:
    listed = Counter(name for _, _, names in USES for name in names)
    assert listed.keys() == DEFINITIONS.keys()
    assert set(listed.values()) == {1}


def test_an_unlisted_measure_comes_last() -> None:
    assert [title for title, _, _ in by_use(["new", "cIoU"])] == ["Where is the sound?", "Others"]
