"""Results of one or more runs as a single page, for a paper's appendix: no file beside it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ssl_bench.analysis.paired_runs import read_scores_of
from ssl_bench.errors import LeaderboardError, ResultError
from ssl_bench.files import files_of, write_text
from ssl_bench.interchange.export import Group, group_results
from ssl_bench.leaderboard.assessment import check_printable
from ssl_bench.leaderboard.card import bounded_bytes
from ssl_bench.leaderboard.evidence import success_curve
from ssl_bench.media.image import source_of
from ssl_bench.scoring.formatting import value_of
from ssl_bench.scoring.hearing import hearing_sentence
from ssl_bench.scoring.results import Hearing, MeasuredValue, Result, read_result
from ssl_bench.scoring.score_file import SCORES
from ssl_bench.site.drawing import Scale
from ssl_bench.site.drawing import success_curve as drawn_curve
from ssl_bench.site.rendering import interval, render, shown

RESULT, PICTURES = "result.json", "trials.png"
_MAX_PICTURE_BYTES = 2**25
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, eq=False)
class Run:
    """A run folder, as far as a report shows it.

    Attributes
    ----------
    scores
        One row for each trial; None where the folder has no such file.
    pictures
        PNG of single trials; None where there is none.
    """

    folder: Path
    result: Result
    scores: pd.DataFrame | None
    pictures: bytes | None


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Read run folders; of a folder of several runs, all of them in alphabetical order.

    Raises
    ------
    ResultError
        If there is no result, or a file cannot be used.
    """
    found = []
    for folder in folders:
        if (folder / RESULT).is_file():
            found.append(_read_run(folder))
            continue
        inner = [path.parent for path in files_of(folder, (f"*/{RESULT}",))]
        if not inner:
            raise ResultError(
                f"this is not a run folder: it has no {RESULT}",
                code="E_RUN_FOLDER",
                where=folder,
                remedy="give a folder that 'ssl-bench evaluate' or 'ssl-bench score --out' wrote",
            )
        found += [_read_run(each) for each in inner]
    return found


def write_report(path: Path, runs: Sequence[Run]) -> None:
    """Write one HTML file with everything in it; the same runs give the same bytes.

    Raises
    ------
    ResultError
        If there is no run.
    """
    if not runs:
        raise ResultError("there is no run to report", code="E_RUN_FOLDER")
    groups = [_group(group, runs) for group in group_results(run.result for run in runs)]
    style = (Path(__file__).parent / "assets" / "site.css").read_text(encoding="utf-8")
    # The policy admits this style and nothing else, so the page can neither run nor fetch anything.
    allowed = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    write_text(path, render("appendix.html.jinja", groups=groups, style=style, allowed=allowed))


def _read_run(folder: Path) -> Run:
    result = read_result(folder / RESULT)
    try:
        check_printable(result.model_dump(mode="json"))
    except ValueError as error:
        raise ResultError(
            f"this result holds something that cannot be shown ({error})",
            code="E_RESULT_TEXT",
            where=folder / RESULT,
        ) from error
    scores = read_scores_of(result, folder) if (folder / SCORES).is_file() else None
    return Run(folder, result, scores, _read_pictures(folder / PICTURES, result))


def _read_pictures(path: Path, result: Result) -> bytes | None:
    """A run's picture sheet; ResultError where it is known to show other predictions."""
    if not path.exists():
        return None
    try:
        content = bounded_bytes(path, _MAX_PICTURE_BYTES)
    except LeaderboardError as error:
        raise ResultError(error.problem, code=error.code, where=path) from error
    if not content.startswith(_PNG):
        raise ResultError(
            "this is not a PNG picture", code="E_PICTURE", where=path, remedy="remove it"
        )
    shown = source_of(content)
    if shown is not None and shown != result.predictions_sha256:
        raise ResultError(
            f"this picture shows other predictions than those of the {RESULT} beside it "
            f"(digest {shown[:12]})",
            code="E_PICTURE_OTHER",
            where=path,
            remedy="remove it, or evaluate again",
        )
    return content


def _group(group: Group, runs: Sequence[Run]) -> dict[str, Any]:
    """Results that may stand in one table, with their floors and ceiling."""
    members = [run for run in runs if any(run.result is each for each in group.results)]
    first = members[0].result
    found = [
        ("entry", _name(run.result), _coverage(run.result), run.result.measures) for run in members
    ]
    if first.ceiling is not None:
        found.append(("ceiling", first.ceiling.name, "", first.ceiling.measures))
    found += [("floor", floor.name, "", floor.measures) for floor in first.floors]
    measures = tuple(group.measures)
    scale = Scale.of(value_of(values, measures[0]) for *_, values in found)
    return {
        "title": first.protocol.title,
        "heading": group.title,
        "measures": measures,
        "rows": [
            {
                "kind": kind,
                "name": name,
                "coverage": coverage,
                "cells": [_cell(value_of(values, measure)) for measure in measures],
                "strip": scale.strip(value_of(values, measures[0])),
            }
            for kind, name, coverage, values in found
        ],
        "runs": [_run(run) for run in members],
    }


def _cell(value: MeasuredValue | None) -> tuple[str, str]:
    return ("", "") if value is None else (shown(value.value, value.measure), interval(value))


def _gain(found: Hearing) -> tuple[str, str]:
    if found.adds is None:
        return "", ""
    return shown(found.adds.value, found.measure, signed=True), interval(found.adds)


def _run(run: Run) -> dict[str, Any]:
    """What is shown of one run below the tables."""
    curve, picture = None, ""
    if run.scores is not None and "sounding" in run.scores:
        curve = drawn_curve(success_curve(run.scores))
    if run.pictures is not None:
        picture = "data:image/png;base64," + base64.b64encode(run.pictures).decode("ascii")
    hearing = [
        (each.measure, _cell(each.score), _cell(each.without_sound), each.best_without, _gain(each))
        for each in run.result.hearing
    ]
    return {
        "name": _name(run.result),
        "hearing": hearing,
        "sentence": hearing_sentence(run.result.hearing[0]) if run.result.hearing else "",
        "curve": curve,
        "picture": picture,
        "facts": _facts(run.result),
    }


def _facts(result: Result) -> list[tuple[str, str]]:
    weights = [
        (f"weights of {part.name}", part.weights_sha256)
        for part in (result.model, *result.model.parts)
        if part.weights_sha256 is not None
    ]
    return [
        ("protocol digest", result.protocol.digest),
        ("test set digest", result.test_set.digest),
        ("test set revision", result.test_set.revision or "no published one that is known here"),
        ("predictions digest", result.predictions_sha256 or "not known"),
        *weights,
        ("statistics", ", ".join(f"{name} {value}" for name, value in result.statistics.items())),
        ("ssl-bench", str(result.environment.get("ssl_bench", "not known"))),
    ]


def _name(result: Result) -> str:
    variant = "" if result.model.variant is None else f" ({result.model.variant})"
    return f"{result.model.name}{variant}"


def _coverage(result: Result) -> str:
    coverage = result.coverage
    partial = ", partial" if coverage.partial else ""
    return f"{coverage.present:,} of {coverage.expected:,}{partial}"
