"""Measures of columns that are written down, through the code that sums up scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ssl_bench.measures.columns import derived_columns
from ssl_bench.measures.values import columns_read, parse_measure
from ssl_bench.scoring.aggregate import counted_rows, per_trial


def mean_of(text: str, **columns: ArrayLike) -> float:
    """A mean over trials that all sound and have a map, from the columns that it is made of."""
    measure = parse_measure(text)
    table: dict[str, Any] = {name: np.asarray(values) for name, values in columns.items()}
    count = len(next(iter(table.values())))
    table = {"sounding": np.ones(count, bool), "present": np.ones(count, bool)} | table
    scores = pd.DataFrame(table | derived_columns(columns_read([measure]), table))
    return float(per_trial(scores, measure)[counted_rows(scores, measure)].mean())


def iiou(values: ArrayLike, image: ArrayLike, threshold: float) -> float:
    """Share of pictures in which every sound is localised."""
    names = np.asarray(image, str).astype(object)
    return mean_of(f"IIoU@{float(threshold)!r}", cIoU=np.asarray(values, np.float64), image=names)


def iauc(values: ArrayLike, image: ArrayLike) -> float:
    """Area under :func:`iiou`."""
    names = np.asarray(image, str).astype(object)
    return mean_of("IAUC", cIoU=np.asarray(values, np.float64), image=names)
