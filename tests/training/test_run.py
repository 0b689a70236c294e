"""Training end to end, on a few scenes: what comes out, again and again the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from refusals import refused

from ssl_bench.errors import ModelError, WeightsError
from ssl_bench.files import sha256_of_file
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.checkpoints import read_checkpoint
from ssl_bench.models.registry import load_localizer
from ssl_bench.training.objectives import classification
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.record import TrainingRecord, read_record
from ssl_bench.training.run import train

pytestmark = pytest.mark.slow

FILES = ["synth.safetensors", "synth.training.json", "synth.training.png"]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory, quick_classification) -> tuple[Path, TrainingRecord]:
    folder = tmp_path_factory.mktemp("classifier")
    return folder, train("ogl-l1", out=folder, recipe=quick_classification)


@pytest.fixture(scope="module")
def contrastive(tmp_path_factory, quick_contrastive) -> tuple[Path, TrainingRecord]:
    folder = tmp_path_factory.mktemp("contrastive")
    return folder, train("ezvsl", out=folder, recipe=quick_contrastive)


@pytest.mark.parametrize("trained", ["classifier", "contrastive"])
def test_the_objective_falls(trained, request):
    _, record = request.getfixturevalue(trained)
    assert record.epochs[-1].loss < record.epochs[0].loss - 0.1


@pytest.mark.parametrize("trained", ["classifier", "contrastive"])
def test_weights_record_and_picture_are_written_and_nothing_else(trained, request):
    folder, record = request.getfixturevalue(trained)
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert read_record(folder / FILES[1]) == record
    assert sha256_of_file(folder / FILES[0]) == record.weights_sha256


@pytest.mark.parametrize("trained", ["classifier", "contrastive"])
def test_the_same_seed_gives_the_same_bytes_another_seed_does_not(trained, request, tmp_path):
    folder, record = request.getfixturevalue(trained)
    again = train(record.model, out=tmp_path / "again", recipe=record.recipe)
    assert (tmp_path / "again" / FILES[0]).read_bytes() == (folder / FILES[0]).read_bytes()
    assert again.losses == record.losses
    assert again.data_digest == record.data_digest
    one = record.recipe.model_copy(update={"epochs": 1})
    other = train(record.model, out=tmp_path / "other", recipe=one, seed=1)
    assert other.seed == 1
    assert other.losses[0] != record.losses[0]


def test_trained_weights_are_a_localizer_with_an_audio_blind_map(contrastive):
    folder, _ = contrastive
    localizer = load_localizer("ezvsl", weights=folder / FILES[0])
    images = localizer.encode_image([np.zeros((128, 128, 3), np.uint8)])
    sounds = localizer.encode_audio([Waveform(np.zeros((22050, 1), np.int16), 11025)])
    assert localizer.localize(images, sounds).shape == (1, 7, 7)
    assert localizer.vision_only(images).shape == (1, 7, 7)
    bank = read_checkpoint(folder / FILES[0]).tensors["sound_bank"]
    assert 2 <= len(bank) <= 16


def test_trained_classifier_is_an_object_prior(classifier):
    folder, _ = classifier
    prior = load_localizer("ogl-l1", weights=folder / FILES[0])
    maps = prior.vision_only(prior.encode_image([np.zeros((128, 128, 3), np.uint8)]))
    assert maps.shape == (1, 7, 7)


def test_weights_are_stored_as_float16(contrastive):
    tensors = read_checkpoint(contrastive[0] / FILES[0]).tensors
    floating = {key: value.dtype for key, value in tensors.items() if value.is_floating_point()}
    assert set(floating.values()) == {torch.float16}


def test_image_trunk_starts_from_the_classifier(classifier, quick_contrastive, tmp_path):
    folder, trained = classifier
    almost_still = quick_contrastive.model_copy(
        update={"image_trunk": "object-classifier", "epochs": 1, "peak_learning_rate": 1e-7}
    )
    record = train(
        "ezvsl", out=tmp_path, recipe=almost_still, image_trunk=folder / "synth.safetensors"
    )
    assert record.image_trunk_sha256 == trained.weights_sha256
    start = read_checkpoint(folder / FILES[0]).tensors
    end = read_checkpoint(tmp_path / FILES[0]).tensors
    key = "layer2.0.conv1.weight"
    assert torch.allclose(end[f"imgnet.{key}"].float(), start[key].float(), atol=1e-3)


def test_weights_of_another_network_cannot_start_the_image_trunk(
    contrastive, quick_contrastive, tmp_path
):
    recipe = quick_contrastive.model_copy(update={"image_trunk": "object-classifier"})
    with refused(kind=WeightsError):
        train("ezvsl", out=tmp_path, recipe=recipe, image_trunk=contrastive[0] / FILES[0])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "variant", "code"),
    [
        ("nobody", "synth", ()),
        ("ezvsl", "vggss", ["E_VARIANT_UNTRAINED"]),
        ("center", "synth", ["E_VARIANT_UNTRAINED"]),
    ],
)
def test_what_cannot_be_trained_is_refused(name, variant, code, tmp_path):
    with refused(*code, kind=ModelError, where=name):
        train(name, variant=variant, out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_classifier_takes_no_image_trunk(quick_classification, classifier, tmp_path):
    with refused("E_IMAGE_TRUNK_UNUSED"):
        train(
            "ogl-l1",
            out=tmp_path,
            recipe=quick_classification,
            image_trunk=classifier[0] / FILES[0],
        )


def test_a_broken_objective_leaves_the_last_sound_state_and_no_weights(
    quick_classification: TrainingRecipe, tmp_path, monkeypatch
):
    class Poisoned(classification.ClassificationTask):
        def start_epoch(self, epoch):
            self.factor = torch.nan if epoch else 1.0

        def loss(self, batch):
            return super().loss(batch) * self.factor

    monkeypatch.setattr(classification, "ClassificationTask", Poisoned)
    with refused("E_LOSS_NOT_FINITE", where="in epoch 2, in the batch of objects-0"):
        train("ogl-l1", out=tmp_path, recipe=quick_classification)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["synth.progress.json", "synth.unfinished.pt"]


def test_only_what_is_made_by_code_is_known_by_name(tmp_path):
    with refused("E_TRAINING_DATA", where="vggss"):
        train("ezvsl", data="vggss", out=tmp_path)


def test_weights_of_passes_are_kept_and_change_nothing(contrastive, tmp_path):
    folder, record = contrastive
    kept = record.recipe.epochs // 2 or 1
    again = train("ezvsl", out=tmp_path / "kept", recipe=record.recipe, keep_epochs=kept)
    assert again.weights_sha256 == record.weights_sha256
    epochs = [
        f"synth.epoch{number}.safetensors" for number in range(kept, 1 + record.recipe.epochs, kept)
    ]
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == sorted([*FILES, *epochs])
    last = tmp_path / "kept" / epochs[-1]
    assert load_localizer("ezvsl", weights=last).name == "ezvsl"
    first = read_checkpoint(tmp_path / "kept" / epochs[0]).tensors
    final = read_checkpoint(folder / FILES[0]).tensors
    assert kept == record.recipe.epochs or any((first[key] != final[key]).any() for key in final)


def test_a_changed_architecture_is_trained_recorded_and_loaded(quick_contrastive, tmp_path):
    record = train(
        "ezvsl",
        out=tmp_path,
        recipe=quick_contrastive,
        changes={"architecture.dimension": 24, "architecture.trunk.width": 8},
    )
    assert record.architecture == {"dimension": 24, "trunk": {"width": 8}}
    model = load_localizer("ezvsl", weights=tmp_path / "synth.safetensors", alpha=0.5)
    image = model.encode_image([np.zeros((40, 40, 3), np.uint8)])
    assert image is not None
    with refused("E_SCHEMA", kind=ModelError):
        train(
            "ezvsl", out=tmp_path / "b", recipe=quick_contrastive, changes={"architecture.dim": 8}
        )
