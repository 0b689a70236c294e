"""Scores of maps that many models are compared with, kept in the cache folder.

Floors, the ceiling and the maps of audio-blind baselines are the same for every model on a
protocol. What is kept carries everything that decides it in its name, and its name inside; anything
else is made again.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import TypeAdapter

from ssl_bench.arrays import DAMAGE
from ssl_bench.errors import ResultError
from ssl_bench.files import (
    cache_folder,
    digest_of_code,
    read_kept,
    sha256_of_json,
    write_kept,
)
from ssl_bench.measures.definition import Measure
from ssl_bench.measures.values import column_of, columns_read
from ssl_bench.scoring.maps import TRIVIAL_MAPS
from ssl_bench.scoring.score_file import read_scores, write_scores
from ssl_bench.trials.trial_set import TrialSet

_Document = TypeVar("_Document")

_CODE = ("scoring", "measures", "statistics", "trials", "testsets", "protocols", "predictions")
_LIBRARIES = ("numpy", "pandas", "numba")
_PACKAGE = "ssl_bench"
_SMALL = 2**20  # Bytes


class ScoreCache:
    """Kept scores of some trials under the conventions of their protocol, for these measures.

    Nothing is kept of a test set or a measure from outside this package, whose code has no digest,
    nor of trials that have thresholds of their own.

    Parameters
    ----------
    trials, measures
        What is scored.
    used
        False to compute everything again and to keep nothing.
    """

    def __init__(self, trials: TrialSet, measures: Sequence[Measure], *, used: bool = True) -> None:
        self._key: list[Any] | None = None
        if used and trials.thresholds is None and _is_ours(trials, measures):
            self._key = [
                digest_of_code(_CODE, libraries=_LIBRARIES),
                trials.protocol.model_dump_json(),
                trials.full_digest,
                [trials.test_set.digest, trials.truth_convention],
                [str(measure) for measure in measures],
            ]

    def table(self, maps: Sequence[Any], make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """The score table of maps; `maps` is JSON-able and says which these are."""
        path = self._path("table", maps, ".npz")
        if path is not None and path.is_file():
            with suppress(ResultError, *DAMAGE):
                told = path.stat()
                read = _read if told.st_size > _SMALL else _read_once
                found = read(path, told.st_mtime_ns)
                if found is not None:
                    return found
        table = make()
        if path is not None:
            with suppress(OSError):
                write_scores(path, table, comment=path.name)
        return table

    def document(
        self, maps: Sequence[Any], reader: TypeAdapter[_Document], make: Callable[[], _Document]
    ) -> _Document:
        """What is summarised of maps, as :meth:`table` has it, by what reads and writes it."""
        path = self._path("document", maps, ".json")
        text = None if path is None else read_kept(path)
        if text is not None:
            with suppress(ValueError):
                return reader.validate_json(text)
        made = make()
        if path is not None:
            with suppress(OSError):
                write_kept(path, reader.dump_json(made).decode())
        return made

    def _path(self, what: str, maps: Sequence[Any], suffix: str) -> Path | None:
        if self._key is None:
            return None
        name = sha256_of_json([*self._key, what, list(maps)])
        return cache_folder("scores", name[:2], f"{name}{suffix}")


def _read(path: Path, _written_ns: int) -> pd.DataFrame | None:
    """A kept table; None where it is not what its name says."""
    with zipfile.ZipFile(path) as archive:
        if archive.comment.decode() != path.name:
            return None
    return read_scores(path)


# Entries of a board are compared with the same few tables, one after the other.
_read_once = lru_cache(maxsize=16)(_read)


def digest_of_rows(counted: NDArray[np.bool_]) -> str:
    """What tells which trials ``(n,)`` count, for the name of what is kept of them."""
    return np.packbits(counted).tobytes().hex() if not counted.all() else "all"


def _is_ours(trials: TrialSet, measures: Sequence[Measure]) -> bool:
    """Whether the code that draws truths and scores maps is that of this package alone."""
    code: list[Any] = [type(trials.test_set)]
    for measure in measures:
        code += [measure.definition.per_trial, measure.definition.overall]
    for name in columns_read(measures):
        column, _ = column_of(name)
        code += [] if column is None else [column.compute, column.perfect]
    code += [TRIVIAL_MAPS.get(name) for name in trials.protocol.controls.floors]
    modules = {getattr(getattr(each, "func", each), "__module__", None) for each in code}
    return {str(name or _PACKAGE).split(".")[0] for name in modules} <= {_PACKAGE, "numpy"}
