"""``evaluate`` with three full-size networks, against the loop of public test scripts.

Run ``python benchmarks/throughput.py``; see README.md beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import soundfile
import torch
from common import invent_clips, invent_vggss, invent_weights, machine, print_rows, spread
from PIL import Image
from scipy import signal
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from ssl_bench.analysis.evaluation import evaluate
from ssl_bench.models.ezvsl import EZVSLArchitecture, EZVSLNetwork
from ssl_bench.models.object_prior import ClassifierArchitecture, ClassifierNetwork
from ssl_bench.models.resnet import ResidualTrunk
from ssl_bench.predictions import open_predictions

_MEAN, _DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
_ALPHA = 0.4


@contextmanager
def timed_networks() -> Iterator[list[float]]:
    """Processor seconds of each pass through a trunk, as it is made."""
    seconds: list[float] = []
    forward = ResidualTrunk.pyramid

    def timed(self: ResidualTrunk, x: torch.Tensor) -> list[torch.Tensor]:
        started = process_time()
        maps = forward(self, x)
        seconds.append(process_time() - started)
        return maps

    ResidualTrunk.pyramid = timed  # type: ignore[method-assign]
    yield seconds
    ResidualTrunk.pyramid = forward  # type: ignore[method-assign]


def by_evaluate(folder: Path, precision: str, jobs: int) -> Path:
    """What the command does: check the media, predict, score, and write a run folder."""
    done = evaluate(
        "ezvsl",
        "vggss",
        variant="full",
        weights=folder / "ezvsl.pth",
        alpha=_ALPHA,
        settings={"prior_weights": str(folder / "resnet18.pth")},
        data=folder,
        folder=folder / "run",
        dialect="ezvsl",
        jobs=jobs,
        overwrite=True,
        precision=precision,  # type: ignore[arg-type]
        parts=folder / "parts",
    )
    return done.folder


def by_loop(folder: Path, clips: int | None = None) -> dict[str, np.ndarray[Any, Any]]:
    """What public test scripts do: one clip after the other, one map after the other."""
    network = EZVSLNetwork(EZVSLArchitecture()).eval()
    network.load_state_dict(torch.load(folder / "ezvsl.pth")["model"])
    objects = ClassifierNetwork(ClassifierArchitecture()).eval()
    objects.load_state_dict(torch.load(folder / "resnet18.pth"))
    maps, hits = {}, []
    for entry in json.loads((folder / "vggss" / "vggss.json").read_text())[:clips]:
        with Image.open(folder / "vggss" / "frames" / f"{entry['file']}.jpg") as opened:
            frame = opened.convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)
        scaled = (np.asarray(frame) / 255 - _MEAN) / _DEVIATION
        pixels = torch.from_numpy(scaled.transpose(2, 0, 1)[None].astype(np.float32))
        samples, rate = soundfile.read(folder / "vggss" / "audio" / f"{entry['file']}.wav")
        start = len(samples) // 2 - 3 * rate // 2
        part = np.clip(samples[start : start + 3 * rate], -1, 1)
        _, _, power = signal.spectrogram(part, rate, nperseg=512, noverlap=274)
        table = torch.from_numpy((np.log(power + 1e-7) / 12)[None, None].astype(np.float32))
        with torch.no_grad():
            seen, heard = network.encode_images(pixels), network.encode_sounds(table)
            cosines = torch.einsum("bdhw,bd->bhw", seen, heard)[:, None] / 0.03
            activation = ResidualTrunk.forward(objects, pixels).abs().mean(dim=1, keepdim=True)
            both = [_scaled_up(cosines), _scaled_up(activation)]
        mixed = _ALPHA * both[0] + (1 - _ALPHA) * both[1]
        maps[entry["file"]] = mixed
        truth = np.zeros((224, 224))
        for left, top, right, bottom in np.array(entry["bbox"]) * 224:
            truth[int(top) : int(bottom), int(left) : int(right)] = 1
        chosen = mixed > np.sort(mixed, axis=None)[mixed.size // 2]
        hits.append(truth[chosen].sum() / (truth.sum() + (truth[chosen] == 0).sum()) >= 0.5)
    if clips is None:
        print(f"cIoU@0.5 by the loop: {np.mean(hits):.3f}", file=sys.stderr)
    return maps


def _scaled_up(grid: torch.Tensor) -> np.ndarray[Any, Any]:
    whole = functional.interpolate(grid, (224, 224), mode="bilinear", align_corners=True)[0, 0]
    values: np.ndarray[Any, Any] = whole.numpy()
    return (values - values.min()) / (values.max() - values.min())


def measured(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What the work gives, and its seconds: by the clock, of the processor, and in networks."""
    with timed_networks() as networks:
        clock, processor = perf_counter(), process_time()
        outcome = work()
        facts = {"clock": perf_counter() - clock, "processor": process_time() - processor}
    return outcome, {**facts, "networks": sum(networks)}


def operations_of_a_clip(folder: Path) -> float:
    """Additions and multiplications in the three networks."""
    with FlopCounterMode(display=False) as counter:
        by_loop(folder, 1)
    return float(counter.get_total_flops())


def rate_of_a_product(size: int = 2048, repeats: int = 5) -> float:
    """Operations in a processor second of a product of matrices: the best that there is."""
    matrix = torch.rand(size, size)
    seconds = []
    for _ in range(repeats):
        started = process_time()
        matrix @ matrix
        seconds.append(process_time() - started)
    return 2 * size**3 / min(seconds)


def run_way(given: argparse.Namespace) -> None:
    """One way in this process, which has done nothing of it before; prints its seconds."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    if given.way == "loop":
        maps, facts = measured(lambda: by_loop(given.folder))
        np.savez(given.folder / "loop.npz", **maps)
        facts |= {"operations": operations_of_a_clip(given.folder), "rate": rate_of_a_product()}
    else:
        # Compiles the scoring kernel, which is done once for an installation.
        with tempfile.TemporaryDirectory() as name:
            evaluate("center", "synth", folder=Path(name) / "warm", limit=2)
        work = lambda: by_evaluate(given.folder, given.precision, given.jobs)  # noqa: E731
        _, facts = measured(work)
    print(json.dumps(facts))


def difference(folder: Path) -> float:
    """Largest difference between the two ways' maps, which go from 0 to 1, on the grid."""
    stored = open_predictions(folder / "run" / "predictions.npz")
    worst = 0.0
    with np.load(folder / "loop.npz") as loop:
        for places, maps in stored.iter_maps():
            for place, heat in zip(places, maps, strict=True):
                grid = torch.from_numpy(heat.astype(np.float32))[None, None]
                other = loop[stored.trial_ids[place]]
                own, least, most = _scaled_up(grid), other.min(), other.max()
                worst = max(worst, float(np.abs(own - (other - least) / (most - least)).max()))
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=1, help="threads of ours that read and score")
    parser.add_argument("--precision", default="32", help="of ours")
    parser.add_argument("--way", choices=("evaluate", "loop"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        run_way(given)
        return
    found: dict[str, list[dict[str, float]]] = {"evaluate": [], "loop": []}
    with tempfile.TemporaryDirectory() as name:
        folder = invent_vggss(Path(name), given.clips)
        invent_clips(folder, (1280, 720))
        invent_weights(folder)
        for repeat in range(given.repeats):
            for way, facts in found.items():
                command = [sys.executable, __file__, "--way", way, "--folder", name]
                command += ["--jobs", str(given.jobs), "--precision", given.precision]
                # A cache of its own: nothing is known of these media, nor of their floors.
                added = {"SSL_BENCH_CACHE": f"{name}/cache-{repeat}"}
                threads = {"OMP_NUM_THREADS": str(given.threads)}
                done = subprocess.run(
                    command, env={**os.environ, **added, **threads}, check=True, stdout=-1
                )
                facts.append(json.loads(done.stdout.splitlines()[-1]))
        worst = difference(folder)
    if worst > (1e-3 if given.precision == "32" else 0.1):
        sys.exit(f"the maps differ by {worst}")
    ours, theirs = found["evaluate"], found["loop"]

    def ratio(key: str) -> str:
        each = [b[key] / a[key] for a, b in zip(ours, theirs, strict=True)]
        return spread(each, " x")

    def clips_a_second(facts: list[dict[str, float]]) -> str:
        return spread([given.clips / each["clock"] for each in facts])

    # Networks that compute as fast as the processor multiplies matrices.
    least = [given.clips * each["operations"] / each["rate"] for each in theirs]
    reached = [a / b["networks"] for a, b in zip(least, ours, strict=True)]
    bound = [
        b["processor"] / (a["processor"] - a["networks"] + fastest)
        for a, b, fastest in zip(ours, theirs, least, strict=True)
    ]
    share = [each["networks"] / each["processor"] for each in ours]
    others = [1000 * (each["processor"] - each["networks"]) / given.clips for each in ours]
    print_rows(
        f"EZ-VSL with its object prior, {given.clips} clips, {given.threads} threads, "
        f"{given.repeats} repetitions",
        [
            ("machine", machine()),
            ("clips a second, evaluate", clips_a_second(ours)),
            ("clips a second, the loop", clips_a_second(theirs)),
            ("throughput, by the clock", ratio("clock")),
            ("throughput, by the processor", ratio("processor")),
            ("the same, of the networks alone", ratio("networks")),
            ("networks, of the rate of a product", f"{100 * statistics.median(reached):.0f} %"),
            ("by the processor, if of all of it", spread(bound, " x")),
            ("share of evaluate inside networks", f"{100 * statistics.median(share):.0f} %"),
            ("processor ms a clip outside of them", spread(others)),
            ("largest difference between the maps", f"{worst:.1e}"),
        ],
    )


if __name__ == "__main__":
    main()
