"""Results of one or more runs as a single page, for a paper's appendix: no file beside it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ssl_bench.errors import LeaderboardError, ResultError
from ssl_bench.files import write_text
from ssl_bench.interchange.export import Group, group_results
from ssl_bench.leaderboard.documents import bounded_bytes, check_plain
from ssl_bench.leaderboard.evidence import success_curve
from ssl_bench.scoring.formatting import value_of
from ssl_bench.scoring.results import MeasuredValue, Result, read_result
from ssl_bench.scoring.score_file import SCORES, read_scores
from ssl_bench.site.drawing import Curve, Scale, Strip
from ssl_bench.site.drawing import success_curve as drawn_curve
from ssl_bench.site.numbers import interval, shown, signed
from ssl_bench.site.rendering import render

RESULT, PICTURES = "result.json", "trials.png"
_MOST_PICTURE_BYTES = 2**25
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, eq=False)
class Run:
    """A run folder, as far as a report shows it.

    Attributes
    ----------
    folder
        Where it is.
    result
        The result document.
    scores
        One row for each trial; None where the folder has no such file.
    pictures
        PNG of single trials; None where there is none.
    """

    folder: Path
    result: Result
    scores: pd.DataFrame | None
    pictures: bytes | None


@dataclass(frozen=True)
class ReportCell:
    """A measured value."""

    text: str
    interval: str


@dataclass(frozen=True)
class ReportRow:
    """A result, floor or ceiling in the table of a group."""

    kind: str
    name: str
    coverage: str
    cells: tuple[ReportCell, ...]
    strip: Strip


@dataclass(frozen=True)
class ReportRun:
    """What is shown of one run below the tables.

    Attributes
    ----------
    gaps
        By measure: the model, what it is compared with, that one's value, the difference.
    curve
        The success curve; None where the scores have none.
    picture
        ``data:`` address; empty where there is none.
    facts
        Digests and versions, by name.
    """

    name: str
    gaps: tuple[tuple[str, str, str, str, str], ...]
    curve: Curve | None
    picture: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ReportGroup:
    """Results that may stand in one table."""

    title: str
    measures: tuple[str, ...]
    rows: tuple[ReportRow, ...]
    runs: tuple[ReportRun, ...]
    heading: str


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
        inner = sorted(path.parent for path in folder.glob(f"*/{RESULT}"))
        if not inner:
            raise ResultError(
                f"this is no run folder: it has no {RESULT}",
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
        raise ResultError("there is no run to report")
    groups = group_results(run.result for run in runs)
    write_text(path, _page([_group(group, runs) for group in groups]))


def _page(groups: list[ReportGroup]) -> str:
    style = (Path(__file__).parent / "assets" / "site.css").read_text(encoding="utf-8")
    # The policy admits this style and nothing else, so the page can neither run nor fetch anything.
    allowed = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    return render("appendix.html.jinja", groups=groups, style=style, allowed=allowed)


def _read_run(folder: Path) -> Run:
    result = read_result(folder / RESULT)
    try:
        check_plain(result.model_dump(mode="json"))
    except ValueError as error:
        raise ResultError(
            f"this result holds something that cannot be shown ({error})", where=folder / RESULT
        ) from error
    scores = read_scores(folder / SCORES) if (folder / SCORES).is_file() else None
    if scores is not None and len(scores) != _scored_trials(result):
        raise ResultError(
            f"it has {len(scores):,} trials, and {RESULT} beside it tells of "
            f"{_scored_trials(result):,}",
            where=folder / SCORES,
            remedy="report a folder as one run wrote it",
        )
    return Run(folder, result, scores, _read_pictures(folder / PICTURES))


def _scored_trials(result: Result) -> int:
    coverage = result.coverage
    return coverage.present if coverage.partial else coverage.expected


def _read_pictures(path: Path) -> bytes | None:
    if not path.exists():
        return None
    try:
        content = bounded_bytes(path, _MOST_PICTURE_BYTES)
    except LeaderboardError as error:
        raise ResultError(error.problem, where=path) from error
    if not content.startswith(_PNG):
        raise ResultError("this is not a PNG picture", where=path, remedy="remove it, or run again")
    return content


def _group(group: Group, runs: Sequence[Run]) -> ReportGroup:
    members = [run for run in runs if any(run.result is each for each in group.results)]
    measures = tuple(group.measures)
    first = members[0].result
    controls = [("floor", floor) for floor in first.floors]
    if first.ceiling is not None:
        controls.insert(0, ("ceiling", first.ceiling))
    drawn = [run.result.measures for run in members]
    drawn += [reference.measures for _, reference in controls]
    scale = Scale.of(value_of(values, measures[0]) for values in drawn)
    rows = [
        _row(
            "entry", _name(run.result), _coverage(run.result), run.result.measures, measures, scale
        )
        for run in members
    ]
    rows += [
        _row(kind, reference.name, "", reference.measures, measures, scale)
        for kind, reference in controls
    ]
    return ReportGroup(
        title=first.protocol.title,
        heading=group.title,
        measures=measures,
        rows=tuple(rows),
        runs=tuple(_run(run) for run in members),
    )


def _row(
    kind: str,
    name: str,
    coverage: str,
    values: Sequence[MeasuredValue],
    measures: Sequence[str],
    scale: Scale,
) -> ReportRow:
    found = [value_of(values, measure) for measure in measures]
    cells = tuple(
        ReportCell("", "")
        if value is None
        else ReportCell(shown(value.value, value.measure), interval(value))
        for value in found
    )
    return ReportRow(kind, name, coverage, cells, scale.strip(found[0]))


def _run(run: Run) -> ReportRun:
    curve = None
    if run.scores is not None and "sounding" in run.scores:
        curve = drawn_curve(success_curve(run.scores))
    picture = ""
    if run.pictures is not None:
        picture = "data:image/png;base64," + base64.b64encode(run.pictures).decode("ascii")
    return ReportRun(_name(run.result), _gaps(run.result), curve, picture, _facts(run.result))


def _gaps(result: Result) -> tuple[tuple[str, str, str, str, str], ...]:
    """The paired differences to maps that know nothing of the sound."""
    compared: list[tuple[str, MeasuredValue | None, MeasuredValue]] = []
    if result.vision_only is not None:
        blind = result.vision_only
        compared += _pairs("its own audio-blind map", blind.measures, blind.gap)
    if result.best_prior and len(result.priors) > 1:
        for best in result.best_prior:
            names = f" ({', '.join(best.names)})" if best.names else ""
            compared.append((f"best prior{names}", best.reached, best.gap))
    else:
        for prior in result.priors:
            compared += _pairs(f"prior {prior.name}", prior.measures, prior.gap)
    return tuple(
        (
            gap.measure,
            name,
            "" if other is None else _text(other),
            signed(gap.value, gap.measure),
            interval(gap),
        )
        for name, other, gap in compared
    )


def _pairs(
    name: str, measures: Sequence[MeasuredValue], gaps: Sequence[MeasuredValue]
) -> list[tuple[str, MeasuredValue | None, MeasuredValue]]:
    return [(name, value_of(measures, gap.measure), gap) for gap in gaps]


def _text(value: MeasuredValue) -> str:
    return shown(value.value, value.measure)


def _facts(result: Result) -> tuple[tuple[str, str], ...]:
    environment: dict[str, Any] = result.environment
    weights = [
        (f"weights of {part.name}", part.weights_sha256)
        for part in (result.model, *result.model.parts)
        if part.weights_sha256 is not None
    ]
    found = [
        ("protocol digest", result.protocol.digest),
        ("test set digest", result.test_set.digest),
        ("test set revision", result.test_set.revision or "no published one that is known here"),
        ("predictions digest", result.predictions_sha256 or "not known"),
        *weights,
        ("statistics", ", ".join(f"{name} {value}" for name, value in result.statistics.items())),
        ("ssl-bench", str(environment.get("ssl_bench", "not known"))),
    ]
    return tuple(found)


def _name(result: Result) -> str:
    variant = "" if result.model.variant is None else f" ({result.model.variant})"
    return f"{result.model.name}{variant}"


def _coverage(result: Result) -> str:
    coverage = result.coverage
    partial = ", partial" if coverage.partial else ""
    return f"{coverage.present:,} of {coverage.expected:,}{partial}"
