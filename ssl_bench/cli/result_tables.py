"""One result in the terminal: a row for each measure, and what must be known beside it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from ssl_bench.cli.options import choice_option, together, wide_option
from ssl_bench.cli.terminal import (
    first_that_fits,
    plain_table,
    show,
    unbroken,
    with_interval,
)
from ssl_bench.errors import first_few

if TYPE_CHECKING:
    from rich.table import Table

    from ssl_bench.analysis.evaluation import Evaluation
    from ssl_bench.interchange.result_rows import Row
    from ssl_bench.scoring.results import Hearing, MeasuredValue, Result

_COLUMNS = ("score", "without-sound", "hearing", "ceiling")

table_options = together(
    wide_option,
    choice_option("--format", ("text", "csv", "markdown"), "Form of the table."),
)


def show_evaluations(done: Sequence[Evaluation], given: Mapping[str, Any]) -> None:
    """Print what was evaluated or scored, in the form that the options of the command ask for."""
    results = [each.result for each in done]
    if given["as_json"]:
        from ssl_bench.cli.documents import print_documents

        print_documents("result", results)
    elif given["format"] != "text":
        click.echo(result_text(results, given["format"]), nl=False)
    else:
        for each in done:
            files = ", ".join(str(path.relative_to(each.folder)) for path in each.files)
            show(
                *result_tables(each.result, wide=given["wide"]),
                f"Wrote {files} into {unbroken(each.folder)}.",
                unbroken(f"Next: ssl-bench analyse {each.folder}"),
            )


def result_tables(result: Result, *, wide: bool = False) -> list[Table | str]:
    """A result as a table that fits the terminal, and sentences; the last is on hearing."""
    from ssl_bench.interchange.result_rows import short_name

    told = result.protocol
    title = f"{told.title}: {told.label}, version {told.version}, dialect {told.conventions}"
    shown: list[Table | str] = [f"{result.model.name} on {title}"]
    if wide:
        shown += _wide_tables(result)
    else:
        table, is_whole = narrow_table(result)
        remarks = [] if is_whole else ["Intervals of every column: --wide."]
        if any(short_name(each.best_without) == "itself" for each in result.hearing):
            own = "map without sound" if result.vision_only else "maps; it does not listen"
            remarks.append(f"itself: the model's own {own}.")
        shown += [table, " ".join(remarks)] if remarks else [table]
    shown += [coverage_sentence(result), *_notes(result)]
    return [*shown, *_hearing_sentences(result)]


def result_text(results: Sequence[Result], form: str) -> str:
    """Results as CSV, which holds every figure, or as tables in Markdown."""
    from ssl_bench.interchange.export import results_text
    from ssl_bench.interchange.result_rows import Given, figures_of, tables_of

    tables = tables_of([Given(each) for each in results])
    if form == "csv":
        return figures_of(tables).to_csv(index=False)
    return results_text(tables, "markdown", _COLUMNS)


def narrow_table(result: Result) -> tuple[Table, bool]:
    """A row for each measure, with intervals as far as the terminal has room; whether it has."""
    from ssl_bench.interchange.result_rows import NONE_SHOWN, Given, tables_of
    from ssl_bench.scoring.formatting import unit_of

    [table] = tables_of([Given(result)])
    columns = table.columns(_COLUMNS)
    unit = unit_of(value.measure for value in result.measures)

    def with_beside(beside: Collection[str]) -> Table:
        def text(row: Row, column: str) -> str:
            cell = row.cell(column)
            whole = column in beside and cell.text != NONE_SHOWN
            return " ".join(filter(None, cell)) if whole else cell.text

        heads = [name.replace("-", " ") for name in columns]
        first = f"{unit} [95 %]" if "score" in beside else unit
        if "hearing" in beside and "score" not in beside:
            heads = [f"{name} [95 %]" if name == "hearing" else name for name in heads]
        rows = [[row.measure, *(text(row, name) for name in columns)] for row in table.rows]
        return plain_table(None, [first, *heads], rows)

    every = ("score", "without-sound", "hearing")
    choices = every, every[1:], every[1:2], ()
    shown = first_that_fits([partial(with_beside, beside) for beside in choices])
    return shown, "[95 %]" in str(shown.columns[0].header)


def _wide_tables(result: Result) -> list[Table | str]:
    """Every figure of a result, each with its interval."""
    from ssl_bench.scoring.formatting import format_p_value, unit_of

    names = [value.measure for value in result.measures]

    def table(title: str | None, corner: str, columns: dict[str, list[str]]) -> Table:
        rows = [[name, *cells] for name, *cells in zip(names, *columns.values(), strict=True)]
        return plain_table(title, [corner, *columns], rows, wide=True)

    def cells(values: Iterable[MeasuredValue]) -> list[str]:
        found = {value.measure: with_interval(value) for value in values}
        return [found.get(name, "") for name in names]

    columns = {"score": cells(result.measures)}
    if result.hearing:
        columns["without sound"] = [
            _lacking(each) if each.without_sound is None else with_interval(each.without_sound)
            for each in result.hearing
        ]
        columns["reached by"] = [each.best_without or "" for each in result.hearing]
        columns["hearing"] = [
            _lacking(each) if each.adds is None else with_interval(each.adds, signed=True)
            for each in result.hearing
        ]
        columns["p"] = [
            "" if each.p_value is None else format_p_value(each.p_value) for each in result.hearing
        ]
    if result.ceiling is not None:
        columns["ceiling of the rule"] = cells(result.ceiling.measures)
    shown: list[Table | str] = [table(None, f"{unit_of(names)} [95 % interval]", columns)]
    blind = {} if result.vision_only is None else {"itself": cells(result.vision_only.measures)}
    blind |= {prior.name: cells(prior.measures) for prior in result.priors}
    if blind:
        shown.append(table(None, "without sound: audio-blind maps", blind))
    floors = {floor.name: cells(floor.measures) for floor in result.floors}
    if floors:
        shown.append(table(None, "without sound: trivial maps", floors))
    return shown


def _lacking(found: Hearing) -> str:
    """What stands for a score without sound that there is not, or that is not known."""
    from ssl_bench.measures.values import parse_measure

    return "-" if parse_measure(found.measure).definition.won_by_failing else ""


def _hearing_sentences(result: Result) -> Sequence[str]:
    from ssl_bench.scoring.hearing import hearing_sentence

    return [hearing_sentence(each) for each in result.hearing[:1]]


def _notes(result: Result) -> Iterator[str]:
    """What a reader must know of how a result came about."""
    if result.predicted_under is not None:
        yield (
            f"Its maps were made for {result.predicted_under.label} with the digest "
            f"{result.predicted_under.digest[:12]}, which asks for the same."
        )
    lacking = result.statistics.get("set_apart_missing")
    if lacking:
        yield (
            f"{lacking:,} of the {result.statistics['set_apart']:,} trials that only serve to find "
            "the threshold are missing: the others gave it, and these count as nothing."
        )
    if result.vision_only is None and result.vision_only_note:
        yield f"No own audio-blind map: {result.vision_only_note}."
    if result.class_maps_note:
        yield f"The same map for every category: {result.class_maps_note}."
    if result.priors_note:
        head = "Not every prior was measured" if result.priors else "No prior was measured"
        yield f"{head}: {result.priors_note}."
    beyond = result.statistics.get("maps_beyond_0_to_1")
    if beyond:
        yield (
            f"{beyond:,} maps hold values outside 0..1, where this threshold is an absolute one: "
            "are they logits? Submit probabilities."
        )
    if result.test_set.revision is None:
        yield (
            f"The annotation of {result.test_set.name} is not a known published revision (digest "
            f"{result.test_set.digest[:12]}); its numbers compare with that file only."
        )


def _treatment(result: Result) -> str:
    """What each measure does with trials that have no truth pixel."""
    from ssl_bench.errors import MeasureError
    from ssl_bench.measures.definition import FAILURE
    from ssl_bench.measures.values import parse_measure

    ways: dict[str, list[str]] = {}
    for value in result.measures:
        try:
            definition = parse_measure(value.measure).definition
        except MeasureError:  # of another version
            continue
        if definition.rows != "silent":
            ways.setdefault(definition.empty, []).append(value.measure)
    if list(ways) in ([], [FAILURE]):
        return FAILURE
    return "; ".join(f"{way} in {', '.join(names)}" for way, names in ways.items())


def coverage_sentence(result: Result) -> str:
    """How many trials were answered, and which could not be scored."""
    coverage = result.coverage
    text = f"Coverage: {coverage.present:,} of {coverage.expected:,} trials."
    if coverage.partial:
        text += " PARTIAL: only these were scored; this result cannot enter a leaderboard."
    elif coverage.missing:
        text += f" The {len(coverage.missing):,} missing ones count as failures."
    if coverage.unscorable:
        text += (
            f" {len(coverage.unscorable)} without a truth pixel {_treatment(result)}: "
            f"{first_few(coverage.unscorable)}."
        )
    if coverage.flat_maps:
        text += f" {coverage.flat_maps:,} maps are flat."
    return text
