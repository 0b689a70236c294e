"""``ssl-bench evaluate`` and ``ssl-bench predict``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ssl_bench.cli.config import command
from ssl_bench.cli.exit_codes import FAULTS_FOUND
from ssl_bench.cli.options import (
    FOLDER,
    cache_option,
    count_option,
    data_option,
    dialect_option,
    executor_options,
    jobs_option,
    json_option,
    limit_option,
    log_option,
    missing_options,
    model_option,
    overwrite_option,
    prior_weights_option,
    protocol_option,
    request_of,
    sheet_option,
    together,
    without_option,
)
from ssl_bench.cli.result_tables import show_evaluations, table_options
from ssl_bench.cli.terminal import (
    plain_table,
    say,
    show,
    show_notes,
    unbroken,
)
from ssl_bench.progress import progress_bars

if TYPE_CHECKING:
    from rich.table import Table

    from ssl_bench.analysis.agreement import Agreement
    from ssl_bench.analysis.request import Request
    from ssl_bench.protocols.protocol import Protocol

_run_options = together(
    data_option,
    click.option("--out", type=FOLDER, help="Run folder.  [default: runs/MODEL-PROTOCOL]"),
    overwrite_option,
    count_option("--batch-size", 32, "Inputs per call of the model."),
    click.option("--float16", is_flag=True, help="Store maps with half the bytes; may tie values."),
    missing_options,
    limit_option,
    jobs_option,
    executor_options,
    json_option,
)


@command()
@model_option()
@protocol_option
@dialect_option
@prior_weights_option
@without_option
@cache_option
@_run_options
@table_options
@sheet_option
@log_option
def evaluate(**given: Any) -> None:
    """Run a model on a protocol and score it.

    Several protocols (with commas between), a suite, or 'all' are run in one go: an image or sound
    that they share is encoded once. Writes predictions.npz, scores.npz, result.json and a
    picture sheet into a run folder.
    """
    with progress_bars() as (progress, notify):
        from ssl_bench.analysis.evaluation import run
        from ssl_bench.figures.trial_pictures import draw_run
        from ssl_bench.interchange.tracking import Record, require_tracker, write_records

        tracker = given["tracker"] and require_tracker(given["tracker"])
        request, protocols = _request(given)
        done = run(
            request,
            protocols,
            progress=progress,
            notify=notify,
            draw=lambda each: draw_run(each, given["pictured"], notify),
            say=say,
        )
    for each in done:
        if each.replaced:
            click.echo(f"Replaced {each.replaced} in {each.folder}.", err=True)
    show_notes(done[0].media_notes)
    if given["weights"] is not None:
        _show_recognised(given["weights"], done[0].result.model.model_dump())
    answered = {each.result.protocol.name for each in done}
    for name in dict.fromkeys(each.name for each in protocols if each.name not in answered):
        click.echo(
            f"Left out {name}: {request.model} has no similarity of images and sounds.", err=True
        )
    if tracker:
        write_records([Record(each.result, each.sheet) for each in done], tracker)
    show_evaluations(done, given)


@command()
@model_option()
@protocol_option
@_run_options
@click.option(
    "--check-device",
    is_flag=True,
    help="Instead, compare the maps of --device and --precision with those of the processor and "
    "32 bits, on the first 64 trials; exit code 1 if they differ by more than rounding explains.",
)
def predict(**given: Any) -> None:
    """Run a model on a protocol and write its predictions, without scoring."""
    if given["check_device"]:
        _check_device(given)
        return
    with progress_bars() as (progress, _):
        from ssl_bench.analysis.evaluation import run_predict

        done = run_predict(*_request(given), progress=progress, say=say)
    show_notes(done[0][1].media_notes)
    if given["weights"] is not None and done:
        from ssl_bench.predictions import open_predictions

        predictions = open_predictions(done[0][1].predictions)
        _show_recognised(given["weights"], predictions.meta.provenance)
    rows: list[dict[str, Any]] = [
        {
            "protocol": trials.protocol.label,
            "trials": len(trials),
            "left_out": len(trials.whole) - len(trials),
            "files": [
                str(path) for path in (written.predictions, written.vision_only) if path is not None
            ],
        }
        for trials, written in done
    ]
    if given["as_json"]:
        from ssl_bench.cli.documents import print_documents

        print_documents("predict", rows)
        return
    for row in rows:
        trials = "1 trial" if row["trials"] == 1 else f"{row['trials']:,} trials"
        if row["left_out"]:
            why = "" if given["limit"] else ", whose image or sound is unusable"
            trials += f" ({row['left_out']:,} left out{why})"
        show(f"Wrote maps of {trials}: {', '.join(map(unbroken, row['files']))}")


def _check_device(given: dict[str, Any]) -> None:
    from ssl_bench.analysis.agreement import check_devices

    found = check_devices(*_request(given))
    if given["as_json"]:
        from ssl_bench.cli.documents import print_document

        print_document("device-check", [each.document() for each in found])
    else:
        show(*(part for each in found for part in _agreement(each)))
    if not all(each.agrees for each in found):
        sys.exit(FAULTS_FOUND)


def _agreement(found: Agreement) -> tuple[Table, str]:
    """Both values of each measure, and what was compared with which bound."""
    columns = ("measure", "cpu, 32 bits", f"{found.place.device}, {found.place.precision}")
    rows = [(name, f"{here:.4f}", f"{there:.4f}") for name, (here, there) in found.measures.items()]
    verdict = "This passes" if found.agrees else "This does NOT pass"
    return (
        plain_table(found.protocol, columns, rows),
        f"On {found.trials} trials a map differs by {found.difference:.2g} of its range at most "
        f"({found.worst}), and a measure by {found.change:.2g}. {verdict}: the bounds are "
        f"{found.bound.difference:g} and {found.passes:.2g}.",
    )


def _show_recognised(file: object, model: Mapping[str, Any]) -> None:
    """Say what the weights file turned out to be, of a model or of the first that it is made of."""
    from ssl_bench.models.provenance import RecognisedWeights

    for part in (model, *list(model.get("parts") or ())[:1]):
        if part.get("weights") is not None:
            weights = RecognisedWeights.model_validate(part["weights"])
            click.echo(f"{file}: {weights}.", err=True)


def _request(given: dict[str, Any]) -> tuple[Request, list[Protocol]]:
    from ssl_bench.trials.compositions import resolve_protocols

    return request_of(given), resolve_protocols(given["protocol"], given["data"])
