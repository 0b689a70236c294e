"""The score table of a run as a file: one numpy array for each column, with its name.

``pandas.DataFrame(dict(numpy.load("scores.npz")))`` reads it anywhere.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ssl_bench.arrays import DAMAGE, read_arrays
from ssl_bench.errors import ResultError
from ssl_bench.files import atomic_path
from ssl_bench.measures.values import column_of

SCORES = "scores.npz"
"""Name of the score table in a run folder."""


# Kinds of arrays that columns have, in words; a number that is not defined is NaN.
_TEXTS = dict.fromkeys(("trial_id", "group", "category", "role", "image", "size"), "text")
_FLAGS = dict.fromkeys(("present", "sounding", "unscorable"), "flags")
_COUNTS = dict.fromkeys(
    ("n_boxes", "truth_pixels", "n_objects", "n_capable", "n_sounding", "n_silent"), "whole numbers"
)
_KNOWN = _TEXTS | _FLAGS | _COUNTS
_KINDS = {"text": "U", "flags": "b", "whole numbers": "iu", "numbers": "biuf"}
_NEEDED = {"trial_id", "group", "category", "present", "sounding"}


def write_scores(path: Path, table: pd.DataFrame, *, comment: str = "") -> None:
    """Write a score table atomically; every value and type is kept. A comment is the archive's."""
    columns: dict[str, Any] = {
        str(name): column.to_numpy("U" if pd.api.types.is_string_dtype(column) else None)
        for name, column in table.items()
    }
    with atomic_path(path) as temporary:
        with temporary.open("wb") as file:
            np.savez_compressed(file, **columns)
        if comment:
            with zipfile.ZipFile(temporary, "a") as archive:
                archive.comment = comment.encode()


def read_scores(path: Path) -> pd.DataFrame:
    """Read a score table.

    Raises ResultError if the file is missing, damaged, no score table, repeats a trial, lacks a
    column, or has something else in one, such as text among numbers.
    """
    damaged = ResultError(
        "this is not a score table, or it is damaged",
        code="E_SCORES_DAMAGED",
        where=path,
        remedy=f"give the {SCORES} of a run folder, or evaluate or score again",
    )
    try:
        arrays = read_arrays(path)
        table = pd.DataFrame(arrays)
    except FileNotFoundError as error:
        raise ResultError(
            "this score table does not exist",
            code="E_FILE_MISSING",
            where=path,
            remedy=f"keep result.json and {SCORES} together, as 'evaluate' writes them",
        ) from error
    except DAMAGE as error:
        raise damaged from error
    if not set(table.columns) >= _NEEDED:
        raise damaged
    for name, array in arrays.items():
        wanted = _KNOWN.get(name, "numbers")
        is_known = name in _KNOWN or column_of(name)[0] is not None
        if is_known and array.dtype.kind not in _KINDS[wanted]:
            raise ResultError(
                f"the column {name!r} has {array.dtype} instead of {wanted}",
                code="E_SCORES_DAMAGED",
                where=path,
                remedy="keep the table as it was written, or evaluate or score again",
            )
    repeated = table["trial_id"][table["trial_id"].duplicated()]
    if len(repeated):
        raise ResultError(
            f"this score table has more than one row for {repeated.iloc[0]!r}",
            code="E_SCORES_REPEATED",
            where=path,
            remedy="evaluate or score again",
        )
    return table
