"""``ssl-bench evaluate`` and ``ssl-bench predict``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssl_bench.cli.options import (
    data_option,
    jobs_option,
    json_option,
    model_options,
    protocol_option,
)

if TYPE_CHECKING:
    from ssl_bench.analysis.evaluation import Evaluation, Request
    from ssl_bench.protocols.protocol import Protocol
    from ssl_bench.scoring.results import ModelIdentity


def _engine_options(command: Any) -> Any:
    for option in (
        click.option(
            "--out",
            type=click.Path(path_type=Path, file_okay=False),
            help="Run folder.  [default: runs/MODEL-PROTOCOL]",
        ),
        click.option(
            "--batch-size",
            type=click.IntRange(min=1),
            default=32,
            show_default=True,
            help="Inputs per call of the model.",
        ),
        click.option(
            "--float16", is_flag=True, help="Store maps with half the bytes; may tie values."
        ),
    ):
        command = option(command)
    return command


@click.command()
@model_options
@protocol_option
@click.option(
    "--dialect",
    metavar="NAME[:CHOICE]",
    help="Score as this public evaluator does; 'ssl-bench protocols' lists them.",
)
@click.option(
    "--prior",
    "priors",
    multiple=True,
    metavar="NAME=WEIGHTS",
    help="Weights of an audio-blind baseline such as ogl-l1 (variant full), for the gap where none "
    "ship; may be repeated.",
)
@data_option
@_engine_options
@jobs_option
@json_option
@click.option(
    "--sheet",
    "pictured",
    type=click.IntRange(0, 200),  # as many as a sheet holds
    default=6,
    show_default=True,
    help="Trials in the picture sheet; 0 for none.",
)
def evaluate(**given: Any) -> None:
    """Run a model on a protocol and score it.

    Several protocols (with commas between), a suite, or 'all' are run in one go: an image or sound
    that they share is encoded once. Writes predictions.npz, scores.npz, result.json and a
    picture sheet into a run folder.
    """
    from ssl_bench.cli.terminal import console, progress_bars, result_tables

    with progress_bars() as (progress, notify):
        from ssl_bench.analysis.evaluation import run

        request, protocols = _request(given)
        done = run(request, protocols, progress=progress, notify=notify)
        sheets = [_draw(each, given["pictured"], notify) for each in done]
    if given["weights"] is not None:
        _tell_weights(given["weights"], done[0].result.model)
    if given["as_json"]:
        documents = [each.result.model_dump(mode="json") for each in done]
        click.echo(json.dumps(documents[0] if len(documents) == 1 else documents, indent=1))
        return
    screen = console()
    answered = {each.result.protocol.name for each in done}
    for name in dict.fromkeys(each.name for each in protocols if each.name not in answered):
        screen.print(f"Left out {name}: {request.model} has no similarity of images and sounds.")
    for each, sheet in zip(done, sheets, strict=True):
        for part in result_tables(each.result, screen.width):
            screen.print(part)
        files = ", ".join(str(path.relative_to(each.folder)) for path in (*each.files, *sheet))
        screen.print(f"Wrote {files} into {each.folder}.")


@click.command()
@model_options
@protocol_option
@data_option
@_engine_options
@jobs_option
@json_option
def predict(**given: Any) -> None:
    """Run a model on a protocol and write its predictions, without scoring."""
    from ssl_bench.cli.terminal import progress_bars

    with progress_bars() as (progress, _):
        from ssl_bench.analysis.evaluation import run_predict

        done = run_predict(*_request(given), progress=progress)
    rows: list[dict[str, Any]] = [
        {
            "protocol": trials.protocol.label,
            "trials": len(trials),
            "files": [
                str(path) for path in (written.predictions, written.vision_only) if path is not None
            ],
        }
        for trials, written in done
    ]
    if given["as_json"]:
        click.echo(json.dumps(rows[0] if len(rows) == 1 else rows, indent=1))
        return
    for row in rows:
        click.echo(f"Wrote maps of {row['trials']:,} trials: {', '.join(row['files'])}")


def _draw(done: Evaluation, count: int, notify: Callable[[str], None]) -> list[Path]:
    """Draw a few trials of a run; returns the file, or nothing where there is nothing to draw."""
    from ssl_bench.figures.trial_sheet import write_trial_sheet
    from ssl_bench.predictions import open_predictions

    if count == 0 or done.trials.protocol.answers != "maps":
        return []
    notify("drawing the picture sheet")
    sheet = done.folder / "trials.png"
    write_trial_sheet(
        sheet,
        done.trials,
        open_predictions(done.folder / "predictions.npz"),
        done.scores,
        count=count,
        with_images=done.has_images,
    )
    return [sheet]


def _tell_weights(path: Path, model: ModelIdentity) -> None:
    """Say on standard error what a weights file was recognised as."""
    from ssl_bench.models.provenance import RecognisedWeights

    for each in (model, *model.parts[:1]):
        if each.weights is not None:
            click.echo(f"{path}: {RecognisedWeights.from_dict(each.weights)}.", err=True)


def _request(given: dict[str, Any]) -> tuple[Request, list[Protocol]]:
    from ssl_bench.cli.requests import request_of
    from ssl_bench.trials.compositions import resolve_protocols

    protocols = resolve_protocols(given["protocol"], given["data"])
    return request_of(given), protocols
