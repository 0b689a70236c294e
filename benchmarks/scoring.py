"""How fast maps are scored, against a straightforward loop, and how memory grows with them.

Run ``python benchmarks/scoring.py``; see README.md beside it.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path
from time import thread_time

import numpy as np
import torch
from common import (
    VGGSS_ENTRIES,
    invent_maps,
    invent_vggss,
    print_rows,
    seconds_of,
    spread,
    vggss_trials,
    write_predictions,
)
from numpy.typing import NDArray

from ssl_bench.measures.batch import Binarization, evaluate_maps
from ssl_bench.measures.values import parse_measure
from ssl_bench.predictions import open_predictions
from ssl_bench.scoring.checks import measures_of
from ssl_bench.scoring.maps import CHUNK, MapBatch, StoredMaps, row_chunks
from ssl_bench.scoring.scores import Job, score_maps
from ssl_bench.trials.trial_set import TrialSet

SIDES = (7, 14)
MEMORY_TRIALS = (1_000, 4_000)
MEASURES = [
    parse_measure(text)
    for text in ("cIoU@0.5", "AUC", "cIoU(adaptive)@0.5", "AUC(adaptive)", "mean-cIoU", "pointing")
]


def plain_scores(heat: NDArray[np.float32], truth: NDArray[np.float32]) -> tuple[float, ...]:
    """The numbers of one map as a script finds them: cIoU (half), cIoU (adaptive), pointing."""
    size = truth.shape[0]
    tensor = torch.from_numpy(heat)[None, None]
    wide = torch.nn.functional.interpolate(
        tensor, size=(size, size), mode="bilinear", align_corners=True
    )
    grid = wide[0, 0].numpy()
    grid = (grid - grid.min()) / (grid.max() - grid.min())
    ascending = np.sort(grid, axis=None)
    covered = np.count_nonzero(truth)
    total = truth.sum()
    found = []
    for rank in (grid.size // 2, grid.size - covered if covered else grid.size // 2):
        predicted = grid >= ascending[rank]
        intersection = (truth * predicted).sum()
        union = total + (predicted * (truth == 0)).sum()
        found.append(float(intersection / union) if union > 0 else 0.0)
    peaks = grid == grid.max()
    return (*found, float((peaks & (truth > 0)).sum() / peaks.sum()))


def race(trials: TrialSet, maps: NDArray[np.float32]) -> tuple[float, float, float]:
    """Seconds of the kernel and of the loop on the same maps, and their largest disagreement.

    Both take turns on chunks of trials, and their processor time is counted, not that of the clock,
    so that a busy machine slows both alike.
    """
    fast = slow = worst = 0.0
    for rows in row_chunks(len(trials), CHUNK):
        truths = trials.truths(rows)
        started = thread_time()
        [scores] = evaluate_maps(maps[rows], truths, Binarization(rules=("half", "adaptive")))
        middle = thread_time()
        expected = [plain_scores(maps[row], truth) for row, truth in zip(rows, truths, strict=True)]
        slow += thread_time() - middle
        fast += middle - started
        found = np.stack(
            [scores.rules["half"]["cIoU"], scores.rules["adaptive"]["cIoU"], scores.peak_hit], 1
        )
        worst = max(worst, float(np.abs(np.nan_to_num(found) - expected).max()))
    return fast, slow, worst


def report_speed(trials: TrialSet, repeats: int) -> None:
    count = len(trials)
    for side in SIDES:
        maps = invent_maps(count, side)
        race(trials, maps[:CHUNK].repeat(-(-count // CHUNK), axis=0)[:count])  # compiles
        runs = [race(trials, maps) for _ in range(repeats)]
        worst = max(run[2] for run in runs)
        if worst > 1e-4:
            sys.exit(f"the kernel and the loop disagree by {worst}")
        batch = [MapBatch(np.arange(count), maps)]

        def scored(jobs: int, given: list[MapBatch] = batch) -> float:
            return seconds_of(lambda: score_maps(Job(given, trials, MEASURES), jobs=jobs))

        both = [(scored(1), scored(2)) for _ in range(repeats)]
        print_rows(
            f"{count:,} maps of {side}x{side} to 224x224, {repeats} repetitions",
            [
                ("loop, maps per second", spread([count / slow for _, slow, _ in runs])),
                ("kernel, maps per second", spread([count / fast for fast, _, _ in runs])),
                ("kernel against loop, one core", spread([s / f for f, s, _ in runs], " x")),
                ("with truth and table, one thread", spread([count / one for one, _ in both])),
                ("with truth and table, two threads", spread([count / two for _, two in both])),
                ("two threads against one", spread([one / two for one, two in both], " x")),
                ("loop against all of it, two threads", ratio_of_medians(runs, both)),
                ("largest disagreement in cIoU", f"{worst:.1e}"),
            ],
        )


def ratio_of_medians(
    runs: list[tuple[float, float, float]], both: list[tuple[float, float]]
) -> str:
    slow = statistics.median(run[1] for run in runs)
    return f"{slow / statistics.median(two for _, two in both):.3g} x"


def measure_memory(data: Path, predictions: Path) -> None:
    """Score one file and print peak memory, as the child process of :func:`report_memory`."""
    trials = vggss_trials(data)
    measures = measures_of(trials.protocol)
    opened = open_predictions(predictions)
    warm = MapBatch(np.arange(1), np.ones((1, 2, 2), np.float32))
    score_maps(Job([warm], trials, measures))
    tracemalloc.start()
    [table] = score_maps(Job(StoredMaps(opened, trials), trials, measures))
    traced = tracemalloc.get_traced_memory()[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(peak, traced, int(table.memory_usage(deep=True).sum()))


def report_memory(folder: Path) -> None:
    rows = []
    found = []
    for count in MEMORY_TRIALS:
        data = invent_vggss(folder / f"{count}", count)
        trials = vggss_trials(data)
        path = folder / f"{count}.npz"
        write_predictions(path, trials, invent_maps(count, 14))
        command = [sys.executable, __file__, "--child", str(data), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peak, traced, table = (int(number) for number in done.stdout.split())
        found.append((peak, traced, table))
        rows.append(
            (
                f"{count:,} trials",
                f"process {peak / 2**20:.0f} MiB, scoring alone {traced / 2**20:.1f} MiB, "
                f"table {table / 2**20:.2f} MiB",
            )
        )
    further = MEMORY_TRIALS[1] - MEMORY_TRIALS[0]
    growth = [(after - before) / further for before, after in zip(*found, strict=True)]
    rows.append(
        (
            "each further trial",
            f"process {growth[0] / 1024:.2f} KiB, scoring alone {growth[1] / 1024:.2f} KiB, "
            f"table {growth[2] / 1024:.2f} KiB (a truth map would be 196 KiB)",
        )
    )
    print_rows("Peak memory of scoring, by number of trials", rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--maps", type=int, default=2_000, help=f"{VGGSS_ENTRIES} is VGG-SS")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--child", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        measure_memory(*given.child)
        return
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        trials = vggss_trials(invent_vggss(Path(name) / "speed", given.maps))
        share = np.mean([trials.truth(trial).mean() for trial in trials.trials[:500]])
        print(f"Invented truth covers {100 * share:.0f} % of a picture on average.")
        report_speed(trials, given.repeats)
        report_memory(Path(name))


if __name__ == "__main__":
    main()
