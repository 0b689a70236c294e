"""Full-size EZ-VSL on a GPU: predicting from files, against passes alone; and whether maps agree.

Run ``python benchmarks/gpu.py``; see README.md beside it.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from common import invent_clips, invent_vggss, invent_weights, machine, print_rows, vggss_trials

from ssl_bench.analysis.agreement import check_agreement
from ssl_bench.engine.encode import EngineOptions
from ssl_bench.engine.predict import predict
from ssl_bench.models.contract import Localizer
from ssl_bench.models.devices import Place, move, resolve
from ssl_bench.models.object_guided import ObjectGuided
from ssl_bench.models.registry import load_baseline, load_localizer
from ssl_bench.trials.trial_set import TrialSet

# Baselines whose networks differ, and their variants of full size.
_COMPARED = {
    **dict.fromkeys(("ezvsl", "oya", "sslalign", "lvs", "slavc", "ogl-cls", "unet"), "full"),
    "icl": "flickr",
}


def full_ezvsl(weights: tuple[Path, Path]) -> ObjectGuided:
    """EZ-VSL with its object prior: three residual networks."""
    options = {"prior_weights": str(weights[1])}
    model = load_localizer("ezvsl", variant="full", weights=weights[0], alpha=0.4, options=options)
    assert isinstance(model, ObjectGuided)
    return model


def passes_alone(model: ObjectGuided, place: Place, batch: int, batches: int) -> float:
    """Clips a second of the three networks on tensors that are on the device already."""
    parts = (model.audio_visual, model.prior)
    generator = np.random.default_rng(0)
    squares = [generator.integers(0, 256, (224, 224, 3), dtype=np.uint8) for _ in range(batch)]
    table = place.send(generator.normal(size=(batch, 1, 257, 200)).astype(np.float32))
    with place.computing():
        pixels = parts[0]._pixels(squares)

        def work() -> None:
            parts[0]._network.encode_images(pixels)
            parts[0]._network.encode_sounds(table)
            parts[1].maps_of(pixels)

        for _ in range(3):
            work()
        _wait(place)
        started = perf_counter()
        for _ in range(batches):
            work()
        _wait(place)
    return batch * batches / (perf_counter() - started)


def _wait(place: Place) -> None:
    if place.device.startswith("cuda"):
        torch.cuda.synchronize(place.device)


def from_files(model: Localizer, trials: TrialSet, batch: int, jobs: int) -> float:
    """Clips a second of predicting: reading, decoding, preparing, networks, maps, one file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = EngineOptions(batch_size=batch, jobs=jobs, parts=folder / "parts")
        started = perf_counter()
        predict(model, [(trials, folder)], options)
        return len(trials) / (perf_counter() - started)


def compare(name: str, place: Place, trials: TrialSet, folder: Path, batch: int) -> tuple[str, str]:
    """A row on the agreement of a baseline of full size with the processor."""
    variant, baseline = _COMPARED[name], load_baseline(name)
    declared, table = baseline.declared(), baseline.variant(variant).architecture
    torch.manual_seed(0)
    network = declared.network(declared.architecture.model_validate(table))
    weights = folder / f"{name}.pth"
    torch.save(network.state_dict(), weights)
    # The sounds have the rate that most of them take.
    options = {} if baseline.card.modality == "vision-only" else {"resample": True}
    model = load_localizer(name, variant=variant, weights=weights, options=options)
    found = check_agreement(model, place, trials, batch_size=batch)
    verdict = "passes" if found.agrees else "DOES NOT PASS"
    return (
        f"{name}, {place.precision}",
        f"maps {found.difference:.2e} of their range, measures {found.change:.4f}: {verdict}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=2048)
    parser.add_argument("--compared", type=int, default=32, help="trials in the agreement check")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--batches", type=int, default=60, help="in the passes alone")
    parser.add_argument("--jobs", type=int, nargs="+", default=[16], help="threads that read")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", nargs="+", default=["32", "bf16", "16"])
    given = parser.parse_args()
    places = [resolve(given.device, precision) for precision in given.precision]
    named = places[0].described()[0] or "cpu"
    rows: list[tuple[str, str]] = [("machine", f"{named}; {machine()}")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = perf_counter()
        data = invent_vggss(folder, given.clips)
        invent_clips(data, (640, 360))
        weights = invent_weights(folder)
        trials = vggss_trials(data)
        rows.append(("seconds to write the clips", f"{perf_counter() - started:.1f}"))
        model = full_ezvsl(weights)
        for place in places:
            move(model, place)
            alone = passes_alone(model, place, given.batch_size, given.batches)
            first = trials.part(range(min(len(trials), 2 * given.batch_size)), rest_fails=False)
            from_files(model, first, given.batch_size, given.jobs[0])  # warms up
            rows.append((f"{place.precision}: clips a second, passes alone", f"{alone:,.0f}"))
            for jobs in given.jobs:
                ours = from_files(model, trials, given.batch_size, jobs)
                rows.append(
                    (
                        f"{place.precision}: clips a second from files, {jobs} threads",
                        f"{ours:,.0f} ({100 * ours / alone:.0f} % of the passes alone)",
                    )
                )
            print_rows("So far", rows[-2:])
            sys.stdout.flush()
        del model
        gc.collect()
        some = trials.part(range(min(len(trials), given.compared)), rest_fails=False)
        for place in places:
            for each in _COMPARED:
                rows.append(compare(each, place, some, folder, given.batch_size))
                print_rows("So far", rows[-1:])
                sys.stdout.flush()
    print_rows(f"{given.clips} clips, batches of {given.batch_size}", rows)


if __name__ == "__main__":
    main()
