"""Figures printed in papers: ``published.csv``, one figure a row.

They are facts about papers, not about models measured here, and are never ranked with entries.
``README.md`` beside the file says what its columns hold.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator

from ssl_bench.errors import LeaderboardError
from ssl_bench.files import content_folder
from ssl_bench.leaderboard.card import bounded_bytes
from ssl_bench.schemas import Strict, in_words

PUBLISHED = "published.csv"
"""Name of the file on a board."""

MAX_PUBLISHED_BYTES = 2**22
"""The largest such file that is read."""

_CONFLICT = "CONFLICT:"
_DOUBTS = ("TRAIN-SET DOUBT:", "PRETRAINING DOUBT:")

Word = Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=r"^[ -~]+$")]


class PublishedFigure(Strict):
    """One figure as a paper prints it.

    Attributes
    ----------
    paper, table
        Where it is printed.
    method, variant
        Whose it is; `variant` is empty where the table shows only one.
    modality, vision_pretraining
        What the maps depend on, and whether the localisation backbone was pretrained.
    train_set, test_set, protocol
        What it was trained on, and what was asked.
    metric, value, unit
        The figure, in percent or percentage points, by what it is: a measure of this project, or
        ``gap-`` and one, with the sound minus without it.
    printed_as
        What the paper calls the metric, where that is another measure's name here; else empty.
    note
        Remarks, separated by ``;``.
    """

    paper: Word
    table: Word
    method: Word
    variant: Annotated[str, StringConstraints(max_length=100)]
    modality: Literal["audio-visual", "vision-only", "random"]
    vision_pretraining: Literal["yes", "no", "unstated", "n/a"]
    train_set: Word
    test_set: Word
    protocol: Word
    metric: Word
    printed_as: Annotated[str, StringConstraints(max_length=60)]
    value: Annotated[float, Field(ge=-100, le=100)]
    unit: Literal["percent", "percentage-points"]
    note: Annotated[str, StringConstraints(max_length=1000)]

    @field_validator("value", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return float(value) if isinstance(value, str) else value

    @property
    def in_conflict(self) -> bool:
        """Whether another table prints another figure for the same."""
        return _CONFLICT in self.note

    @property
    def in_doubt(self) -> bool:
        """Whether what it was trained or pretrained on is in doubt."""
        return any(doubt in self.note for doubt in _DOUBTS)


def read_published(path: Path | None = None) -> tuple[PublishedFigure, ...]:
    """Read the figures, in the order of the file.

    Parameters
    ----------
    path
        The file; None for the one that ships.

    Raises
    ------
    LeaderboardError
        If it cannot be read, or a row does not follow the schema; it names the line.

    Examples
    --------
    >>> figures = read_published()
    >>> len(figures), sum(figure.in_conflict for figure in figures)
    (471, 49)
    """
    place = content_folder("leaderboard") / PUBLISHED if path is None else path
    columns = list(PublishedFigure.model_fields)
    try:
        text = bounded_bytes(place, MAX_PUBLISHED_BYTES).decode("utf-8-sig")
        rows = list(csv.reader(text.splitlines(keepends=True), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise LeaderboardError(
            f"this is not a readable table ({error})", code="E_FIGURES", where=place
        ) from error
    if not rows or rows[0] != columns:
        raise LeaderboardError(
            "this table has other columns",
            code="E_FIGURES",
            where=place,
            remedy=f"its first line must be: {','.join(columns)}",
        )
    found = []
    for number, row in enumerate(rows[1:], start=2):
        try:
            found.append(PublishedFigure.model_validate(dict(zip(columns, row, strict=True))))
        except ValueError as error:
            raise LeaderboardError(
                f"row {number} cannot be used ({in_words(error)})", code="E_FIGURES", where=place
            ) from error
    return tuple(found)
