"""Baselines trained on ``collage`` with several seeds, and object priors, on its test splits.

Run ``python benchmarks/collage_baselines.py --table FILE.csv``; README.md beside it tells more.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from alone import alone
from common import named_measures
from numpy.typing import NDArray
from retrain import Row, spread, trainable, write_rows
from torch import Tensor

from ssl_bench.analysis.evaluation import run_predict
from ssl_bench.analysis.request import Request
from ssl_bench.models.efficientnet import LiteTrunk
from ssl_bench.models.object_guided import EZ_VSL_GUIDANCE, mix
from ssl_bench.models.registry import load_baseline
from ssl_bench.predictions import open_predictions
from ssl_bench.scoring.run import score
from ssl_bench.training.recipe import training_recipe
from ssl_bench.training.record import read_record
from ssl_bench.training.run import train
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial_set import TrialSet

Maps = NDArray[np.float32]

MODELS = tuple(trainable("collage"))
PRIORS = ("ogl-l1", "ogl-cls", "gradcam")
MIXED = "ogl-l1"
"""The prior that is mixed in."""

PROTOCOLS = (
    "collage",
    "collage@collage:unseen-cutouts",
    "collage@collage:two-source",
    "concat@collage",
    "type-ab@collage:type-ab",
    "interactive@collage:interactive",
)
BOTH = ("cIoU(adaptive)@0.5", "pointing")
PARTS = ("standard", "unseen-cutouts", "two-source", "concat", "type-ab A", "type-ab B")
SHOWN = dict.fromkeys(PARTS, BOTH) | {"interactive": ("IIoU(adaptive)@0.5", *BOTH)}

Key = tuple[str, int]


def trained(model: str, seed: int, root: Path) -> Path:
    """Weights of one model and seed, trained unless they are there by the recipe as it is now."""
    folder = root / f"{model}-seed{seed}"
    record = folder / "collage.training.json"
    recipe = training_recipe(load_baseline(model), "collage")
    if not record.is_file() or read_record(record).recipe != recipe:
        train(model, data="collage", seed=seed, out=folder, overwrite=True)
    return folder / "collage.safetensors"


def remember_maps() -> None:
    """Let EfficientNet-Lite0 look at each picture once, whichever model asks."""
    looked, known = LiteTrunk.forward, dict[bytes, Tensor]()

    def remembered(trunk: LiteTrunk, images: Tensor) -> Tensor:
        keys = [hashlib.sha256(each.numpy().tobytes()).digest() for each in images]
        new = [place for place, key in enumerate(keys) if key not in known]
        if new:
            found = looked(trunk, images[new])
            known.update((keys[place], each) for place, each in zip(new, found, strict=True))
        return torch.stack([known[key] for key in keys])

    LiteTrunk.forward = remembered  # type: ignore[method-assign]


def prior_request(name: str) -> Request:
    """An object prior with ImageNet weights, which nothing trains here."""
    return Request(name, variant="imagenet-lite")


def requests(names: Sequence[str], seeds: Sequence[int], root: Path) -> dict[Key, Request]:
    """What is compared, by name and seed; priors first."""
    priors = {(name, 0): prior_request(name) for name in PRIORS if name in names}
    models = {
        (name, seed): Request(name, variant="collage", weights=trained(name, seed, root))
        for name in MODELS
        if name in names
        for seed in seeds
    }
    return priors | models


def predicted(request: Request, trials: TrialSet) -> Maps:
    """Maps ``(N, h, w)`` of one model in the order of the trials."""
    with tempfile.TemporaryDirectory() as folder:
        request = replace(request, folder=Path(folder) / "run")
        ((_, written),) = run_predict(request, [trials.protocol])
        maps = open_predictions(written.predictions).maps_of(trials.ids)
        return np.stack([maps[trial] for trial in trials.ids]).astype(np.float32)


def opened(name: str, count: int) -> TrialSet:
    """Trials of a protocol on the first so many samples of its split."""
    [protocol] = alone([name])
    table = protocol.test_set.model_copy(update={"options": {"count": count}})
    return open_trials(protocol.model_copy(update={"test_set": table}))


def measured(seed: int, trials: TrialSet, found: Mapping[str, Maps]) -> Iterator[Row]:
    """Every measure of some maps, by the name of what they are."""
    for name, maps in found.items():
        for part, value in named_measures(score(maps, trials).result):
            place = part.replace("collage", trials.test_set.split)
            yield Row(name, seed, place, value.measure, value.value, value.low, value.high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    every = [*PRIORS, *MODELS]
    parser.add_argument("--models", nargs="+", default=every, choices=every)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--count", type=int, default=500, help="samples of each split")
    parser.add_argument("--out", type=Path, default=Path("trained/collage"), help="weights")
    parser.add_argument("--table", type=Path, help="write every figure to this CSV file")
    given = parser.parse_args()
    torch.set_num_threads(1)
    asked = requests(given.models, given.seeds, given.out)
    remember_maps()
    rows: list[Row] = []
    for name in PROTOCOLS:
        trials = opened(name, given.count)
        prior = predicted(prior_request(MIXED), trials)
        for (model, seed), request in asked.items():
            shown = {model: predicted(request, trials)}
            if model not in PRIORS:
                shown[f"{model}+{MIXED}"] = mix(shown[model], prior, EZ_VSL_GUIDANCE.alpha)
            rows += measured(seed, trials, shown)
        print(f"{name}: {len(trials)} trials", flush=True)
    if given.table is not None:
        write_rows(given.table, rows)
    print(spread(rows, SHOWN))


if __name__ == "__main__":
    main()
