"""``ssl-bench contribution``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssl_bench.cli.options import (
    data_option,
    jobs_option,
    json_option,
    model_settings,
    parse_named_files,
)
from ssl_bench.cli.requests import request_of

if TYPE_CHECKING:
    from ssl_bench.analysis.contribution.document import Contribution, Without
    from ssl_bench.analysis.contribution.run import Measured


@click.command()
@model_settings
@click.option("--model", metavar="NAME", help="Baseline, plug-in, or FILE.py:Class.")
@click.option(
    "--predictions",
    type=click.Path(path_type=Path, dir_okay=True),
    help="In place of --model: stored predictions, made with the sound.",
)
@click.option(
    "--without",
    multiple=True,
    metavar="[NAME=]FILE",
    help="With --predictions: predictions of the same trials made without the sound, such as "
    "silence=mute.npz; may be repeated.",
)
@click.option(
    "--protocol",
    required=True,
    metavar="NAME[@TESTSET[:SPLIT]]",
    help="Whose trials; 'ssl-bench protocols' lists them.",
)
@click.option("--measure", metavar="MEASURE", help="Of the headline. Default: the first.")
@click.option(
    "--prior",
    "priors",
    multiple=True,
    metavar="NAME=WEIGHTS",
    help="Weights of an audio-blind baseline such as ogl-l1; may be repeated.",
)
@data_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write to.  [default: runs/contribution-MODEL-PROTOCOL]",
)
@jobs_option
@json_option
def contribution(**given: Any) -> None:
    """Measure how much of a score needs the sound.

    The same trials are answered with the real sound, silence, noise and another clip's sound (of
    another and of the same category), and compared, trial by trial, with the model's own
    audio-blind map, the priors that only look and the best trivial map: differences with
    intervals, a paired permutation test and McNemar's test. Writes contribution.json, a figure
    and a table of all trials.
    """
    from ssl_bench.cli.terminal import console, progress_bars

    if (given["model"] is None) == (given["predictions"] is None):
        raise click.UsageError("give either --model, or --predictions with --without")
    if given["predictions"] is not None and not given["without"]:
        raise click.UsageError("--predictions needs at least one --without FILE to compare with")
    if given["model"] is not None and given["without"]:
        raise click.UsageError("--without belongs to --predictions; a model makes its own maps")
    with progress_bars(quiet=given["as_json"]) as (progress, notify):
        from ssl_bench.analysis.contribution.run import contribution_of_files, measure_contribution

        name = given["model"] or given["predictions"].stem
        place = given["protocol"].replace("@", "-").replace(":", "-").replace("/", "-")
        folder = given["out"] or Path("runs") / f"contribution-{Path(name).stem}-{place}"
        if given["model"] is not None:
            measured = measure_contribution(
                request_of({**given, "out": folder}),
                given["protocol"],
                measure=given["measure"],
                seed=given["seed"],
                progress=progress,
                notify=notify,
            )
        else:
            measured = contribution_of_files(
                given["predictions"],
                parse_named_files(given["without"]),
                given["protocol"],
                data=given["data"],
                measure=given["measure"],
                seed=given["seed"],
                jobs=given["jobs"],
                notify=notify,
            )
        files = _write(measured, folder)
    if given["as_json"]:
        click.echo(measured.contribution.model_dump_json(indent=1))
        return
    screen = console()
    for part in _tables(measured.contribution):
        screen.print(part)
    screen.print(f"Wrote {', '.join(path.name for path in files)} into {folder}.")


def _write(measured: Measured, folder: Path) -> list[Path]:
    from ssl_bench.analysis.contribution.document import write_contribution
    from ssl_bench.figures.contribution_figure import draw_contribution
    from ssl_bench.scoring.score_file import write_scores

    found = measured.contribution
    document, figure, table = (
        folder / name for name in ("contribution.json", "contribution.png", "contribution.npz")
    )
    write_contribution(document, found)
    draw_contribution(
        figure,
        figure_rows(found),
        title=f"{found.model.name}, {found.protocol.label}",
        sentence=found.headline.sentence,
        measure=found.headline.measure,
    )
    write_scores(table, measured.scores)
    return [document, figure, table]


def _tables(found: Contribution) -> list[Any]:
    from ssl_bench.cli.terminal import plain_table, with_interval

    number = [value.measure for value in found.measures].index(found.headline.measure)
    rows = [["with the sound", with_interval(found.measures[number]), "", "", "", ""]]
    rows += [
        [
            each.name + ("" if each.n_trials == found.measures[number].n_trials else " *"),
            with_interval(each.measures[number]),
            with_interval(each.difference[number]),
            *_tests(each, found.headline.measure),
            f"{each.n_trials:,}",
        ]
        for each in found.without
    ]
    heads = [
        "what is heard",
        found.headline.measure,
        "what the sound adds",
        "permutation p",
        "only with : only without (McNemar p)",
        "trials",
    ]
    title = f"{found.model.name}, {found.protocol.label}, percent [95 % interval]"
    shown: list[Any] = [found.headline.sentence, plain_table(title, heads, rows)]
    if found.by_level:
        shown.append(_level_table(found))
    shown += [f"* {note}." for note in found.notes]
    return shown


def _level_table(found: Contribution) -> Any:
    from ssl_bench.cli.terminal import percent, plain_table, with_interval

    rows = [
        [
            f"{each.grouping}: {each.level}",
            with_interval(each.with_sound),
            percent(each.without),
            with_interval(each.difference),
            f"{each.with_sound.n_trials:,}",
        ]
        for each in found.by_level
    ]
    measure = found.by_level[0].with_sound.measure
    heads = [
        f"{measure} by",
        "with the sound",
        str(found.headline.best_without),
        "what the sound adds",
        "trials",
    ]
    return plain_table("Against the best without the sound, within breakdowns", heads, rows)


def _tests(each: Without, measure: str) -> list[str]:
    for test in each.tests:
        if test.measure == measure:
            split = test.mcnemar
            counts = (
                "-"
                if split is None
                else f"{split.only_with} : {split.only_without} ({_small(split.p_value)})"
            )
            return [_small(test.permutation_p), counts]
    return ["-", "-"]


def _small(probability: float) -> str:
    return "< 0.001" if probability < 0.001 else f"{probability:.3f}"


def figure_rows(found: Contribution) -> list[Any]:
    """The rows of the figure: the model with its sound, the others from the best down, levels."""
    from ssl_bench.figures.contribution_figure import FigureRow

    number = [value.measure for value in found.measures].index(found.headline.measure)
    others = sorted(found.without, key=lambda each: -(each.measures[number].value or 0.0))
    return [
        FigureRow("with the sound", found.measures[number], None, informed=True),
        *(
            FigureRow(
                each.name,
                each.measures[number],
                each.difference[number],
                informed=each.informed == "category",
            )
            for each in others
        ),
        *(
            FigureRow(
                f"{each.grouping}: {each.level}",
                each.with_sound,
                each.difference,
                informed=True,
                is_level=True,
            )
            for each in found.by_level
            if each.with_sound.measure == found.headline.measure
        ),
    ]
