"""Commands on run folders: ``report``, ``compare``, ``explain``, ``compare-sets``."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ssl_bench.cli import candidates
from ssl_bench.cli.candidates import completed
from ssl_bench.cli.config import command
from ssl_bench.cli.options import (
    FILE,
    PATH,
    PICTURE,
    board_option,
    count_option,
    data_option,
    jobs_option,
    json_option,
    require_label_each,
    table_choice_options,
    wide_option,
    without_option,
)
from ssl_bench.cli.terminal import (
    first_that_fits,
    plain_table,
    show,
    text_table,
    unbroken,
    with_interval,
)

if TYPE_CHECKING:
    from rich.table import Table

    from ssl_bench.analysis.across_test_sets import AcrossSets, Number
    from ssl_bench.analysis.explanation import Explanation
    from ssl_bench.analysis.paired_runs import Pair, RunComparison
    from ssl_bench.scoring.results import MeasuredValue

# A measure whose values are shares, as the distance from floor to ceiling is.
_SHARE = "cIoU@0.5"


@command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=PATH)
@click.option(
    "--out", type=FILE, default="report.html", show_default=True, help="The page to write."
)
@click.option("--markdown", type=FILE, help="Also write the tables as Markdown.")
@click.option("--latex", type=FILE, help="Also write the tables as LaTeX.")
@table_choice_options
@click.pass_obj
def report(
    words: list[str] | None,
    runs: tuple[Path, ...],
    out: Path,
    markdown: Path | None,
    latex: Path | None,
    measures: tuple[str, ...],
    columns: list[str],
    labels: tuple[str, ...],
    by: tuple[str, ...],
) -> None:
    """Write the results of run folders as one page, for a paper's appendix.

    The page holds everything, pictures of trials and breakdowns by the attributes that trials have
    included, and neither runs nor fetches anything.
    Results under different conventions or on different trials get tables of their own. The page
    has rows of priors, trivial maps and the ceiling, too; 'export --controls' adds them elsewhere.
    """
    from ssl_bench.environment import environment
    from ssl_bench.interchange.export import write_results
    from ssl_bench.interchange.result_rows import tables_of
    from ssl_bench.site.appendix import Made, labelled, read_runs, write_report

    written = [path for path in (out, markdown, latex) if path is not None]
    if len(set(map(os.path.realpath, written))) < len(written):
        raise click.UsageError("--out, --markdown and --latex are files of their own")
    if any(
        path.name in ("result.json", "overlap.json") or path.suffix == ".npz" for path in written
    ):
        raise click.UsageError("a run's own files are not written over; give another name")
    read = read_runs(runs)
    require_label_each(labels, len(read))
    read = labelled(read, labels)
    made = Made(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        version=str(environment()["ssl_bench"]),
        commit=environment()["commit"] or "",
        command=shlex.join(["ssl-bench", *(words or ["report"])]),
    )
    write_report(out, read, measures=measures, columns=columns, made=made)
    tables = tables_of([run.given for run in read], measures=measures)
    if markdown is not None:
        write_results(markdown, tables, "markdown", columns=columns, by=by)
    if latex is not None:
        write_results(latex, tables, "latex", columns=columns, by=by)
    show(f"Wrote {', '.join(map(unbroken, written))}: {len(read)} run{'s' if read[1:] else ''}.")


@command(name="compare-sets")
@click.argument("results", nargs=-1, required=True, type=PATH)
@click.option(
    "--measure",
    metavar="MEASURE",
    help="Default: the first that all results have.",
    **completed(candidates.measures),
)
@json_option
def compare_sets(results: tuple[Path, ...], measure: str | None, as_json: bool) -> None:
    """Set RESULTS (run folders or result.json) of one model on several test sets side by side.

    For heard against unheard categories, or the data set of training against another: a score on
    one test set does not compare with that on another, but the share of the distance from its
    floor to its ceiling does. Nothing is scored again. Results of different models or dialects are
    refused.
    """
    from ssl_bench.analysis.across_test_sets import compare_sets as compare
    from ssl_bench.scoring.results import read_result

    found = compare([(path, read_result(path)) for path in results], measure)
    if as_json:
        from ssl_bench.cli.documents import print_document

        print_document("compare-sets", found)
    else:
        show(*_across_tables(found))


def _across_tables(found: AcrossSets) -> list[Table | str]:
    from ssl_bench.scoring.formatting import format_value, unit_of

    def shown(number: Number | None, measure: str = found.measure) -> str:
        if number is None:
            return format_value(None, measure)
        each = (number.value, number.low, number.high)
        value, low, high = (format_value(one, measure) for one in each)
        return value if number.low is None else f"{value} [{low}, {high}]"

    rows = [
        [
            row.protocol + (" (partial)" if row.partial else ""),
            f"{row.n_trials:,}",
            f"{format_value(row.floor, found.measure)} {row.floor_name}",
            shown(row.score),
            format_value(row.ceiling, found.measure),
            shown(row.share, _SHARE),
        ]
        for row in found.sets
    ]
    changes = [
        [f"{each.before} to {each.after}", shown(each.score), shown(each.share, _SHARE)]
        for each in found.changes
    ]
    unit = unit_of([found.measure, _SHARE])
    title = f"{found.model}: {found.measure}, dialect {found.dialect}, {unit} [95 % interval]"
    heads = ["protocol", "trials", "floor", "score", "ceiling", "share of floor to ceiling"]
    return [
        plain_table(title, heads, rows),
        plain_table(None, ["change", "score", "share of floor to ceiling"], changes),
        "The share's interval takes floor and ceiling as fixed; a change has one where the two "
        "test sets share no clip.",
    ]


@command()
@click.argument("runs", nargs=-1, required=True, **completed(candidates.runs))
@click.option(
    "--measure",
    "measures",
    multiple=True,
    metavar="MEASURE",
    help="Default: all; repeatable.",
    **completed(candidates.measures),
)
@count_option("--changed", 10, "How many of the trials that changed most to name.", least=0)
@click.option(
    "--pictures",
    metavar="FILE",
    type=PICTURE,
    help="Draw those on which RUNS differ most, with the map of each (.png, .pdf, .svg).",
)
@without_option
@board_option
@wide_option
@data_option
@jobs_option
@json_option
def compare(
    runs: tuple[str, ...],
    measures: tuple[str, ...],
    changed: int,
    pictures: Path | None,
    without: dict[str, Path],
    board: Path | None,
    wide: bool,
    data: Path | None,
    jobs: int,
    as_json: bool,
) -> None:
    """Compare RUNS trial by trial, and say whether a difference is real.

    A run is a run folder, or an entry of the leaderboard: its name, on the protocol of the first
    run folder, or leaderboard:PROTOCOL/NAME.

    Differences are paired, on the common trials, with intervals and a test corrected for the
    number of comparisons. Runs of different protocols, test sets or dialects are refused. What
    hearing adds to the first measure is printed for each run; maps given by --without count in all.
    """
    from ssl_bench.analysis.paired_runs import compare_runs, require_comparable, score_without
    from ssl_bench.leaderboard.entry_runs import open_runs

    with open_runs(runs, board, data=data, jobs=jobs, hearing=True) as opened:
        read = opened.runs
        require_comparable(read)
        deaf = score_without(read, without, data=data, jobs=jobs)
        found = compare_runs(read, measures=measures or None, without=deaf, most=changed)
        notes = opened.notes
        if pictures is not None:
            from ssl_bench.analysis.chosen_trials import Choice
            from ssl_bench.figures.trial_pictures import draw_trials, open_shown

            shown = open_shown(read, data=data, labels=found.runs)
            done = draw_trials(shown, Choice("apart", changed), out=pictures, jobs=jobs)
            notes.extend(f"{note}." for note in done.notes)
            count = len(done.trial_ids)
            notes.append(f"Drew {count:,} trial{'s' * (count != 1)} into {unbroken(pictures)}.")
    if as_json:
        from ssl_bench.cli.documents import print_document

        print_document("compare", found)
        return
    for pair in found.pairs:
        show(*_pair_tables(pair, found, wide=wide))
    count = len(found.pairs)
    if count > 1:
        show(f"The p-values are corrected for {count} comparisons of each measure (Holm).")
    show(*_heard(found))
    if found.partial:
        show("PARTIAL: a run left trials out; only common trials are compared.")
    show(*notes)


def _heard(found: RunComparison) -> Iterator[str]:
    """How much of each run's score is hearing, by the first measure."""
    from ssl_bench.scoring.hearing import hearing_sentence

    for each in found.hearing:
        for told in each.measures[:1]:
            yield f"{each.run}: {hearing_sentence(told)}"


def _pair_tables(pair: Pair, found: RunComparison, *, wide: bool) -> list[Table | str]:
    from ssl_bench.scoring.formatting import format_p_value, format_value, unit_of

    unit = unit_of(each.measure for each in pair.differences)

    def measured(names: tuple[str, str], bounded: bool) -> Table:
        def score(value: MeasuredValue) -> str:
            return with_interval(value) if bounded else format_value(value.value, value.measure)

        rows = [
            [
                each.measure,
                score(each.first),
                score(each.second),
                with_interval(each.difference),
                format_p_value(each.corrected),
                "tie" if each.tied else "apart",
            ]
            for each in pair.differences
        ]
        heads = [f"{unit} [95 %]", *names, "difference", "p", ""]
        return plain_table(title, heads, rows, wide=wide)

    def changed(names: tuple[str, str], sound: bool) -> Table:
        rows = []
        for each in pair.changed:
            played = [each.category.replace("+", " + ")] if sound else []
            values = [format_value(one, _SHARE) for one in (each.first, each.second)]
            rows.append([each.trial_id, *played, *values])
        heads = ["trial", *(["sound"] if sound else []), *names]
        texts = range(len(heads) - 2)
        return plain_table("Changed most, cIoU in percent", heads, rows, texts=texts, wide=wide)

    title = (
        f"{pair.first} against {pair.second}: {found.protocol}, dialect {found.dialect}, "
        f"{pair.n_trials:,} common trials"
    )
    names, places = (pair.first, pair.second), ("first", "second")
    # leaderboard:icl is icl, where the other run is not called so, too.
    first, second = (re.split("[:/]", name)[-1] for name in names)
    short = (first, second) if first != second else names
    narrow = [(short, True), (names, False), (short, False), (places, False)]
    forms = [(names, True), *([] if wide else narrow)]
    shown: list[Table | str] = [first_that_fits([partial(measured, *each) for each in forms])]
    if pair.only_first is not None:
        shown.append(
            f"Trials that only {pair.first} gets right (cIoU >= 0.5): {pair.only_first:,}; only "
            f"{pair.second}: {pair.only_second:,}."
        )
    if pair.changed:
        narrow = [(short, True), (short, False), (places, True), (places, False)]
        forms = [(names, True), *([] if wide else narrow)]
        tables = [partial(changed, *each) for each in forms]
        shown.append(first_that_fits(tables, in_one_line=False))
    return shown


@command()
@click.argument("before", type=PATH)
@click.argument("after", type=PATH)
@json_option
def explain(before: Path, after: Path, as_json: bool) -> None:
    """Explain why the score of AFTER differs from that of BEFORE (result.json or run folders).

    Protocol, test set, dialect, model, weights, preprocessing, coverage and library versions are
    compared, with how much each difference matters.
    """
    from ssl_bench.analysis.explanation import explain as find
    from ssl_bench.scoring.results import read_result

    found = find(read_result(before), read_result(after))
    if as_json:
        from ssl_bench.cli.documents import print_document

        print_document("explain", found)
    else:
        show(*_explanation(found))


def _explanation(found: Explanation) -> list[Table | str]:
    from ssl_bench.scoring.formatting import format_value, unit_of

    shown: list[Table | str] = [found.verdict]
    if found.causes:
        rows = [
            [each.field, each.before, each.after, each.weight, each.meaning]
            for each in found.causes
        ]
        heads = ["what differs", "before", "after", "weight", "what it means"]
        shown.append(text_table(heads, rows))
    if found.measures:
        values = [
            [each.measure, *(format_value(one, each.measure) for one in (each.before, each.after))]
            for each in found.measures
        ]
        unit = unit_of(each.measure for each in found.measures)
        shown.append(plain_table(None, [f"measure, {unit}", "before", "after"], values))
    return shown
