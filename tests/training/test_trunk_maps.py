"""Training on a frozen trunk: its maps are made once, of whole pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from made_collage import CAPABLE
from made_trunk import DIGEST, made_world
from refusals import refused
from retrain import trainable

from ssl_bench.models import image_trunks
from ssl_bench.models.checkpoints import read_checkpoint
from ssl_bench.models.image_trunks import FrozenTrunk
from ssl_bench.models.images import ImagePreprocessing, prepare_images
from ssl_bench.models.registry import load_baseline, load_localizer
from ssl_bench.training import trunk_maps as module
from ssl_bench.training.data import ArraySource
from ssl_bench.training.run import plan_training, train
from ssl_bench.training.trunk_maps import trunk_maps

FEW = {"scenes": 16, "validation_scenes": 6, "batch": 8, "epochs": 2}


@pytest.fixture(scope="module", autouse=True)
def made(tmp_path_factory: pytest.TempPathFactory):
    with made_world(tmp_path_factory):
        yield


@dataclass(eq=False)
class Counted(ArraySource):
    """Pictures that count how often they are looked at."""

    seen: int = 0

    def image(self, row: int):
        self.seen += 1
        return super().image(row)


def source() -> Counted:
    pixels = np.random.default_rng(1).integers(0, 256, (20, 70, 70, 3), np.uint8)
    return Counted(tuple(map(str, range(20))), "some", np.zeros(20, np.int64), pixels)


def test_maps_are_those_of_the_trunk_and_made_once() -> None:
    pictures, trunk, front_end = source(), FrozenTrunk(8), ImagePreprocessing(side=64)
    rows = np.array([19, 3])
    expected = trunk.maps(
        torch.from_numpy(prepare_images([pictures.images[row] for row in rows], front_end))
    )
    assert (expected[0] - expected[1]).abs().max() > 1
    for _ in range(2):
        maps = trunk_maps(trunk, pictures, front_end)
        torch.testing.assert_close(maps.of(rows), expected, atol=5e-3, rtol=5e-3)
    assert pictures.seen == 20
    trunk_maps(trunk, pictures, ImagePreprocessing(side=32))
    assert pictures.seen == 40


def test_a_damaged_file_is_made_again() -> None:
    pictures, trunk, front_end = source(), FrozenTrunk(8), ImagePreprocessing(side=48)
    path = trunk_maps(trunk, pictures, front_end).path
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    assert trunk_maps(trunk, pictures, front_end).path.read_bytes() == whole


def test_maps_of_an_earlier_version_are_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, trunk, front_end = source(), FrozenTrunk(8), ImagePreprocessing(side=40)
    with monkeypatch.context() as earlier:
        earlier.setattr(module, "digest_of_code", lambda *_, **__: "0" * 64, raising=False)
        trunk_maps(trunk, pictures, front_end)
    trunk_maps(trunk, pictures, front_end)
    assert pictures.seen == 40


def test_maps_that_are_not_finished_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "prepare_images", broken)
    trunk, front_end = FrozenTrunk(8), ImagePreprocessing(side=96)
    with pytest.raises(KeyboardInterrupt):
        trunk_maps(trunk, source(), front_end)
    monkeypatch.undo()
    assert trunk_maps(trunk, source(), front_end).of(np.array([0])).shape == (1, 1280, 3, 3)


def looks_at_frames(name: str) -> bool:
    """Whether a model has more beside the trunk than a picture needs: see test_motions.py."""
    baseline = load_baseline(name)
    tables = baseline.variant("collage")
    asked = baseline.declared().asks_for(tables.architecture, tables.preprocessing, name)
    return asked is not None


@pytest.mark.parametrize(
    "name", [name for name in trainable("collage") if not looks_at_frames(name)]
)
def test_it_trains_on_collage_and_stores_what_was_trained(name: str, tmp_path: Path) -> None:
    # As few passes and scenes as there are hold no more.
    further = {
        "sslalign": {"settings.neighbours": 2},
        "hardpos": {"settings.neighbours": 2},
        "icl": {"settings.initial_epochs": 1},
        "coarse-to-fine": {"settings.coarse_epochs": 1},
        "dsol": {
            "settings.matching_epochs": 1,
            "settings.class_epochs": 1,
            "architecture.clusters": 4,
        },
    }
    record = train(name, data="collage", out=tmp_path, changes=FEW | further.get(name, {}))
    assert (record.data, record.variant, record.image_trunk_sha256) == (
        "collage",
        "collage",
        DIGEST,
    )
    learns_labels = plan_training(name, data="collage").needs.labels
    assert record.classes == (tuple(sorted(CAPABLE)) if learns_labels else ())
    weights = tmp_path / "collage.safetensors"
    kept = read_checkpoint(weights).tensors.values()
    frozen = [each for each in image_trunks.packaged_trunk().tensors.values() if each.ndim == 4]
    assert not any(torch.equal(one, other) for one in kept for other in frozen)
    assert load_localizer(name, variant="collage", weights=weights).name == name


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("ezvsl", {"crop_area": [0.4, 1.0]}),
        ("lvs", {"flip": 0.5}),
        ("sslalign", {"settings.augmented": {"colour": 0.2}}),
    ],
)
def test_pictures_cannot_be_varied(name: str, change: dict, tmp_path: Path) -> None:
    with refused("E_TRUNK_FROZEN", where="recipe.toml"):
        train(name, data="collage", out=tmp_path, changes=FEW | change)


def test_a_classifier_of_objects_does_not_train_on_it(tmp_path: Path) -> None:
    with refused("E_TRAINING_DATA", where="collage"):
        train("ogl-l1", data="collage", variant="synth", out=tmp_path)


def test_annotations_are_learned_on_a_frozen_trunk(tmp_path: Path) -> None:
    supervised = {"settings.annotated": 1.0, "settings.unsupervised": False}
    changes = FEW | supervised | {"epochs": 8, "peak_learning_rate": 2e-2}
    record = train("attention", data="collage", out=tmp_path, changes=changes)
    losses = [epoch.loss for epoch in record.epochs]
    assert losses[-1] < losses[0]
