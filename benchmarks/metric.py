"""How fast a batch of maps in memory is measured, against plain loops over its images.

Run ``python benchmarks/metric.py``; see README.md beside it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from time import thread_time

import numpy as np
import torch
from common import invent_maps, print_rows, seconds_of, spread
from numpy.typing import NDArray

from ssl_bench import Metric

SIZE = 224
SIDES = (14, SIZE)
_AUC_THRESHOLDS = np.array([0.05 * i for i in range(21)])

Maps = NDArray[np.float32]
Masks = NDArray[np.bool_]
Values = tuple[float, float]


def invent_masks(count: int, seed: int = 2) -> Masks:
    """One rectangle in each, which covers about a third of it."""
    generator = np.random.default_rng(seed)
    masks = np.zeros((count, SIZE, SIZE), bool)
    for mask in masks:
        height, width = generator.integers(60, 200, 2)
        top, left = generator.integers(0, (SIZE - height, SIZE - width))
        mask[top : top + height, left : left + width] = True
    return masks


def ours(maps: Maps, truths: Masks) -> Values:
    """The metric, as in a validation loop."""
    metric = Metric("cIoU@0.5", "AUC")
    metric.update(maps, truths)
    found = metric.compute()
    return float(found["cIoU@0.5"]), float(found["AUC"])


def rates(values: list[float]) -> Values:
    """Success at 0.5 and the area under success, as scripts compute them."""
    reached = np.array([np.mean(np.array(values) >= level) for level in _AUC_THRESHOLDS])
    return float(np.mean(np.array(values) >= 0.5)), float(np.trapezoid(reached, _AUC_THRESHOLDS))


def numpy_grid(heat: Maps) -> Maps:
    """One map on the grid, bilinear with aligned corners, from 0 to 1."""
    grid = heat
    if len(heat) != SIZE:
        place = np.linspace(0, len(heat) - 1, SIZE, dtype=np.float32)
        low = np.minimum(place.astype(int), len(heat) - 2)
        share = (place - low).astype(np.float32)
        wide = heat[low] * (1 - share)[:, None] + heat[low + 1] * share[:, None]
        grid = wide[:, low] * (1 - share) + wide[:, low + 1] * share
    return (grid - grid.min()) / (grid.max() - grid.min())


def numpy_loop(maps: Maps, truths: Masks) -> Values:
    """One image after the other in numpy, with masks of numbers, as public evaluators have them."""
    values = []
    for heat, mask in zip(maps, truths, strict=True):
        grid, truth = numpy_grid(heat), mask.astype(float)
        predicted = np.zeros(grid.shape)
        predicted[grid >= np.sort(grid, axis=None)[grid.size // 2]] = 1
        intersection = np.sum(predicted * truth)
        union = np.sum(truth) + np.sum(predicted * (truth == 0))
        values.append(intersection / union)
    return rates(values)


def lean_numpy_loop(maps: Maps, truths: Masks) -> Values:
    """The same, written to be fast: partition for sort, and counts of bool."""
    values = []
    for heat, mask in zip(maps, truths, strict=True):
        grid = numpy_grid(heat)
        half = grid.size // 2
        predicted = grid >= np.partition(grid, half, axis=None)[half]
        both = np.count_nonzero(predicted & mask)
        values.append(both / np.count_nonzero(predicted | mask))
    return rates(values)


def torch_loop(maps: Maps, truths: Masks) -> Values:
    """One image after the other in torch, as public test scripts do it."""
    values = []
    masks = torch.from_numpy(truths)
    for heat, mask in zip(torch.from_numpy(maps), masks, strict=True):
        grid = torch.nn.functional.interpolate(
            heat[None, None], size=(SIZE, SIZE), mode="bilinear", align_corners=True
        )[0, 0]
        grid = (grid - grid.min()) / (grid.max() - grid.min())
        threshold = torch.sort(grid.flatten())[0][grid.numel() // 2]
        predicted = grid >= threshold
        intersection = (predicted * mask).sum()
        union = mask.sum() + (predicted * (mask == 0)).sum()
        values.append((intersection / union).item())
    return rates(values)


LOOPS = {
    "torch loop": torch_loop,
    "numpy loop": numpy_loop,
    "numpy loop written to be fast": lean_numpy_loop,
}


def race(maps: Maps, truths: Masks, loop: Callable[[Maps, Masks], Values]) -> tuple[float, float]:
    """Processor seconds of a loop and of ours; stops where they disagree."""
    found: list[Values] = []
    slow = seconds_of(lambda: found.append(loop(maps, truths)), thread_time)
    fast = seconds_of(lambda: found.append(ours(maps, truths)), thread_time)
    difference = np.abs(np.subtract(*found)).max()
    # One image at a threshold, of whose two sides rounding decides.
    if difference > 1.5 / len(maps):
        sys.exit(f"{loop.__name__} and the metric disagree by {difference}")
    return slow, fast


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--maps", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    truths = invent_masks(given.maps)
    for side in SIDES:
        maps = invent_maps(given.maps, side)
        ours(maps[:2], truths[:2])  # compiles
        rows = []
        quick: list[float] = []
        for name, loop in LOOPS.items():
            runs = [race(maps, truths, loop) for _ in range(given.repeats)]
            quick += [fast for _, fast in runs]
            rows += [
                (f"{name}, processor seconds", spread([slow for slow, _ in runs])),
                (f"metric against {name}", spread([s / f for s, f in runs], " x")),
            ]
        rows.append(("metric, processor seconds", spread(quick)))
        print_rows(
            f"cIoU@0.5 and AUC of {given.maps:,} maps of {side}x{side} to {SIZE}x{SIZE}", rows
        )


if __name__ == "__main__":
    main()
