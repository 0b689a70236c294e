"""The weights that ship: small, and on record; ``tox -e retrain`` trains them again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ssl_bench.files import content_folder, sha256_of_file
from ssl_bench.models.checkpoints import read_checkpoint
from ssl_bench.models.recipes import ShippedWeights
from ssl_bench.models.registry import list_baselines, load_baseline
from ssl_bench.training.data import MADE_BY_CODE
from ssl_bench.training.recipe import training_recipe
from ssl_bench.training.record import TrainingRecord, read_record

LARGEST = 2_000_000

TRAINED = [
    (name, variant)
    for name in list_baselines()
    for variant, chosen in load_baseline(name).recipe.variants.items()
    if variant in MADE_BY_CODE and chosen.training
]


def shipped(name: str, variant: str = "synth") -> tuple[Path, ShippedWeights, TrainingRecord]:
    folder = content_folder("baselines") / name
    weights = load_baseline(name).variant(variant).weights
    assert weights is not None
    return folder / weights.file, weights, read_record(folder / f"{variant}.training.json")


def test_every_baseline_that_learns_ships_weights():
    names = {name for name, variant in TRAINED if variant == "synth"}
    assert len(names) >= 11
    assert {"ezvsl", "icl", "oya", "sslalign", "ogl-l1", "unet"} <= names
    on_collage = {name for name, variant in TRAINED if variant == "collage"}
    assert len(on_collage) >= 4
    assert {"ezvsl", "icl", "lvs", "sslalign"} <= on_collage


@pytest.mark.parametrize(("name", "variant"), TRAINED)
def test_weights_recipe_and_record_agree(name, variant):
    path, weights, record = shipped(name, variant)
    assert path.stat().st_size < LARGEST
    assert sha256_of_file(path) == weights.sha256 == record.weights_sha256
    assert (record.model, record.variant, record.data) == (name, variant, variant)
    assert record.seed == record.recipe.seed == 0
    assert record.recipe == training_recipe(load_baseline(name), variant)


@pytest.mark.parametrize(("name", "variant"), TRAINED)
def test_weights_were_trained_on_the_data_as_they_are(name, variant):
    assert shipped(name, variant)[2].data_version == MADE_BY_CODE[variant].version


def test_ezvsl_started_from_the_classifier_that_ships():
    record = shipped("ezvsl")[2]
    assert record.recipe.image_trunk == "object-classifier"
    assert record.image_trunk_sha256 == shipped("ogl-l1")[2].weights_sha256


def test_ezvsl_carries_four_embedded_sounds_of_each_category():
    bank = read_checkpoint(shipped("ezvsl")[0]).tensors["sound_bank"].float()
    assert bank.shape == (64, 64)
    assert torch.allclose(bank.norm(dim=1), torch.ones(64), atol=2e-3)
