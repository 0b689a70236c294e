"""Rows of results, the source of tables in all forms."""

from __future__ import annotations

import numpy as np
import pytest
from refusals import refused
from standin_results import hearing, measured, result

from ssl_bench.errors import ResultError
from ssl_bench.interchange.result_rows import (
    NONE_SHOWN,
    Cell,
    Given,
    figures_of,
    short_name,
    tables_of,
)
from ssl_bench.scoring.hearing import OWN_BLIND
from ssl_bench.scoring.results import Hearing

ONE = Given(result(measured("cIoU@0.5", 0.34), measured("AUC", 0.374), model="center"))
TWO = Given(
    result(
        measured("cIoU@0.5", 0.45),
        measured("pointing", None),
        model="mine",
        hears=(hearing("cIoU@0.5", 0.25),),
        priors={"unet": 0.2},
    )
)
OTHER_DIGEST = Given(result(model="center", digest="c" * 64))
OTHER_TRUTH = Given(result(model="center", test_set_digest="d" * 64))


def test_a_measure_that_is_won_by_failing_has_no_score_without_sound() -> None:
    gap = measured("type-gap@0.5", 0.1)
    nothing = Hearing(
        measure="type-gap@0.5", score=gap, best_without=None, without_sound=None, adds=None
    )
    heard = Given(result(gap, hears=(nothing,)))
    [row] = tables_of([heard])[0].rows
    assert (row.cell("without-sound"), row.cell("hearing")) == (Cell("-"), Cell("-"))
    assert row.facts()["best_without"] is None
    [unknown] = tables_of([Given(result(gap))])[0].rows
    assert unknown.cell("hearing") == Cell("")


class TestTables:
    def test_results_compare_only_under_one_protocol_test_set_and_dialect(self) -> None:
        dialect = Given(result(dialect="lvs"))
        tables = tables_of([ONE, OTHER_DIGEST, TWO, OTHER_TRUTH, dialect])
        assert [len(table.given) for table in tables] == [2, 1, 1, 1]
        assert tables[0].given == (ONE, TWO)
        assert len({table.title for table in tables}) == 4

    def test_there_is_a_block_for_each_measure_of_any_of_them(self) -> None:
        [table] = tables_of([ONE, TWO])
        blocks = {name: [row.name for row in rows] for name, rows in table.blocks.items()}
        assert blocks == {"cIoU@0.5": ["center", "mine"], "AUC": ["center"], "pointing": ["mine"]}

    def test_measures_are_chosen_in_an_order(self) -> None:
        [table] = tables_of([ONE, TWO], measures=["AUC", "cIoU@0.5"])
        assert list(table.blocks) == ["AUC", "cIoU@0.5"]
        with refused("E_MEASURE_MISSING"):
            tables_of([ONE], measures=["pointing"])

    def test_priors_trivial_maps_and_the_ceiling_come_once_for_each_table(self) -> None:
        tables = tables_of([ONE, TWO, TWO, OTHER_DIGEST], measures=["cIoU@0.5"], references=True)
        assert [[row.title for row in table.rows[len(table.given) :]] for table in tables] == [
            ["unet (prior)", "center (trivial map)", "ceiling"],
            ["center (trivial map)", "ceiling"],
        ]

    def test_the_best_is_marked_among_results_that_compare_alone(self) -> None:
        tables = tables_of([ONE, TWO, OTHER_DIGEST], references=True)
        marked = [row.name for table in tables for row in table.rows if "score" in row.best]
        assert marked == ["mine"]
        assert "interval" in tables[0].how_best

    def test_labels_name_rows_and_leave_settings_out(self) -> None:
        settings = [Given(result(seed=seed), label=label) for seed, label in ((0, "A"), (1, "B"))]
        [table] = tables_of(settings)
        assert ([row.name for row in table.rows], table.settings) == (["A", "B"], ())
        [table] = tables_of([Given(each.result) for each in settings])
        assert table.settings == ("seed",)
        assert [row.cell("seed").text for row in table.rows] == ["0", "1"]

    def test_no_result_is_refused(self) -> None:
        with refused("E_NO_RESULT", kind=ResultError):
            tables_of([])


class TestColumns:
    def test_what_tells_rows_apart_comes_first_and_empty_columns_go(self) -> None:
        whole = [
            Given(result(seed=seed, present=100, hears=(hearing("cIoU@0.5", 0.3),)))
            for seed in (0, 1)
        ]
        assert tables_of(whole)[0].columns() == ["seed", "score", "without-sound", "hearing"]
        assert tables_of([ONE])[0].columns() == ["coverage", "score"]

    def test_they_can_be_chosen_in_an_order(self) -> None:
        [table] = tables_of([TWO])
        assert table.columns(["hearing", "device", "floor", "score"]) == [
            "hearing",
            "device",
            "floor",
            "score",
        ]
        with refused("E_COLUMN_UNKNOWN"):
            table.columns(["haering"])


class TestCells:
    @pytest.mark.parametrize(
        ("column", "cell"),
        [
            ("score", Cell("45.0", "[40.0, 50.0]")),
            ("without-sound", Cell("20.0", "unet")),
            ("hearing", Cell("+25.0", "[20.0, 30.0]")),
            ("p", Cell("< 0.001")),
            ("floor", Cell("30.0", "center")),
            ("ceiling", Cell("80.0", "[75.0, 85.0]")),
            ("coverage", Cell("90 of 100")),
            ("device", Cell("cpu")),
            ("alpha", Cell("")),
        ],
    )
    def test_of_a_result(self, column: str, cell: Cell) -> None:
        assert tables_of([TWO])[0].rows[0].cell(column) == cell

    def test_hearing_that_is_not_shown_is_said_so(self) -> None:
        none = result(measured("AUC", 0.3), hears=(hearing("AUC", 0.01),))
        cell = tables_of([Given(none)])[0].rows[0].cell("hearing", minus="~")
        assert cell == Cell(NONE_SHOWN, "[~4.0, 6.0]")

    def test_of_a_reference_there_is_a_score_alone(self) -> None:
        row = tables_of([TWO], references=True)[0].rows[-2]
        assert row.kind == "ceiling" or row.kind == "trivial map"
        found = {name: row.cell(name).text for name in ("score", "hearing", "coverage", "device")}
        assert found == {"score": "80.0", "hearing": "", "coverage": "", "device": ""}

    def test_a_partial_result_is_marked(self) -> None:
        row = tables_of([Given(result(partial=True))])[0].rows[0]
        assert row.cell("coverage").text == "90 of 100 (partial)"

    def test_undefined_values_are_said_to_be(self) -> None:
        row = tables_of([TWO], measures=["pointing"])[0].rows[0]
        assert row.cell("score") == Cell("undefined")

    def test_names_are_short(self) -> None:
        names = (OWN_BLIND, "prior unet", "trivial map center", "silence", None)
        assert [short_name(name) for name in names] == ["itself", "unet", "center", "silence", ""]


class TestFigures:
    def test_every_figure_with_its_interval_and_what_it_belongs_to(self) -> None:
        figures = figures_of(tables_of([ONE, TWO, OTHER_DIGEST]))
        assert figures["model"].tolist() == ["center", "mine", "center", "mine", "center"]
        assert figures["protocol_digest"].tolist() == [*["a" * 64] * 4, "c" * 64]
        row = figures.iloc[1]
        expected = {
            "measure": "cIoU@0.5",
            "score": 0.45,
            "score_low": 0.4,
            "score_high": 0.5,
            "without_sound": 0.2,
            "without_sound_low": 0.15,
            "best_without": "prior unet",
            "hearing": 0.25,
            "hearing_low": 0.2,
            "hearing_high": 0.3,
            "hearing_p": 0.0001,
            "floor": 0.3,
            "best_trivial_map": "center",
            "ceiling": 0.8,
            "present": 90,
            "best_score": True,
        }
        assert {name: row[name] for name in expected} == pytest.approx(expected)
        assert np.isnan(figures["hearing"].iloc[0])

    def test_columns_can_be_chosen(self) -> None:
        odd = Given(result(options={"prior": "ogl-cls"}))
        figures = figures_of(tables_of([odd]), ["prior", "p", "score"])
        told = "name kind protocol dialect measure prior score score_low score_high"
        assert figures.columns.tolist() == told.split()
        assert figures["prior"].tolist() == ["ogl-cls"]
        with refused("E_COLUMN_UNKNOWN"):
            figures_of(tables_of([odd]), ["prio"])
