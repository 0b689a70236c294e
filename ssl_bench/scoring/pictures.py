"""Columns of the scores that need several trials: those of one picture, or the finished table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.measures.definition import Measure, rule_column
from ssl_bench.measures.interpolation import upsample
from ssl_bench.measures.values import PICTURE_COLUMNS, TABLE_COLUMNS
from ssl_bench.trials.trial import ImageRecipe, TrialSet

_Kept = NDArray[Any] | Path
"""A map, or the file that it waits in."""

# Bytes of maps that wait in memory for those of the same picture; more go to disk.
_IN_MEMORY = 64 * 2**20


def columns_read(measures: Iterable[Measure]) -> set[str]:
    """Every column that measures read, and those that these are computed from.

    Examples
    --------
    >>> from ssl_bench.measures.values import parse_measure
    >>> sorted(columns_read([parse_measure("IIoU(adaptive)@0.5")]))
    ['cIoU(adaptive)', 'image', 'image_cIoU(adaptive)', 'sounding']
    """
    found = {column for measure in measures for column in measure.columns}
    for column in sorted(found):
        name, rule = _split(column)
        if name in TABLE_COLUMNS:
            found.update(_read_by(name, rule))
    return found


def derived_columns(
    names: Iterable[str], table: Mapping[str, Sequence[Any] | NDArray[Any]]
) -> dict[str, NDArray[np.float64]]:
    """Those of the named columns that are computed from others, where these are there.

    Parameters
    ----------
    names
        Names of columns, of which any may be something else.
    table
        The columns that they are computed from, one entry per trial.
    """
    found = {}
    for column in sorted(names):
        name, rule = _split(column)
        if name in TABLE_COLUMNS:
            reads = _read_by(name, rule)
            if all(read in table for read in reads):
                found[column] = TABLE_COLUMNS[name].compute(*(np.asarray(table[r]) for r in reads))
    return found


def _split(column: str) -> tuple[str, str | None]:
    name, _, rule = column.partition("(")
    return name, rule[:-1] or None


def _read_by(name: str, rule: str | None) -> list[str]:
    reads = TABLE_COLUMNS[name].reads
    return [rule_column(read, rule) if read == "cIoU" else read for read in reads]


class PictureColumns:
    """Columns that are computed from all maps of one picture together.

    Maps may come in any order and from several threads. Those that wait for others of their
    picture are kept as they came, in memory or, beyond 64 MB, in a temporary folder.

    Parameters
    ----------
    trials
        Trials of the protocol.
    names
        Names of columns, of which any may be something else.
    """

    def __init__(self, trials: TrialSet, names: Iterable[str]) -> None:
        self._trials = trials
        self._compute = {name: PICTURE_COLUMNS[name] for name in names if name in PICTURE_COLUMNS}
        self._numbers = {name: np.zeros(len(trials)) for name in self._compute}
        self._left = Counter(trial.image for trial in trials) if self._compute else Counter()
        self._waiting: dict[ImageRecipe, dict[int, _Kept]] = {}
        self._held = 0
        self._folder: TemporaryDirectory[str] | None = None
        self._lock = Lock()

    def add(self, rows: NDArray[np.intp], maps: Iterable[NDArray[Any]]) -> None:
        """Take the maps of a few trials; a picture is computed when its last map is there."""
        if not self._compute:
            return
        for row, heat in zip(rows.tolist(), maps, strict=True):
            with self._lock:
                complete = self._take(row, heat)
            if complete is not None:
                self._fill(complete)

    def columns(self) -> dict[str, NDArray[np.float64]]:
        """The columns ``(n,)``; a picture of which maps are missing is computed from the others.

        A trial without a map has 0, as has one that is left alone with its picture.
        """
        for members in self._waiting.values():
            self._fill(members)
        self._waiting.clear()
        if self._folder is not None:
            self._folder.cleanup()
        return self._numbers

    def _take(self, row: int, heat: NDArray[Any]) -> dict[int, _Kept] | None:
        """Keep a map; all maps of its picture, where it is the last of them."""
        image = self._trials.trials[row].image
        members = self._waiting.setdefault(image, {})
        self._left[image] -= 1
        if self._left[image] == 0:
            del self._waiting[image]
            self._held -= sum(
                kept.nbytes for kept in members.values() if not isinstance(kept, Path)
            )
            return {**members, row: heat}
        if self._held + heat.nbytes <= _IN_MEMORY:
            self._held += heat.nbytes
            members[row] = heat.copy()
        else:
            if self._folder is None:
                self._folder = TemporaryDirectory(prefix="ssl-bench-")
            path = Path(self._folder.name) / f"{row}.npy"
            np.save(path, heat)
            members[row] = path
        return None

    def _fill(self, members: Mapping[int, _Kept]) -> None:
        if len(members) < 2:
            return
        size = self._trials.protocol.map.size
        rows = sorted(members)
        maps = [_loaded(members[row]) for row in rows]
        calls = [self._trials.interpolation(row) for row in rows]
        first = upsample(maps[0], size, calls[0])
        # A map that does not depend on the sound is brought to the grid once.
        grids = [
            first
            if call == calls[0] and np.array_equal(heat, maps[0])
            else upsample(heat, size, call)
            for heat, call in zip(maps, calls, strict=True)
        ]
        for name, compute in self._compute.items():
            self._numbers[name][rows] = compute(grids)


def _loaded(kept: _Kept) -> NDArray[Any]:
    if not isinstance(kept, Path):
        return kept
    heat: NDArray[Any] = np.load(kept)
    kept.unlink()
    return heat
