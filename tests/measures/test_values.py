"""Measures as values: what is written is what is meant, and can be read back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused

from ssl_bench.errors import MeasureError
from ssl_bench.measures.definition import RULES, Definition, Measure, rule_column
from ssl_bench.measures.values import DEFINITIONS, parse_measure

NUMBERS = {
    "nothing": st.none(),
    "threshold": st.floats(0, 1),
    "count": st.integers(1, 1000).map(float),
}


def variants_of(definition: Definition) -> list[str | None]:
    return [*([] if definition.needs_variant else [None]), *definition.variants]


@st.composite
def any_measure(draw: st.DrawFn) -> Measure:
    definition = draw(st.sampled_from(list(DEFINITIONS.values())))
    return Measure(
        definition,
        draw(st.sampled_from(variants_of(definition))),
        draw(NUMBERS[definition.takes]),
    )


class TestTextForm:
    @given(any_measure())
    def test_it_is_read_back_as_the_same_measure(self, measure: Measure) -> None:
        assert parse_measure(str(measure)) == measure
        assert str(parse_measure(str(measure))) == str(measure)

    @given(any_measure(), any_measure())
    def test_equal_texts_mean_equal_measures(self, one: Measure, other: Measure) -> None:
        assert (str(one) == str(other)) == (one == other)
        assert len({one, other}) == len({str(one), str(other)})

    @pytest.mark.parametrize(
        ("written", "canonical"),
        [
            ("cIoU@0.5", "cIoU@0.5"),
            ("cIoU@0.50", "cIoU@0.5"),
            ("cIoU@.5", "cIoU@0.5"),
            ("cIoU@1.0", "cIoU@1"),
            ("cIoU@0", "cIoU@0"),
            ("cIoU@0.00001", "cIoU@0.00001"),
            ("cIoU@0.12345678", "cIoU@0.12345678"),
            ("cIoU(adaptive)@0.3", "cIoU(adaptive)@0.3"),
            ("AUC(adaptive)", "AUC(adaptive)"),
            ("side-accuracy", "side-accuracy"),
            ("LocAcc", "LocAcc@0.5"),
            ("LocAcc(slavc)", "LocAcc(slavc)@0.5"),
            ("LocAcc@0.3", "LocAcc@0.3"),
        ],
    )
    def test_a_measure_has_one_spelling(self, written: str, canonical: str) -> None:
        assert str(parse_measure(written)) == canonical

    @pytest.mark.parametrize(
        "text",
        [
            "cIoU@0.5",
            "cIoU(adaptive)@0.5",
            "AUC",
            "IIoU@0.5",
            "AP@0.5",
            "maxF1@0.5",
            "LocAcc",
            "NSA",
            "recall(a2i)@5",
            "recall(i2a)@10",
            "mAP",
            "mAP(a2i)",
            "pointing",
            "mIoU",
            "max-F",
            "pIA",
            "AUROC",
        ],
    )
    def test_what_the_field_writes_is_read(self, text: str) -> None:
        measure = parse_measure(text)
        assert parse_measure(str(measure)) == measure
        assert str(measure).startswith(text)

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("", "E_MEASURE_UNKNOWN"),
            ("IoU@0.5", "E_MEASURE_UNKNOWN"),
            ("ciou@0.5", "E_MEASURE_UNKNOWN"),
            (" cIoU@0.5", "E_MEASURE_UNKNOWN"),
            ("cIoU@0.5 ", "E_MEASURE_UNKNOWN"),
            ("cIoU@-0.1", "E_MEASURE_UNKNOWN"),
            ("cIoU@1e-1", "E_MEASURE_UNKNOWN"),
            ("cIoU@nan", "E_MEASURE_UNKNOWN"),
            ("cIoU@\N{ARABIC-INDIC DIGIT ZERO}", "E_MEASURE_UNKNOWN"),
            ("cIoU@0.5(adaptive)", "E_MEASURE_UNKNOWN"),
            ("cIoU()@0.5", "E_MEASURE_UNKNOWN"),
            ("cIoU(best)@0.5", "E_MEASURE_VARIANT"),
            ("pointing(adaptive)", "E_MEASURE_VARIANT"),
            ("side-accuracy(half)", "E_MEASURE_VARIANT"),
            ("cIoU", "E_MEASURE_FORM"),
            ("cIoU(adaptive)", "E_MEASURE_FORM"),
            ("AUC@0.5", "E_MEASURE_FORM"),
            ("recall@5", "E_MEASURE_FORM"),
            ("AP", "E_MEASURE_FORM"),
            ("LocAcc@1.5", "E_MEASURE_THRESHOLD"),
            ("mAP@0.5", "E_MEASURE_FORM"),
            ("mean-cIoU@0.5", "E_MEASURE_FORM"),
            ("cIoU@1.01", "E_MEASURE_THRESHOLD"),
            ("cIoU@50", "E_MEASURE_THRESHOLD"),
        ],
    )
    def test_any_other_text_is_refused(self, text: str, code: str) -> None:
        with refused(code, kind=MeasureError):
            parse_measure(text)

    def test_an_unknown_name_is_answered_with_the_known_ones(self) -> None:
        with pytest.raises(MeasureError) as caught:
            parse_measure("accuracy@1")
        assert all(name in str(caught.value.remedy) for name in DEFINITIONS)


class TestColumns:
    @pytest.mark.parametrize(
        ("text", "column"),
        [
            ("cIoU@0.5", "cIoU"),
            ("cIoU@0.3", "cIoU"),
            ("AUC", "cIoU"),
            ("mean-cIoU", "cIoU"),
            ("cIoU(adaptive)@0.5", "cIoU(adaptive)"),
            ("AUC(half)", "cIoU(half)"),
            ("tau-AUC", "tau_AUC"),
            ("pointing", "peak_hit"),
            ("side-accuracy", "side"),
        ],
    )
    def test_a_measure_reads_one_column(self, text: str, column: str) -> None:
        assert parse_measure(text).columns == (column,)

    def test_a_rule_has_a_column_of_its_own(self) -> None:
        names = {rule_column("cIoU", rule) for rule in (None, *RULES)}
        assert len(names) == 1 + len(RULES)


def per_trial(text: str, values: Any) -> np.ndarray:
    measure = parse_measure(text)
    return measure.definition.per_trial(measure, np.asarray(values, np.float64))


class TestPerTrial:
    VALUES = np.array([0.0, 0.15, 0.3, 0.5, 0.51, 1.0])

    def test_success_includes_the_threshold(self) -> None:
        found = per_trial("cIoU@0.5", self.VALUES)
        assert found.tolist() == [0, 0, 0, 1, 1, 1]
        assert per_trial("cIoU@0", self.VALUES).all()
        assert per_trial("cIoU@1", self.VALUES).tolist() == [0] * 5 + [1]

    def test_an_undefined_ciou_is_no_success(self) -> None:
        undefined = np.array([math.nan])
        assert per_trial("cIoU@0", undefined).tolist() == [0]
        assert per_trial("AUC", undefined).tolist() == [0]
        assert math.isnan(per_trial("mean-cIoU", undefined)[0])

    def test_the_area_counts_the_thresholds_that_are_reached(self) -> None:
        # 20 steps of 0.05 by the trapezoid rule: reaching k steps is worth (k + 1/2) / 20
        found = per_trial("AUC", np.array([0.0, 0.07, 0.5, 0.999, 1.0]))
        np.testing.assert_allclose(found, [0.025, 0.075, 0.525, 0.975, 1.0], atol=1e-12)

    def test_the_area_under_nothing_but_failures_is_a_fortieth(self) -> None:
        assert per_trial("AUC", np.zeros(7)).mean() == pytest.approx(0.025)

    @pytest.mark.parametrize(
        ("ciou", "area"),
        [
            (3 / 20, 2.5 / 20),
            (0.15000000000000002, 3.5 / 20),
            (5 / 20, 5.5 / 20),
            (6 / 20, 5.5 / 20),
            (7 / 20, 6.5 / 20),
            (8 / 20, 8.5 / 20),
        ],
    )
    def test_thresholds_are_double_products_so_3_in_20_does_not_reach_the_third(
        self, ciou: float, area: float
    ) -> None:
        found = per_trial("AUC", np.array([ciou]))
        assert found[0] == pytest.approx(area, abs=1e-12)

    @pytest.mark.parametrize("text", ["mean-cIoU", "tau-AUC", "pointing", "side-accuracy"])
    def test_the_other_measures_are_means_of_their_column(self, text: str) -> None:
        np.testing.assert_array_equal(per_trial(text, self.VALUES), self.VALUES)


@pytest.mark.parametrize("text", ["cIoU@0.5", "AUC", "mean-cIoU", "tau-AUC", "pointing"])
def test_a_missing_trial_is_worth_what_the_worst_map_is(text: str) -> None:
    missing = parse_measure(text).definition.missing
    assert per_trial(text, np.zeros(1))[0] == pytest.approx(missing)


def test_measures_that_a_dark_map_wins_say_that_they_have_no_score_without_sound() -> None:
    """Each looks at what must stay dark, or at a difference of which both parts can be nothing."""
    found = {name for name, each in DEFINITIONS.items() if each.won_by_failing}
    assert found == {"pIA", "AOC", "NSA", "scene-NSA", "tile-NSA", "type-gap"}
    told = {name for name, each in DEFINITIONS.items() if "without sound" in each.facts()}
    assert told == found


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=lambda entry: entry.name)
class TestDefinitions:
    def test_its_facts_are_complete(self, definition: Definition) -> None:
        facts = definition.facts()
        assert all(value != "" for value in facts.values())
        assert facts["better"] in ("higher", "lower")

    def test_it_says_what_a_missing_trial_does_to_it(self, definition: Definition) -> None:
        told = definition.facts()["missing trial"]
        if definition.is_mean:
            assert told == definition.missing
            assert definition.missing_text == ""
        else:
            assert told == definition.missing_text
            # A number would be read as what the trial contributes to a mean.
            assert len(definition.missing_text.split()) > 2

    def test_its_form_says_how_it_is_spelled(self, definition: Definition) -> None:
        form = str(definition.facts()["form"])
        number = {"nothing": "", "threshold": "@0.5", "count": "@5"}[definition.takes]
        assert form.startswith(definition.name)
        for variant in variants_of(definition):
            spelled = f"({variant})" if variant else ""
            assert parse_measure(f"{definition.name}{spelled}{number}").variant == variant
            assert variant is None or variant in form
