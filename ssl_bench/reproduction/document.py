"""What came out of a table that was run again."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import pandas as pd
from pydantic import Field, FiniteFloat, TypeAdapter

from ssl_bench.displays import Shown
from ssl_bench.files import content_folder
from ssl_bench.leaderboard.submissions import REPRODUCED
from ssl_bench.reproduction.table import Scale
from ssl_bench.schemas import Document, is_none

_IN_WORDS = {
    "holds": "hold",
    "reversed": "reversed",
    "not shown": "not shown",
    "cannot be run here": "not run",
    "differs by measure": "differ by measure",
}

RowVerdict = Literal[
    "reproduces", "reproduces in part", "does not reproduce", "measured", "cannot be run here"
]
ClaimVerdict = Literal["holds", "reversed", "not shown", "cannot be run here"]


class Cell(Document):
    """One figure of a table: as printed, and as measured.

    Attributes
    ----------
    row, column
        Id of the row, and the test set of the column.
    measure
        Of this project, or ``gap-`` and one for a difference of two rows.
    printed
        In percent or points; None where the paper leaves the cell out.
    protocol, part
        What answered, and the level of a grouping, such as ``A``; None where nothing did, and for
        all trials.
    values
        Measured, one for each training seed, in percent or points.
    low, high
        Bounds that hold the 95 % intervals of all of them.
    """

    row: str
    column: str
    measure: str
    printed: FiniteFloat | None
    protocol: str | None = None
    part: str | None = None
    values: tuple[FiniteFloat, ...] = ()
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None

    @property
    def value(self) -> float | None:
        """The mean over the seeds."""
        return sum(self.values) / len(self.values) if self.values else None


class Line(Document):
    """One row of a table, as it was trained on one set.

    Attributes
    ----------
    verdict
        ``reproduces``: every printed figure lies within the measured interval; ``in part``: every
        one that could be measured. At the small scales and on a test set of the user's own, whose
        figures are others by nature, a row is ``measured``.
    reason
        What is missing, where it cannot be run here.
    model
        What stood for it.
    """

    row: str
    label: str
    train_set: str
    verdict: RowVerdict
    reason: str | None = None
    model: str | None = None
    cells: tuple[Cell, ...]


class ClaimChecked(Document):
    """A claim of a table under one measure, and whether it holds here.

    Attributes
    ----------
    differences, lows, highs
        Of the better row minus the worse one, paired by trial, for each seed, in points.
    verdict
        ``holds``: every difference is positive, and the intervals of more than half of them exclude
        zero; ``reversed``: the same with the other sign; ``not shown``: neither.
    """

    says: str
    measure: str
    protocol: str | None = None
    differences: tuple[FiniteFloat, ...] = ()
    lows: tuple[FiniteFloat, ...] = ()
    highs: tuple[FiniteFloat, ...] = ()
    verdict: ClaimVerdict
    reason: str | None = None


class Reproduction(Shown, Document):
    """A table of a paper, run again beside its printed figures.

    Attributes
    ----------
    scale, seeds
        Which models on which test sets; how many trainings of each.
    test_set
        Name of the test set of the user's own that stood for the paper's; None for the paper's.
    partial
        Whether only some trials were answered.
    device, precision
        Where and how networks computed maps; None for the processor, and for 32 bits.

    Examples
    --------
    >>> import tempfile, ssl_bench
    >>> [done] = ssl_bench.reproduce("oya2020:3", limit=4, out=tempfile.mkdtemp())
    >>> [line.label for line in done.lines]
    ['Grad-CAM saliency, top-1 class', 'Grad-CAM saliency, top-100 classes']
    >>> done.to_frame()["printed"].tolist()
    [45.7, 41.1, 52.7, 46.3]
    """

    format: Literal["ssl-bench-reproduction/1"] = "ssl-bench-reproduction/1"
    paper: str
    table: str
    about: str
    note: str | None = None
    scale: Scale
    seeds: int
    test_set: str | None = Field(default=None, exclude_if=is_none)
    dialect: str | None
    partial: bool
    device: str | None = None
    precision: str | None = None
    lines: tuple[Line, ...]
    claims: tuple[ClaimChecked, ...]

    @property
    def label(self) -> str:
        """Paper and table."""
        return f"{self.paper}:{self.table}"

    @property
    def is_the_papers(self) -> bool:
        """Whether printed figures are of the same trials, so that rows are judged by them."""
        return self.scale == "full" and self.test_set is None

    @property
    def verdicts(self) -> dict[str, str]:
        """What came of each claim: the verdict of all of its measures, or that they differ."""
        found: dict[str, set[str]] = {}
        for claim in self.claims:
            found.setdefault(claim.says, set()).add(claim.verdict)
        return {
            says: own.pop() if len(own) == 1 else "differs by measure"
            for says, own in found.items()
        }

    @property
    def headline(self) -> str:
        """How many rows and claims came out how, in one line."""
        ran = sum(line.verdict != "cannot be run here" for line in self.lines)
        counts = Counter(self.verdicts.values())
        told = ", ".join(f"{count} {_IN_WORDS[verdict]}" for verdict, count in counts.items())
        claims = f"; claims: {told}" if told else ""
        return f"{self.label} at scale {self.scale}: {ran} of {len(self.lines)} rows run{claims}"

    def to_frame(self) -> pd.DataFrame:
        """One row a cell: what is printed, what was measured, and the row's verdict."""
        return pd.DataFrame(
            {
                "paper": self.paper,
                "table": self.table,
                "method": line.label,
                "train_set": line.train_set,
                "test_set": cell.column,
                "measure": cell.measure,
                "printed": cell.printed,
                "scale": self.scale,
                "model": line.model,
                "protocol": cell.protocol,
                "measured": cell.value,
                "low": cell.low,
                "high": cell.high,
                "seeds": len(cell.values),
                "verdict": line.verdict,
                "reason": line.reason,
            }
            for line in self.lines
            for cell in line.cells
        )

    def claims_frame(self) -> pd.DataFrame:
        """One row a claim."""
        return pd.DataFrame(
            {
                "paper": self.paper,
                "table": self.table,
                "scale": self.scale,
                "claim": claim.says,
                "measure": claim.measure,
                "protocol": claim.protocol,
                "verdict": claim.verdict,
                "differences": " ".join(f"{each:+.1f}" for each in claim.differences),
                "reason": claim.reason,
            }
            for claim in self.claims
        )


def read_reproduced() -> tuple[Reproduction, ...]:
    """The tables that ship as they came out in the embedded world.

    Examples
    --------
    >>> {each.scale for each in read_reproduced()}
    {'synth'}
    """
    path = content_folder("leaderboard") / REPRODUCED
    return TypeAdapter(tuple[Reproduction, ...]).validate_json(path.read_bytes())
