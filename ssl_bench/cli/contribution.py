"""``ssl-bench contribution``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssl_bench.cli import candidates
from ssl_bench.cli.candidates import completed
from ssl_bench.cli.config import command
from ssl_bench.cli.options import (
    FOLDER,
    PATH,
    cache_option,
    data_option,
    deaf_maps_option,
    dialect_option,
    executor_options,
    format_option,
    jobs_option,
    json_option,
    limit_option,
    missing_options,
    model_option,
    overwrite_option,
    prior_weights_option,
    protocol_option,
    request_of,
    wide_option,
)
from ssl_bench.cli.terminal import (
    plain_table,
    show,
    show_notes,
    unbroken,
    with_interval,
)
from ssl_bench.plots import FORMATS
from ssl_bench.progress import progress_bars

if TYPE_CHECKING:
    from rich.table import Table

    from ssl_bench.analysis.contribution.document import Contribution, Without
    from ssl_bench.scoring.results import MeasuredValue


@command()
@model_option(required=False)
@click.option(
    "--predictions", type=PATH, help="Instead of --model: stored predictions, made with the sound."
)
@deaf_maps_option(
    "With --predictions: predictions of the same trials made without the sound, such as "
    "silence=mute.npz"
)
@protocol_option
@dialect_option
@click.option(
    "--measure",
    metavar="MEASURE",
    help="Of what hearing adds. Default: the first.",
    **completed(candidates.measures),
)
@prior_weights_option
@limit_option
@cache_option
@data_option
@click.option(
    "--out", type=FOLDER, help="Folder to write to.  [default: runs/contribution-MODEL-PROTOCOL]"
)
@format_option
@overwrite_option
@missing_options
@executor_options
@jobs_option
@wide_option
@json_option
def contribution(**given: Any) -> None:
    """Measure how much of a score is hearing.

    The same trials are answered with the real sound, silence, noise and another clip's sound (of
    another and of the same category), and compared, trial by trial, with the model's own
    audio-blind map, the priors that only look and the best trivial map: differences with
    intervals, a paired permutation test and McNemar's test. Writes contribution.json, a figure
    and a table of all trials.
    """
    model, predictions = given["model"], given["predictions"]
    if (model is None) == (predictions is None):
        raise click.UsageError("give either --model, or --predictions with --without")
    if predictions is not None and not given["without"]:
        raise click.UsageError("--predictions needs at least one --without FILE to compare with")
    if model is not None and given["without"]:
        raise click.UsageError("--without belongs to --predictions; a model makes its own maps")
    if predictions is not None and given["limit"] is not None:
        raise click.UsageError("--limit belongs to --model; stored predictions are compared whole")
    if predictions is not None and (given["missing"] or given["problems"]):
        raise click.UsageError(
            "stored predictions need no images and sounds: leave such options out"
        )
    place = given["protocol"].replace("@", "-").replace(":", "-").replace("/", "-")
    name = Path(model or predictions.stem).stem
    under = "" if given["dialect"] is None else f"-{given['dialect'].replace(':', '-')}"
    folder = given["out"] or Path("runs") / f"contribution-{name}-{place}{under}"
    names = [f"contribution.{suffix}" for suffix in ("json", given["ending"], "npz")]
    with progress_bars(quiet=given["as_json"]) as (progress, notify):
        from ssl_bench.analysis.contribution.document import write_contribution
        from ssl_bench.analysis.contribution.other_sounds import OTHER_SOUNDS
        from ssl_bench.analysis.contribution.run import contribution_of_files, measure_contribution
        from ssl_bench.analysis.run_folder import opened_folders, require_new, run_files
        from ssl_bench.figures.contribution import draw_contribution
        from ssl_bench.scoring.score_file import write_scores

        figures = (f"contribution.{ending}" for ending in FORMATS)
        maps = (f"{kind}/predictions.npz" for kind in OTHER_SOUNDS)
        own = (*names, *figures, *run_files(), *maps)
        require_new(folder, own, overwrite=given["overwrite"])
        settings = {name: given[name] for name in ("protocol", "measure", "seed")}
        with opened_folders([folder], own, overwrite=given["overwrite"]) as [fresh]:
            if model is not None:
                request = request_of({**given, "out": fresh})
                measured = measure_contribution(
                    request, **settings, progress=progress, notify=notify
                )
            else:
                further = ("data", "dialect", "jobs", "use_cache")
                settings |= {name: given[name] for name in further}
                measured = contribution_of_files(
                    predictions, given["without"], **settings, notify=notify
                )
            files = [fresh / each for each in names]
            write_contribution(files[0], measured.contribution)
            draw_contribution(files[1], measured.contribution)
            write_scores(files[2], measured.scores)
    show_notes(measured.media_notes)
    if given["as_json"]:
        from ssl_bench.cli.documents import print_document

        print_document("contribution", measured.contribution)
        return
    written = f"Wrote {', '.join(names)} into {unbroken(folder)}."
    show(*_tables(measured.contribution, wide=given["wide"]), written)


def _tables(found: Contribution, *, wide: bool) -> list[Table | str]:
    """One row for each kind of maps: its score, and what hearing adds to it."""
    from ssl_bench.measures.values import parse_measure
    from ssl_bench.scoring.formatting import format_value
    from ssl_bench.scoring.hearing import hearing_sentence, turned

    measure = found.hearing.measure
    number = [value.measure for value in found.measures].index(measure)
    own, sign = found.measures[number], parse_measure(measure).sign

    def score(value: MeasuredValue) -> str:
        return with_interval(value) if wide else format_value(value.value, measure)

    rows = [["with the sound", score(own), "", *[""] * (3 if wide else 1)]]
    for each in found.without:
        adds = with_interval(turned(each.difference[number], sign), signed=True)
        name = each.name + ("" if each.n_trials == own.n_trials else " *")
        p_value, counts = _tests(each, measure)
        rest = [p_value, counts, f"{each.n_trials:,}"] if wide else [p_value]
        rows.append([name, score(each.measures[number]), adds, *rest])
    heads = ["what is heard", measure, "hearing adds", "p"]
    if wide:
        heads += ["only with : only without (McNemar p)", "trials"]
    title = f"{found.question}, percent [95 % interval]"
    shown: list[Table | str] = [plain_table(title, heads, rows, wide=wide)]
    if wide and found.by_level:
        shown.append(_level_table(found))
    sentence = hearing_sentence(found.hearing)
    return [*shown, *(f"* {note}." for note in found.notes), sentence]


def _level_table(found: Contribution) -> Table:
    from ssl_bench.scoring.formatting import format_value

    measure = found.by_level[0].with_sound.measure
    rows = [
        [
            f"{each.grouping}: {each.level}",
            with_interval(each.with_sound),
            format_value(each.without, measure),
            with_interval(each.difference),
            f"{each.with_sound.n_trials:,}",
        ]
        for each in found.by_level
    ]
    best = str(found.hearing.best_without)
    heads = [f"{measure} by", "with the sound", best, "hearing adds", "trials"]
    return plain_table("Against the best without sound, within breakdowns", heads, rows, wide=True)


def _tests(each: Without, measure: str) -> list[str]:
    """The p-value of the permutation test, and the counts of McNemar's with its own."""
    from ssl_bench.scoring.formatting import format_p_value

    test = next((test for test in each.tests if test.measure == measure), None)
    if test is None or test.mcnemar is None:
        return ["-" if test is None else format_p_value(test.permutation_p), "-"]
    split = test.mcnemar
    counts = f"{split.only_with} : {split.only_without} ({format_p_value(split.p_value)})"
    return [format_p_value(test.permutation_p), counts]
