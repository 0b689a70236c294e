"""Baselines trained on ``collage`` with several seeds, and object priors, on its test splits.

Run ``python benchmarks/collage_baselines.py --table FILE.csv``; README.md beside it tells more.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from alone import alone
from alpha_sweep import Maps, scored
from retrain import Row, named_measures, spread, write_rows
from torch import Tensor

from ssl_bench.analysis.evaluation import run_predict
from ssl_bench.analysis.request import Request
from ssl_bench.measures.batch import Binarization, evaluate_maps
from ssl_bench.models.image_trunks import FrozenTrunk
from ssl_bench.models.object_guided import EZ_VSL_GUIDANCE, mix
from ssl_bench.models.registry import load_baseline
from ssl_bench.predictions import open_predictions
from ssl_bench.training.recipe import training_recipe
from ssl_bench.training.record import read_record
from ssl_bench.training.run import train
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial import TrialSet

MODELS = ("ezvsl", "sslalign", "icl", "lvs")
PRIORS = ("ogl-l1", "ogl-cls", "gradcam")
MIXED = "ogl-l1"
"""The prior that is mixed in."""

VALIDATION = "collage@collage:validation"
PROTOCOLS = (
    "collage",
    "collage@collage:unseen-cutouts",
    "collage@collage:two-source",
    "concat@collage",
    "type-ab@collage:type-ab",
    "interactive@collage:interactive",
)
ALPHAS = (0.2, 0.4, 0.6, 0.8)
BOTH = ("cIoU(adaptive)@0.5", "pointing")
PARTS = ("standard", "unseen-cutouts", "two-source", "concat", "type-ab A", "type-ab B")
SHOWN = dict.fromkeys(PARTS, BOTH) | {"interactive": ("IIoU(adaptive)@0.5", *BOTH)}

Key = tuple[str, int]
Found = dict[Key, Maps]


def trained(model: str, seed: int, root: Path) -> Path:
    """Weights of one model and seed, trained unless they are there by the recipe as it is now."""
    folder = root / f"{model}-seed{seed}"
    record = folder / "collage.training.json"
    recipe = training_recipe(load_baseline(model), "collage")
    if not record.is_file() or read_record(record).recipe != recipe:
        train(model, data="collage", seed=seed, out=folder, overwrite=True)
    return folder / "collage.safetensors"


def remember_maps() -> None:
    """Let frozen trunks look at each picture once, whichever model asks."""
    looked, known = FrozenTrunk.maps, dict[bytes, Tensor]()

    def remembered(trunk: FrozenTrunk, images: Tensor) -> Tensor:
        keys = [hashlib.sha256(each.numpy().tobytes()).digest() for each in images]
        new = [place for place, key in enumerate(keys) if key not in known]
        if new:
            found = looked(trunk, images[new])
            known.update((keys[place], each) for place, each in zip(new, found, strict=True))
        return torch.stack([known[key] for key in keys])

    FrozenTrunk.maps = remembered  # type: ignore[method-assign]


def requests(seeds: Sequence[int], root: Path) -> dict[Key, Request]:
    """What is compared, by name and seed; priors, which nothing trains here, first."""
    priors = {(prior, 0): Request(prior, variant="imagenet-lite") for prior in PRIORS}
    models = {
        (model, seed): Request(model, variant="collage", weights=trained(model, seed, root))
        for model in MODELS
        for seed in seeds
    }
    return priors | models


def predicted(name: str, requests: dict[Key, Request], folder: Path) -> tuple[TrialSet, Found]:
    """Trials of a protocol, and maps ``(N, h, w)`` of them by each model."""
    [protocol] = alone([name])
    trials = open_trials(protocol)
    found = {}
    for number, (key, request) in enumerate(requests.items()):
        place = folder / protocol.label.replace(":", "-") / str(number)
        ((_, written),) = run_predict(replace(request, folder=place), [protocol])
        maps = open_predictions(written.predictions).maps_of(trials.ids)
        found[key] = np.stack([maps[trial] for trial in trials.ids]).astype(np.float32)
    return trials, found


def chosen_alphas(found: Found, trials: TrialSet) -> dict[Key, float]:
    """The weight of each model's maps in the mix that does best by the adaptive rule.

    Of several, the largest.
    """
    truths = trials.truths(range(len(trials)))
    best = {}
    for key in sorted(set(found) - {(prior, 0) for prior in PRIORS}):
        right = {}
        for alpha in ALPHAS:
            both = mix(found[key], found[MIXED, 0], alpha)
            [scores] = evaluate_maps(both, truths, Binarization(rules=("adaptive",)))
            right[alpha] = float((scores.rules["adaptive"]["cIoU"] >= 0.5).mean())
        best[key] = max(ALPHAS, key=lambda alpha: (right[alpha], alpha))
        print(f"{key[0]}, seed {key[1]}: alpha {best[key]} on validation trials", flush=True)
    return best


def measured(
    trials: TrialSet, found: Found, alphas: dict[Key, float], folder: Path
) -> Iterator[Row]:
    """Every measure of every model, alone and mixed with the prior in two ways."""
    for (name, seed), maps in found.items():
        shown = {name: maps}
        if (name, seed) in alphas:
            for how, alpha in (("", EZ_VSL_GUIDANCE.alpha), (" chosen", alphas[name, seed])):
                shown[f"{name}+{MIXED}{how}"] = mix(maps, found[MIXED, 0], alpha)
        for model, heat in shown.items():
            for part, value in named_measures(scored(heat, trials, folder)):
                part = part.replace("collage", trials.test_set.split)
                yield Row(model, seed, part, value.measure, value.value, value.low, value.high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("trained/collage"), help="weights")
    parser.add_argument("--table", type=Path, help="write every figure to this CSV file")
    given = parser.parse_args()
    torch.set_num_threads(1)
    asked = requests(given.seeds, given.out)
    remember_maps()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        trials, found = predicted(VALIDATION, asked, folder)
        alphas = chosen_alphas(found, trials)
        for name in PROTOCOLS:
            rows += measured(*predicted(name, asked, folder), alphas, folder)
            print(name, flush=True)
    if given.table is not None:
        write_rows(given.table, rows)
    print(spread(rows, SHOWN))


if __name__ == "__main__":
    main()
