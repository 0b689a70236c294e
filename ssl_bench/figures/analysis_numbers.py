"""What a score table holds beyond its means: curves and breakdowns, as one tidy table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from ssl_bench.measures.definition import Measure
from ssl_bench.measures.values import parse_measure
from ssl_bench.scoring.aggregate import MAX_LEVELS, grouping_columns, summarise
from ssl_bench.scoring.results import MeasuredValue

Kind = Literal["model", "audio-blind", "prior", "floor", "ceiling", "rule"]

COLUMNS = ("analysis", "level", "series", "kind", *MeasuredValue.model_fields)
SIZES = ("small", "medium", "large", "huge")
"""Levels of object size, from the smallest (SLAVC utils.py: 32, 96 and 144 pixels squared)."""

MOST_LEVELS = 8
"""Of an attribute with more levels, there are rows of the model alone, and no panel."""

WHOLE = ("overall", "success curve", "threshold rule")
"""Analyses of all trials together; every other one is a breakdown."""

_BOXES, _SIZE, _CATEGORY = "n_boxes", "size", "category"
_SUCCESS = parse_measure("cIoU@0.5")
_AREA = parse_measure("AUC")
_CURVE = tuple(parse_measure(f"cIoU@{step / 20:.2f}") for step in range(21))
# Levels of fewer trials are joined at the upper end, where a rate says next to nothing.
_FEWEST = 20


@dataclass(frozen=True, eq=False)
class Series:
    """A score table with a name; only its trials with a sounding object count."""

    name: str
    kind: Kind
    scores: pd.DataFrame

    @property
    def sounding(self) -> pd.DataFrame:
        """The rows that count."""
        return self.scores[self.scores["sounding"].to_numpy(bool)]

    def rows(
        self,
        analysis: str,
        level: str,
        scores: pd.DataFrame,
        measures: Sequence[Measure],
        seed: int,
    ) -> list[dict[str, Any]]:
        """Measures on some of the rows, as rows of the tidy table."""
        facts = {"analysis": analysis, "level": level, "series": self.name, "kind": self.kind}
        values = summarise(scores, measures, seed=seed)
        return [{**facts, **value.model_dump(mode="json")} for value in values]


def analyse_scores(series: Sequence[Series], *, seed: int = 0) -> pd.DataFrame:
    """Success curve, and success by number of boxes, object size, category and each attribute.

    Returns a table of :data:`COLUMNS`: ``analysis`` is ``overall``, ``success curve``, ``boxes``,
    ``size``, ``category`` or the name of an attribute of the trials; ``level`` the cIoU threshold
    or the name of the level. Breakdowns are success at 0.5; those by category, and by attributes of
    more than :data:`MOST_LEVELS` levels, are of the model alone.
    """
    rows: list[dict[str, Any]] = []
    for each in series:
        sounding = each.sounding
        rows += each.rows("overall", "all", sounding, (_SUCCESS, _AREA), seed)
        curve = each.rows("success curve", "", sounding, _CURVE, seed)
        rows += [{**row, "level": f"{m.at:.2f}"} for row, m in zip(curve, _CURVE, strict=True)]
        for analysis, names in _groupings(sounding, each.kind).items():
            grouped = dict(iter(sounding.groupby(names.to_numpy(), sort=True)))
            order = SIZES if analysis == _SIZE else tuple(grouped)
            for level in order:
                if level in grouped:
                    rows += each.rows(analysis, str(level), grouped[level], (_SUCCESS,), seed)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _groupings(sounding: pd.DataFrame, kind: Kind) -> dict[str, pd.Series[Any]]:
    """The level of each trial in every breakdown, by its name in the table."""
    found: dict[str, pd.Series[Any]] = {}
    known = grouping_columns(sounding)
    # Boxes and sizes come first, as in the figure.
    for name in sorted(known, key=lambda name: (name not in (_BOXES, _SIZE), known.index(name))):
        column = sounding[name]
        if name == _BOXES:
            found["boxes"] = box_levels(column)
        elif name == _SIZE or (name == _CATEGORY and kind == "model"):
            found[name] = column
        elif name != _CATEGORY:
            most = MAX_LEVELS if kind == "model" else MOST_LEVELS
            if 2 <= column.nunique() <= most:
                taken = name in (*WHOLE, "boxes")
                found[f"attribute {name}" if taken else name] = column
    return found


def analyse_rules(
    tables: Mapping[str, pd.DataFrame], titles: Mapping[str, str], *, seed: int = 0
) -> pd.DataFrame:
    """Success at 0.5 and AUC under each threshold rule; same columns."""
    rows: list[dict[str, Any]] = []
    for name, scores in tables.items():
        each = Series(titles[name], "rule", scores)
        rows += each.rows("threshold rule", name, each.sounding, (_SUCCESS, _AREA), seed)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def box_levels(counts: pd.Series[int]) -> pd.Series[str]:
    """Numbers of boxes as levels ``1``, ``2`` ...; rare high ones are joined into one, ``4+``.

    Examples
    --------
    >>> sorted(set(box_levels(pd.Series([1] * 30 + [2] * 25 + [3] * 6 + [5] * 2))))
    ['1', '2+']
    >>> sorted(set(box_levels(pd.Series([1] * 30 + [2] * 25 + [4] * 20))))
    ['1', '2', '4']
    """
    sizes = counts.value_counts().sort_index(ascending=False)
    last, held = int(counts.max()), 0
    for count, size in sizes.items():
        last, held = int(str(count)), held + int(size)
        if held >= _FEWEST:
            break
    joined = last < int(counts.max())
    return counts.map(lambda count: f"{last}+" if joined and count >= last else str(count))


def part(table: pd.DataFrame, analysis: str, series: str | None = None) -> pd.DataFrame:
    """The rows of one analysis, of one series where it is named."""
    chosen = table["analysis"] == analysis
    if series is not None:
        chosen &= table["series"] == series
    return table[chosen]
