"""Files of papers' tables: complete, and consistent with what the papers print."""

from __future__ import annotations

import pytest

from ssl_bench.leaderboard.published import read_published
from ssl_bench.measures.values import parse_measure
from ssl_bench.models.registry import load_baseline
from ssl_bench.protocols.protocol import load_dialect, load_protocol
from ssl_bench.reproduction.table import (
    SCALES,
    PaperTable,
    TableError,
    load_table,
    table_names,
    tables_named,
)
from ssl_bench.schemas import read_change
from ssl_bench.training.recipe import (
    architecture_changes,
    changed_recipe,
    training_recipe,
)

FOUR = ("lin2021", "mo2022", "oya2020", "senocak2023")


def test_every_printed_table_of_the_four_papers_has_a_file_and_no_other() -> None:
    own = [each for each in read_published() if each.paper in FOUR]
    printed = {(each.paper, each.table) for each in own if each.table != "README"}
    assert {(table.paper, table.table) for table in tables_named("all")} == printed


@pytest.mark.parametrize("name", table_names())
class TestShipped:
    def test_every_printed_figure_has_its_row_and_column(self, name: str) -> None:
        table = load_table(name)
        assert table.label == name
        for figure in table.printed():
            assert table.row_of(figure) is not None, figure
            assert table.column_of(figure) is not None, figure

    def test_no_row_or_column_is_of_nothing(self, name: str) -> None:
        table = load_table(name)
        used = {getattr(table.row_of(figure), "id", None) for figure in table.printed()}
        assert {row.id for row in table.rows} == used
        assert {id(column) for column in table.columns} == {
            id(table.column_of(figure)) for figure in table.printed()
        }

    def test_protocols_measures_and_dialects_exist(self, name: str) -> None:
        table = load_table(name)
        if table.dialect is not None:
            load_dialect(table.dialect)
        for column in table.columns:
            for scale in SCALES:
                asked = column.asked(scale)
                if asked is not None:
                    load_protocol(asked)
        for figure in table.printed():
            parse_measure(figure.metric.removeprefix("gap-"))

    def test_models_exist_and_their_changes_are_fields_of_recipes(self, name: str) -> None:
        for row in load_table(name).rows:
            if row.model is None:
                continue
            baseline = load_baseline(row.model)
            for scale, asked in row.training.items():
                variant = asked.variant or scale
                if variant not in baseline.recipe.variants and scale == "full":
                    variant = next(
                        each
                        for each, chosen in baseline.recipe.variants.items()
                        if chosen.training is not None and not each.startswith(("synth", "coll"))
                    )
                if variant in baseline.recipe.variants:
                    _, others = architecture_changes(dict(map(read_change, asked.changes)))
                    changed_recipe(training_recipe(baseline, variant), others)

    def test_claims_name_columns_and_measures_of_the_table(self, name: str) -> None:
        table = load_table(name)
        measures = {figure.metric for figure in table.printed()}
        sets = {column.test_set for column in table.columns}
        for claim in table.claims:
            assert claim.measure is None or claim.measure in measures
            assert {claim.test_set, claim.worse_test_set} <= {None, *sets}


def test_the_printed_order_of_every_claim_is_that_of_the_paper() -> None:
    """A claim says what the table shows: its first row is higher under one measure at least."""
    for table in tables_named("all"):
        for claim in table.claims:
            first = claim.test_set or table.columns[0].test_set
            better = _printed(table, claim.better, first)
            worse = _printed(table, claim.worse, claim.worse_test_set or first)
            higher = [name for name in better.keys() & worse.keys() if better[name] > worse[name]]
            if claim.measure is None:
                assert higher, (table.label, claim.says)
            elif claim.measure in better:
                assert claim.measure in higher, (table.label, claim.says)
            else:  # the paper sets its own measure beside that of others
                assert next(iter(better.values())) > worse[claim.measure]


def _printed(table: PaperTable, row: str, test_set: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for figure in table.printed():
        own = table.row_of(figure)
        if own is not None and own.id == row and figure.test_set == test_set:
            found.setdefault(figure.metric, figure.value)
    return found


def test_an_unknown_table_is_refused_with_what_there_is() -> None:
    with pytest.raises(TableError) as caught:
        tables_named("mo2022:7")
    assert caught.value.code == "E_TABLE_UNKNOWN"
    assert "mo2022:6" in str(caught.value.remedy)


@pytest.mark.parametrize(
    "row",
    [
        {"id": "a", "method": "A"},
        {"id": "a", "method": "A", "model": "ezvsl", "missing": "no weights"},
        {"id": "a", "method": "A", "minus": ("a", "b")},
    ],
    ids=["no answer", "two answers", "unknown rows"],
)
def test_a_row_needs_just_one_answer(row: dict[str, object]) -> None:
    table = load_table("mo2022:5").model_dump()
    table["rows"] = (*table["rows"], row)
    with pytest.raises(ValueError, match="row"):
        PaperTable.model_validate(table)
