"""Oya et al.: the similarity loss, its negatives, and the task."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from safetensors.torch import load_file
from torch import Tensor

from ssl_bench.errors import WeightsError
from ssl_bench.models.amplitude_phase import AmplitudePhaseAudio
from ssl_bench.models.checkpoints import save_checkpoint
from ssl_bench.models.gradcam import VGGArchitecture, VGGNetwork
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.oya import Oya, OyaArchitecture, OyaNetwork, OyaPreprocessing
from ssl_bench.models.recipes import Variant
from ssl_bench.models.registry import load_baseline
from ssl_bench.training.augmentation import Augmentation
from ssl_bench.training.data import ArraySource, EmbeddedWorld
from ssl_bench.training.feeds import Feed
from ssl_bench.training.objectives.oya import (
    OyaTask,
    Settings,
    all_negatives,
    prepare,
    sample_negatives,
    siamese_loss,
)
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.recipe import TrainingRecipe, training_recipe
from ssl_bench.training.run_state import Progress


@given(st.integers(2, 6), st.data())
def test_the_loss_lies_between_0_and_1(batch: int, data: st.DataObject) -> None:
    cosines = st.lists(st.floats(0, 1, width=32), min_size=batch, max_size=batch)
    table = torch.tensor(data.draw(st.lists(cosines, min_size=batch, max_size=batch)))
    assert 0 <= siamese_loss(table, all_negatives(batch)).item() <= 1


def test_it_vanishes_where_pairs_agree_and_negatives_do_not() -> None:
    assert siamese_loss(torch.eye(3), all_negatives(3)).item() == 0


def test_it_is_1_where_only_negatives_agree() -> None:
    assert siamese_loss(1 - torch.eye(3), all_negatives(3)).item() == 1


def test_both_kinds_of_pairs_weigh_the_same_whatever_their_numbers() -> None:
    table = torch.full((4, 4), 0.4) + 0.5 * torch.eye(4)
    table.requires_grad_()
    loss = siamese_loss(table, all_negatives(4))
    assert loss.item() == pytest.approx((0.1 + 0.4) / 2)
    torch.autograd.backward(loss)
    assert table.grad is not None
    assert table.grad.trace().item() == pytest.approx(-0.5)
    assert table.grad.sum().item() == pytest.approx(0, abs=1e-6)


def test_the_pairs_of_a_batch_are_those_that_are_named() -> None:
    table = torch.tensor([[0.9, 0.1, 0.2], [0.3, 0.8, 0.4], [0.5, 0.6, 0.7]])
    negatives = torch.tensor([[1], [2], [0]])  # image 1 with sound 0, image 2 with sound 1, ...
    expected = ((0.1 + 0.2 + 0.3) / 3 + (0.3 + 0.6 + 0.2) / 3) / 2
    assert siamese_loss(table, negatives).item() == pytest.approx(expected)


def test_with_every_negative_the_order_of_the_batch_does_not_matter() -> None:
    table = torch.rand(5, 5, generator=torch.Generator().manual_seed(0))
    negatives = sample_negatives(5, 4)
    order = torch.tensor([3, 0, 4, 1, 2])
    shuffled = table[order][:, order]
    torch.testing.assert_close(siamese_loss(shuffled, negatives), siamese_loss(table, negatives))


@given(st.integers(2, 12), st.data())
def test_negatives_are_different_images_of_the_batch_and_never_its_own(
    batch: int, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, batch - 1))
    negatives = sample_negatives(batch, count)
    assert negatives.shape == (batch, count)
    for own, chosen in enumerate(negatives.tolist()):
        assert len(set(chosen)) == count
        assert set(chosen) <= set(range(batch)) - {own}


def test_every_negative_is_as_likely() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.cat([sample_negatives(4, 1, generator) for _ in range(1000)], dim=1)
    for own, chosen in enumerate(drawn.numpy()):
        counts = np.bincount(chosen, minlength=4)
        assert counts[own] == 0
        assert np.all(np.abs(np.delete(counts, own) - 1000 / 3) < 75)


@pytest.mark.parametrize("potential", ["learned", "constant"])
def test_a_step_against_the_gradient_lowers_it(potential: str) -> None:
    torch.manual_seed(0)
    architecture = OyaArchitecture.model_validate(
        {
            "image_stages": ((4,), (4,)),
            "sound_stages": ((4,), (4,)),
            "bins": 16,
            "hidden": 8,
            "dimension": 8,
            "potential": potential,
        }
    )
    network = OyaNetwork(architecture)
    images, sounds = torch.randn(6, 3, 16, 16), torch.randn(6, 2, 16, 8)
    negatives = sample_negatives(6, 5)

    def loss() -> Tensor:
        visual, prior = network.encode_images(images)
        return siamese_loss(
            network.similarity(visual, prior, network.encode_sounds(sounds)), negatives
        )

    before = loss()
    torch.autograd.backward(before)
    with torch.no_grad():
        for parameter in network.parameters():
            assert parameter.grad is not None
            parameter -= 1e-3 * parameter.grad
    assert loss().item() < before.item()


STAGES = ((4,), (4,), (8,))
ARCHITECTURE = OyaArchitecture(
    image_stages=STAGES, sound_stages=((4,), (4,)), bins=256, hidden=8, dimension=8
)
AUDIO = {"rate": 11025, "window": 510, "hop": 255, "seconds": 2.0}


def make_task(**settings: float) -> OyaTask:
    generator = np.random.default_rng(0)
    scenes = ArraySource(
        ids=tuple(f"s{index}" for index in range(8)),
        images=generator.integers(0, 256, (8, 40, 40, 3), np.uint8),
        spectrograms=generator.normal(0, 1, (8, 2, 256, 20)).astype(np.float16),
        categories=np.arange(8),
        truths=np.zeros((8, 224, 224), np.float32),
        digest="",
    )
    torch.manual_seed(0)
    feed = Feed(scenes, Augmentation(), ImagePreprocessing(side=32), 0)
    network = OyaNetwork(ARCHITECTURE).eval()
    return OyaTask(network, feed, feed, Settings.model_validate(settings))


def test_all_negatives_together_are_all_pairs_of_the_batch() -> None:
    task = make_task(negatives=99)
    batch = task.training_feed.batch(np.arange(5), 0)
    with torch.inference_mode():
        pairs = task.similarities(batch)
        others = pairs[~torch.eye(5, dtype=torch.bool)]
        expected = (1 - pairs.diagonal().mean() + others.mean()) / 2
        torch.testing.assert_close(task.loss(batch), expected)
        torch.testing.assert_close(task.validation_loss(batch), task.loss(batch))


def test_one_negative_of_each_sound_is_drawn_anew_and_from_torchs_own_generator() -> None:
    task = make_task(negatives=1)
    batch = task.training_feed.batch(np.arange(8), 0)

    def losses(seed: int) -> list[float]:
        torch.manual_seed(seed)
        with torch.inference_mode():
            return [task.loss(batch).item() for _ in range(4)]

    assert losses(0) == losses(0) != losses(1)
    assert len(set(losses(0))) > 1


def test_the_loss_of_validation_draws_nothing() -> None:
    task = make_task(negatives=1)
    batch = task.validation_feed.whole(np.arange(8))
    with torch.inference_mode():
        assert len({task.validation_loss(batch).item() for _ in range(4)}) == 1


def test_maps_and_similarities_are_those_of_the_localizer() -> None:
    task = make_task()
    batch = task.validation_feed.whole(np.arange(3))
    model = Oya(task.network, OyaPreprocessing())
    with torch.inference_mode():
        visual, potential = task.network.encode_images(batch["images"])
        images = {"visual": visual.numpy(), "potential": potential.numpy()}
        sounds = {"audio": task.network.encode_sounds(batch["sounds"]).numpy()}
        maps, table = task.maps(batch).numpy(), task.similarities(batch).numpy()
    np.testing.assert_allclose(maps, model.localize(images, sounds), rtol=1e-5)
    np.testing.assert_allclose(table, model.similarity(images, sounds), rtol=1e-5, atol=1e-6)


def test_the_image_trunk_has_a_learning_rate_of_its_own() -> None:
    task = make_task(image_trunk_factor=0.1)
    trunk, rest = task.parameter_groups()
    assert (trunk.learning_rate_factor, rest.learning_rate_factor) == (0.1, 1.0)
    named = [*trunk.parameters, *rest.parameters]
    assert {id(each) for each in named} == {id(each) for each in task.network.parameters()}
    assert len(named) == len(list(task.network.parameters()))
    assert {id(each) for each in trunk.parameters} == {
        id(each) for name, each in task.network.named_parameters() if name.startswith("features.")
    }


class TestPreparing:
    def preparation(
        self,
        image_trunk: str,
        file: Path | None = None,
        settings: dict[str, Any] | None = None,
        progress: Progress | None = None,
    ) -> Preparation:
        oya = load_baseline("oya")
        tiny = Variant(
            about="A tiny one.",
            architecture=ARCHITECTURE.model_dump(),
            preprocessing={"image": {"side": 32}, "audio": AUDIO},
        )
        recipe = oya.recipe.model_copy(update={"variants": {"synth": tiny}})
        return Preparation(
            baseline=replace(oya, recipe=recipe),
            variant_name="synth",
            recipe=TrainingRecipe.model_validate(
                {
                    "objective": "oya",
                    "scenes": 4,
                    "validation_scenes": 2,
                    "epochs": 1,
                    "batch": 2,
                    "peak_learning_rate": 0.1,
                    "image_trunk": image_trunk,
                    "settings": settings or {},
                }
            ),
            data=EmbeddedWorld(),
            seed=0,
            image_trunk=file,
            progress=progress,
        )

    @pytest.fixture
    def classifier(self, tmp_path: Path) -> Path:
        """A VGG classifier with two more stages than the trunk, as VGG-11 has one more."""
        shape = VGGArchitecture(stages=STAGES, grid=1, hidden=4, classes=3)
        path = tmp_path / "vgg.safetensors"
        state = VGGNetwork(shape).state_dict()
        save_checkpoint(path, {**state, "features.16.weight": torch.zeros(1)})
        return path

    @pytest.mark.slow
    def test_the_image_trunk_starts_from_a_vgg_classifier(self, classifier: Path) -> None:
        task = prepare(self.preparation("imagenet", classifier))
        given = load_file(classifier)
        for key, value in task.network.features.state_dict().items():
            torch.testing.assert_close(value, given[f"features.{key}"])
        assert task.image_trunk_sha256 is not None

    def test_or_from_pictures_of_objects_that_it_learns_to_tell_apart(self) -> None:
        stages: list[str] = []
        chosen = self.preparation(
            "none",
            settings={
                "classifier": {
                    "classes": 22,
                    "epochs": 2,
                    "peak_learning_rate": 1e-2,
                    "weight_decay": 0.1,
                }
            },
            progress=lambda step: stages.append(step.stage),
        )
        torch.manual_seed(0)
        first = prepare(chosen).network.state_dict()
        torch.manual_seed(0)
        again = prepare(chosen).network.state_dict()
        torch.manual_seed(0)
        random = OyaNetwork(ARCHITECTURE).state_dict()
        for key, value in first.items():
            assert torch.equal(value, again[key]), key
            assert torch.equal(value, random[key]) != key.startswith("features."), key
        assert stages.count("training the image trunk to classify") == 2 * 2 * 2

    def test_a_trunk_that_starts_from_nothing_learns_as_fast_as_the_rest(self) -> None:
        with refused("E_IMAGE_TRUNK_FACTOR"):
            prepare(self.preparation("none", settings={"image_trunk_factor": 0.1}))

    def test_a_file_of_another_classifier_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "other.safetensors"
        save_checkpoint(path, {"conv1.weight": torch.zeros(2)})
        with refused(kind=WeightsError, where="features.0.weight"):
            prepare(self.preparation("imagenet", path))

    def test_without_a_start_a_file_is_refused(self, classifier: Path) -> None:
        with refused("E_IMAGE_TRUNK_UNUSED"):
            prepare(self.preparation("none", classifier))

    def test_all_sounds_of_a_batch_are_equally_long(self) -> None:
        task = prepare(self.preparation("none"))
        batch = task.training_feed.batch(np.arange(4), 0)
        assert batch["sounds"].shape == (4, 2, 256, 87)
        filled = AmplitudePhaseAudio.model_validate(AUDIO).filled()
        assert filled.frames == 87


@pytest.mark.parametrize(
    ("variant", "batch", "epochs", "rates"),
    [("full", 8, 25, (1e-5, 1e-4)), ("synth", 64, 4, (4e-3, 4e-3))],
)
def test_recipes_say_how_each_variant_is_trained(
    variant: str, batch: int, epochs: int, rates: tuple[float, float]
) -> None:
    recipe = training_recipe(load_baseline("oya"), variant)
    factor = Settings.model_validate(recipe.settings).image_trunk_factor
    assert (recipe.batch, recipe.epochs) == (batch, epochs)
    found = (recipe.peak_learning_rate * factor, recipe.peak_learning_rate)
    assert found == pytest.approx(rates)
