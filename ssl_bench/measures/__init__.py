"""Measures: one function for each, on arrays; the fused kernel; and what each measure is.

Every measure of ``ssl-bench measures`` is a function of maps and truths here, under its name with
``_`` for ``-``. Their numbers are those of scoring, bit for bit.

Examples
--------
>>> import numpy as np
>>> from ssl_bench.measures import cIoU
>>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
>>> cIoU(np.array([[[0.9, 0.1]], [[0.9, 0.1]]]), truths)
0.5
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssl_bench.measures.arrays import Score as Score
    from ssl_bench.measures.on_arrays.detection import AP as AP
    from ssl_bench.measures.on_arrays.detection import F1 as F1
    from ssl_bench.measures.on_arrays.detection import LocAcc as LocAcc
    from ssl_bench.measures.on_arrays.detection import maxF1 as maxF1
    from ssl_bench.measures.on_arrays.detection import precision_all as precision_all
    from ssl_bench.measures.on_arrays.interaction import IAUC as IAUC
    from ssl_bench.measures.on_arrays.interaction import IIoU as IIoU
    from ssl_bench.measures.on_arrays.interaction import scene_AUC as scene_AUC
    from ssl_bench.measures.on_arrays.interaction import scene_cIoU as scene_cIoU
    from ssl_bench.measures.on_arrays.interaction import swap_sensitivity as swap_sensitivity
    from ssl_bench.measures.on_arrays.localization import AUC as AUC
    from ssl_bench.measures.on_arrays.localization import cIoU as cIoU
    from ssl_bench.measures.on_arrays.localization import mean_cIoU as mean_cIoU
    from ssl_bench.measures.on_arrays.localization import pointing as pointing
    from ssl_bench.measures.on_arrays.localization import pooled_AUC as pooled_AUC
    from ssl_bench.measures.on_arrays.localization import pooled_cIoU as pooled_cIoU
    from ssl_bench.measures.on_arrays.localization import side_accuracy as side_accuracy
    from ssl_bench.measures.on_arrays.localization import tau_AUC as tau_AUC
    from ssl_bench.measures.on_arrays.pixel_precision import CAP as CAP
    from ssl_bench.measures.on_arrays.pixel_precision import PIAP as PIAP
    from ssl_bench.measures.on_arrays.pixel_precision import class_AP as class_AP
    from ssl_bench.measures.on_arrays.pixel_precision import class_IoU as class_IoU
    from ssl_bench.measures.on_arrays.retrieval import category_recall as category_recall
    from ssl_bench.measures.on_arrays.retrieval import mAP as mAP
    from ssl_bench.measures.on_arrays.retrieval import median_rank as median_rank
    from ssl_bench.measures.on_arrays.retrieval import recall as recall
    from ssl_bench.measures.on_arrays.segmentation import max_F as max_F
    from ssl_bench.measures.on_arrays.segmentation import mIoU as mIoU
    from ssl_bench.measures.on_arrays.separation import AOC as AOC
    from ssl_bench.measures.on_arrays.separation import AUROC as AUROC
    from ssl_bench.measures.on_arrays.separation import F_AUC_AOC as F_AUC_AOC
    from ssl_bench.measures.on_arrays.separation import F_pos_neg as F_pos_neg
    from ssl_bench.measures.on_arrays.separation import pIA as pIA
    from ssl_bench.measures.on_arrays.silent_area import NSA as NSA
    from ssl_bench.measures.on_arrays.silent_area import scene_NSA as scene_NSA
    from ssl_bench.measures.on_arrays.silent_area import tile_NSA as tile_NSA
    from ssl_bench.measures.on_arrays.silent_area import type_gap as type_gap
    from ssl_bench.measures.on_arrays.truths import truths_from_boxes as truths_from_boxes
    from ssl_bench.measures.on_arrays.truths import truths_from_masks as truths_from_masks

# Functions by the module that holds them, which is imported when one is asked for: it loads the
# definitions of all measures, and calling one starts the compiler.
_FUNCTIONS = {
    "detection": (
        "AP",
        "F1",
        "LocAcc",
        "maxF1",
        "precision_all",
    ),
    "interaction": (
        "IAUC",
        "IIoU",
        "scene_AUC",
        "scene_cIoU",
        "swap_sensitivity",
    ),
    "localization": (
        "AUC",
        "cIoU",
        "mean_cIoU",
        "pointing",
        "pooled_AUC",
        "pooled_cIoU",
        "side_accuracy",
        "tau_AUC",
    ),
    "pixel_precision": (
        "CAP",
        "PIAP",
        "class_AP",
        "class_IoU",
    ),
    "retrieval": (
        "category_recall",
        "mAP",
        "median_rank",
        "recall",
    ),
    "segmentation": (
        "mIoU",
        "max_F",
    ),
    "separation": (
        "AOC",
        "AUROC",
        "F_AUC_AOC",
        "F_pos_neg",
        "pIA",
    ),
    "silent_area": (
        "NSA",
        "scene_NSA",
        "tile_NSA",
        "type_gap",
    ),
    "truths": (
        "truths_from_boxes",
        "truths_from_masks",
    ),
}
_HOMES = {"Score": "arrays"} | {
    name: f"on_arrays.{module}" for module, names in _FUNCTIONS.items() for name in names
}

__all__ = sorted(_HOMES)


def __dir__() -> list[str]:
    return list(__all__)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    if not isinstance(found, type):
        from ssl_bench.arguments import named_arguments

        found = named_arguments()(found)
    globals()[name] = found
    return found
