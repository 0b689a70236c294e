"""Measures: plain functions of arrays, the fused kernel, and what each measure is.

Examples
--------
>>> import numpy as np
>>> truth = np.array([[1.0, 0.0], [1.0, 0.0]])
>>> ciou(np.array([[0.9, 0.1]]), truth), success([0.4, 0.6], 0.5).mean().item()
(1.0, 0.5)
"""

from ssl_bench.measures.detection import average_precision, max_f1
from ssl_bench.measures.interaction import swap_sensitivity
from ssl_bench.measures.localization import area_under_success, ciou, success
from ssl_bench.measures.segmentation import f_curve, iou, max_f
from ssl_bench.measures.separation import auroc
from ssl_bench.measures.silent_area import type_gap

__all__ = [
    "area_under_success",
    "auroc",
    "average_precision",
    "ciou",
    "f_curve",
    "iou",
    "max_f",
    "max_f1",
    "success",
    "swap_sensitivity",
    "type_gap",
]
