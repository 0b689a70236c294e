"""Results of one or more runs as a single page, for a paper's appendix: no file beside it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ssl_bench.analysis.paired_runs import read_scores_of
from ssl_bench.errors import LeaderboardError, ResultError
from ssl_bench.files import files_of, write_text
from ssl_bench.interchange.result_rows import FIGURES, Given, ResultTable, tables_of
from ssl_bench.leaderboard.assessment import check_printable
from ssl_bench.leaderboard.card import bounded_bytes
from ssl_bench.leaderboard.evidence import success_curve
from ssl_bench.media.image import source_of
from ssl_bench.scoring.hearing import hearing_sentence
from ssl_bench.scoring.results import Result, read_result
from ssl_bench.scoring.score_file import SCORES
from ssl_bench.scoring.settings import RUN, WEIGHTS
from ssl_bench.site.drawing import Scale
from ssl_bench.site.drawing import success_curve as drawn_curve
from ssl_bench.site.entry_page import breakdown_lines
from ssl_bench.site.rendering import MINUS, render

RESULT, PICTURES = "result.json", "trials.png"
_MAX_PICTURE_BYTES = 2**25
# Classes of the style sheet.
_STYLES = {"model": "entry", "prior": "blind", "trivial map": "floor", "ceiling": "ceiling"}
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, eq=False)
class Run:
    """A run folder, as far as a report shows it.

    Attributes
    ----------
    given
        Its result, its scores (where the folder has some), and what it is called.
    pictures
        PNG of single trials; None where there is none.
    """

    folder: Path
    given: Given
    pictures: bytes | None

    @property
    def result(self) -> Result:
        """The same, without what belongs to it."""
        return self.given.result


@dataclass(frozen=True)
class Made:
    """When and how a page was made; the commit is empty where that is unknown."""

    date: str
    version: str
    commit: str
    command: str


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


def labelled(runs: Sequence[Run], labels: Sequence[str]) -> list[Run]:
    """Runs under other names, one for each; without names, as they are."""
    if not labels:
        return list(runs)
    return [
        replace(run, given=replace(run.given, label=label))
        for run, label in zip(runs, labels, strict=True)
    ]


def write_report(
    path: Path,
    runs: Sequence[Run],
    *,
    measures: Sequence[str] = (),
    columns: Sequence[str] = (),
    made: Made | None = None,
) -> None:
    """Write one HTML file with everything in it; the same arguments give the same bytes.

    `measures` and `columns` are those of the tables; see
    :func:`~ssl_bench.interchange.result_rows.tables_of`. Raises ResultError if there is no
    run, or one of them is unknown.
    """
    if not runs:
        raise ResultError("there is no run to report", code="E_RUN_FOLDER")
    tables = tables_of([run.given for run in runs], measures=measures, references=True)
    groups = [_group(table, table.columns(columns), runs) for table in tables]
    style = (Path(__file__).parent / "assets" / "site.css").read_text(encoding="utf-8")
    # The policy admits this style and nothing else, so the page can neither run nor fetch anything.
    allowed = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    page = render("appendix.html.jinja", groups=groups, style=style, allowed=allowed, made=made)
    write_text(path, page)


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
    given = Given(result, run=folder.absolute().name, scores=scores)
    return Run(folder, given, _read_pictures(folder / PICTURES, result))


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


def _group(table: ResultTable, columns: Sequence[str], runs: Sequence[Run]) -> dict[str, Any]:
    """One table with what stands below it."""
    blocks = []
    for measure, rows in table.blocks.items():
        scale = Scale.of(row.found.value for row in rows)
        shown = [
            {
                "kind": _STYLES[row.kind],
                "name": row.name,
                "about": "" if row.kind in ("model", row.name) else row.kind,
                "strip": scale.strip(row.found.value),
                "cells": [(name in row.best, row.cell(name, minus=MINUS)) for name in columns],
            }
            for row in rows
        ]
        blocks.append((measure, shown))
    members = [run for run in runs if any(run.given is each for each in table.given)]
    return {
        "title": table.given[0].result.protocol.title,
        "heading": table.title,
        "columns": [(name.replace("-", " "), name in FIGURES[1:]) for name in columns],
        "blocks": blocks,
        "how_best": table.how_best if any(row.best for row in table.rows) else "",
        "runs": [_run(run, table.settings) for run in members],
    }


def _run(run: Run, settings: Sequence[str]) -> dict[str, Any]:
    """What is shown of one run below the tables."""
    curve, picture, given = None, "", run.given
    if given.scores is not None and "sounding" in given.scores:
        curve = drawn_curve(success_curve(given.scores))
    if run.pictures is not None:
        picture = "data:image/png;base64," + base64.b64encode(run.pictures).decode("ascii")
    result = run.result
    broken_down = next(iter(result.breakdown.values()), {})
    first = next((values[0].measure for values in broken_down.values() if values), "")
    told = [f"{name} {given.settings[name]}" for name in settings if given.settings.get(name)]
    return {
        "name": f"{given.name} ({', '.join(told)})" if told else given.name,
        "sentence": hearing_sentence(result.hearing[0]) if result.hearing else "",
        "curve": curve,
        "measure": first,
        "breakdowns": [breakdown_lines(result, name, first) for name in result.breakdown],
        "picture": picture,
        "facts": _facts(given),
    }


def _facts(given: Given) -> list[tuple[str, str]]:
    result = given.result
    weights = [
        (f"weights of {part.name}", part.weights_sha256)
        for part in (result.model, *result.model.parts)
        if part.weights_sha256 is not None
    ]
    coverage, used = result.coverage, result.environment
    partial = ", partial" if coverage.partial else ""
    facts = [
        ("run folder", given.run),
        ("trials answered", f"{coverage.present:,} of {coverage.expected:,}{partial}"),
        *(
            (name.replace("-", " "), given.settings[name])
            for name in given.settings
            if name not in (RUN, WEIGHTS)
        ),
        ("protocol digest", result.protocol.digest),
        ("test set digest", result.test_set.digest),
        ("test set revision", result.test_set.revision or "no published one that is known here"),
        ("predictions digest", result.predictions_sha256 or "not known"),
        *weights,
        ("statistics", ", ".join(f"{name} {value}" for name, value in result.statistics.items())),
        ("ssl-bench", str(used.get("ssl_bench", "not known"))),
        ("commit", str(used.get("commit") or "not known")),
    ]
    return [(name, text) for name, text in facts if text]
