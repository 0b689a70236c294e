"""Cross-modal alignment: its formulas, its views, its similarities, whose neighbours it draws."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from refusals import refused

from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.registry import load_baseline
from ssl_bench.models.resnet import SMALL_TRUNK
from ssl_bench.models.sslalign import AlignmentArchitecture, AlignmentNetwork
from ssl_bench.training.augmentation import Augmentation
from ssl_bench.training.data import ArraySource, EmbeddedWorld, TrainingData
from ssl_bench.training.feeds import Feed
from ssl_bench.training.neighbours import NeighbourFiles, Neighbours
from ssl_bench.training.objectives import prepare_task
from ssl_bench.training.objectives.alignment import (
    AlignmentTask,
    ImageView,
    PositiveViewsFeed,
    Settings,
    SoundView,
    alignment_losses,
    image_features,
    image_to_sound_losses,
    localization_similarities,
    semantic_similarities,
    sound_features,
)
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.recipe import TrainingRecipe

TAU = 0.1


def _views(seed: int, count: int = 3, batch: int = 4) -> tuple[list[ImageView], list[SoundView]]:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    return (
        [ImageView(draw(batch, 6, 3, 2), draw(batch, 5)) for _ in range(count)],
        [SoundView(draw(batch, 6), draw(batch, 5)) for _ in range(count)],
    )


def _permuted(views: list, order: torch.Tensor) -> list:
    return [type(view)(*(part[order] for part in view)) for view in views]


def test_s_l_is_the_mean_over_places_of_cosines() -> None:
    places = torch.tensor([[[[2.0, 0.0], [-1.0, 3.0]], [[0.0, 5.0], [0.0, 3.0]]]])
    expected = (1 + 0 - 1 + math.sqrt(0.5)) / 4
    assert localization_similarities(places, torch.tensor([[4.0, 0.0]])).item() == pytest.approx(
        expected
    )


def test_s_a_is_the_cosine_of_projected_features() -> None:
    found = semantic_similarities(torch.tensor([[3.0, 4.0]]), torch.tensor([[2.0, 0.0]]))
    assert found.item() == pytest.approx(0.6)


def test_a_term_by_hand() -> None:
    similarities = torch.tensor([[0.2, 0.0], [0.0, 0.0]])
    first, second = image_to_sound_losses(similarities, TAU).tolist()
    assert first == pytest.approx(math.log(1 + math.exp(-2)))
    assert second == pytest.approx(math.log(2))


def test_images_choose_among_sounds_and_sounds_choose_nothing() -> None:
    # Image 0 is close to all sounds, image 1 to its own alone: along rows only image 0 errs.
    similarities = torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    first, second = image_to_sound_losses(similarities, 0.01).tolist()
    assert first == pytest.approx(math.log(2))
    assert second == pytest.approx(0, abs=1e-6)


def test_equal_features_give_the_logarithm_of_the_batch_for_each_of_eighteen_terms() -> None:
    images = [ImageView(torch.ones(5, 6, 2, 2), torch.ones(5, 3))] * 3
    sounds = [SoundView(torch.ones(5, 6), torch.ones(5, 3))] * 3
    losses = alignment_losses(images, sounds, TAU)
    torch.testing.assert_close(losses, torch.full((5,), 18 * math.log(5)))


@given(order=st.permutations(range(4)), seed=st.integers(0, 20))
def test_permuting_the_batch_permutes_the_losses(order: list[int], seed: int) -> None:
    images, sounds = _views(seed)
    chosen = torch.tensor(order)
    torch.testing.assert_close(
        alignment_losses(_permuted(images, chosen), _permuted(sounds, chosen), TAU),
        alignment_losses(images, sounds, TAU)[chosen],
    )


def test_all_pairs_of_views_count_alike() -> None:
    images, sounds = _views(1)
    found = alignment_losses(images, sounds, TAU)
    one_by_one = [alignment_losses([seen], [heard], TAU) for seen in images for heard in sounds]
    assert len(one_by_one) == 9
    torch.testing.assert_close(found, torch.stack(one_by_one).sum(dim=0))


def test_negatives_are_sounds_of_the_same_view() -> None:
    # The first view of sounds is right and the second wrong; pairs of views do not mix them.
    images = [ImageView(torch.eye(2)[:, :, None, None])]
    right, wrong = SoundView(torch.eye(2)), SoundView(torch.eye(2).flip(0))
    both = alignment_losses(images, [right, wrong], TAU)
    expected = math.log1p(math.exp(-1 / TAU)) + math.log1p(math.exp(1 / TAU))
    torch.testing.assert_close(both, torch.full((2,), expected))


def test_without_projections_only_s_l_remains() -> None:
    images, sounds = _views(2, count=1)
    places = [ImageView(view.places) for view in images]
    whole = [SoundView(view.whole) for view in sounds]
    expected = image_to_sound_losses(
        localization_similarities(images[0].places, sounds[0].whole), TAU
    )
    torch.testing.assert_close(alignment_losses(places, whole, TAU), expected)
    assert (alignment_losses(images, sounds, TAU) > expected).all()


@given(scale=st.floats(0.1, 10))
def test_the_length_of_features_does_not_matter(scale: float) -> None:
    images, sounds = _views(3, count=1)
    scaled = [ImageView(scale * view.places, scale * view.semantic) for view in images]
    torch.testing.assert_close(
        alignment_losses(scaled, sounds, TAU),
        alignment_losses(images, sounds, TAU),
        atol=1e-3,
        rtol=1e-4,
    )


NEXT = (np.arange(8)[:, None] + 1) % 8
LAST = (np.arange(8)[:, None] - 1) % 8
VARIED = Augmentation(crop_area=(0.1, 0.2), time_shift=0.5)
STILL = Augmentation(crop_area=(1, 1), crop_aspect=1, flip=0)


def _scenes() -> ArraySource:
    generator = np.random.default_rng(0)
    return ArraySource(
        ids=tuple(f"s{index}" for index in range(8)),
        images=generator.integers(0, 256, (8, 40, 40, 3), np.uint8),
        spectrograms=generator.normal(-1, 0.2, (8, 1, 64, 40)).astype(np.float16),
        categories=np.arange(8) % 3 - 1,
        truths=np.zeros((8, 224, 224), np.float32),
        digest="scenes",
    )


def _feed(*, augmented: Augmentation | None = VARIED, neighbours: bool = True) -> PositiveViewsFeed:
    alike = Neighbours(NEXT.astype(np.int32), LAST.astype(np.int32), "neighbours")
    plain = Feed(_scenes(), STILL, ImagePreprocessing(side=32), 0)
    return PositiveViewsFeed(plain, augmented=augmented, neighbours=alike if neighbours else None)


def _task(feed: PositiveViewsFeed, *, projected: bool = True) -> AlignmentTask:
    torch.manual_seed(0)
    shape = AlignmentArchitecture(trunk=SMALL_TRUNK, projection=16)
    network = AlignmentNetwork(shape, projected=projected).eval()
    return AlignmentTask(network, feed, feed, Settings(tau=0.1))


def test_a_batch_has_three_views_of_each_clip() -> None:
    batch = _feed().batch(np.array([2, 5]), 0)
    whole = _feed().whole(np.arange(8))
    # The plain augmentation of this feed leaves clips as they are.
    torch.testing.assert_close(batch["sounds"], whole["sounds"][[2, 5]])
    torch.testing.assert_close(batch["sounds_alike"], whole["sounds"][[1, 4]])
    torch.testing.assert_close(batch["images_alike"], _feed().images(np.array([3, 6]), 0))
    for part in ("images", "sounds"):
        assert batch[f"{part}_augmented"].shape == batch[part].shape
        assert not torch.equal(batch[f"{part}_augmented"], batch[part])


def test_a_varied_sound_is_the_same_sound_shifted() -> None:
    batch = _feed().batch(np.array([2]), 0)
    shifted = [
        torch.equal(torch.roll(batch["sounds"], frames, dims=3), batch["sounds_augmented"])
        for frames in range(40)
    ]
    assert sum(shifted) == 1


def test_views_can_be_left_out() -> None:
    batch = _feed(augmented=None, neighbours=False).batch(np.array([2]), 0)
    assert batch.keys() == {"rows", "images", "sounds"}
    assert _feed(augmented=None).batch(np.array([2]), 0).keys() == {
        *batch,
        "images_alike",
        "sounds_alike",
    }


def test_the_digest_tells_by_what_clips_were_compared() -> None:
    assert _feed(neighbours=False).digest == "scenes"
    assert _feed().digest != "scenes"


def test_the_objective_compares_all_views() -> None:
    task = _task(_feed())
    batch = task.training_feed.batch(np.arange(4), 0)
    images, sounds = [], []
    for kind in ("", "_augmented", "_alike"):
        seen = task.network.encode_whole_images(batch[f"images{kind}"])
        heard = task.network.encode_whole_sounds(batch[f"sounds{kind}"])
        images.append(ImageView(*seen[::2]))
        sounds.append(SoundView(*heard))
    expected = alignment_losses(images, sounds, 0.1).mean()
    assert task.loss(batch).item() == pytest.approx(expected.item(), rel=1e-4)


def test_without_projections_there_is_s_l_alone() -> None:
    task = _task(_feed(augmented=None, neighbours=False), projected=False)
    batch = task.training_feed.batch(np.arange(4), 0)
    images, sounds = task.encoded(batch)
    expected = alignment_losses([ImageView(images)], [SoundView(sounds)], 0.1).mean()
    assert task.loss(batch).item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(task.similarities(batch), localization_similarities(images, sounds))


def test_similarities_are_those_of_projected_features() -> None:
    task = _task(_feed())
    batch = task.training_feed.whole(np.arange(4))
    seen = task.network.encode_whole_images(batch["images"]).semantic
    heard = task.network.encode_whole_sounds(batch["sounds"]).semantic
    assert seen is not None
    assert heard is not None
    torch.testing.assert_close(task.similarities(batch), seen @ heard.T)


def test_a_step_along_the_gradient_lowers_the_loss() -> None:
    task = _task(_feed())
    batch = task.training_feed.batch(np.arange(8), 0)
    before = task.loss(batch)
    torch.autograd.backward(before)
    with torch.no_grad():
        for parameter in task.network.parameters():
            assert parameter.grad is not None
            parameter.sub_(1e-3 * parameter.grad / (1e-9 + parameter.grad.norm()))
    assert task.loss(batch).item() < before.item()


def test_validation_looks_at_whole_clips_alone() -> None:
    task = _task(_feed())
    with torch.inference_mode():
        figures = task.validate()
        loss = task.loss(task.validation_feed.whole(np.arange(8)))
    assert figures["loss"] == pytest.approx(loss.item())
    assert figures.keys() == {"loss", "cIoU@0.5", "cIoU(adaptive)@0.5"}


def _preparation(**settings: object) -> Preparation:
    recipe = TrainingRecipe(
        objective="alignment",
        scenes=6,
        validation_scenes=2,
        epochs=1,
        batch=2,
        peak_learning_rate=1e-3,
        settings={"tau": 0.07, **settings},
    )
    return Preparation(
        baseline=load_baseline("sslalign"),
        variant_name="synth",
        recipe=recipe,
        data=EmbeddedWorld(),
        seed=0,
    )


@pytest.mark.slow
def test_the_embedded_world_has_features_of_its_own() -> None:
    task = prepare_task(_preparation(neighbours=2))
    assert isinstance(task, AlignmentTask)
    feed = task.training_feed
    assert image_features(_preparation(), feed).values.shape == (6, 64)
    assert sound_features(feed).values.shape == (6, 128)
    assert "sounds_alike" in feed.batch(np.arange(2), 0)
    assert "sounds_augmented" not in feed.batch(np.arange(2), 0)


def test_s_a_is_left_out_with_its_projections() -> None:
    task = prepare_task(_preparation(semantic=False))
    assert isinstance(task, AlignmentTask)
    assert task.network.image_projection is None


def test_features_of_other_encoders_decide_who_is_alike(tmp_path: Path) -> None:
    ids = np.array([f"train-{index:06d}" for index in range(6)])
    pairs = np.eye(3, dtype=np.float32).repeat(2, axis=0)  # 0 with 1, 2 with 3, 4 with 5
    halves = np.array([[1, index > 2] for index in range(6)], np.float32)
    files = NeighbourFiles(tmp_path / "images.npz", tmp_path / "sounds.npz")
    np.savez(files.images, ids=ids, features=pairs)
    np.savez(files.sounds, ids=ids[::-1], features=halves[::-1])
    task = prepare_task(replace(_preparation(neighbours=1), neighbours=files))
    assert isinstance(task, AlignmentTask)
    batch = task.training_feed.batch(np.array([0]), 0)
    torch.testing.assert_close(
        batch["images_alike"], task.training_feed.images(np.array([1]), 0, view=2)
    )
    own = prepare_task(_preparation(neighbours=1))
    assert task.data_digest != own.data_digest


def test_features_without_a_use_are_refused(tmp_path: Path) -> None:
    files = NeighbourFiles(tmp_path / "images.npz", tmp_path / "sounds.npz")
    with refused("E_NEIGHBOURS_UNUSED", where="sslalign/recipe.toml"):
        prepare_task(replace(_preparation(), neighbours=files))


class Clips(TrainingData):
    """A user's data without features."""

    name = "clips"

    def sources(self, needs, recipe, seed, front_end=None, progress=None):
        return _scenes(), _scenes()


def test_a_folder_needs_features_to_compare_clips_by() -> None:
    with refused("E_NEIGHBOURS_MISSING", where="clips"):
        prepare_task(replace(_preparation(neighbours=1), data=Clips()))


@pytest.mark.parametrize(
    "wrong",
    [{"tau": 0}, {"neighbours": -1}, {"augmented": {"blur": 1}}, {"augmented": True}, {"k": 3}],
)
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"tau": 0.07, **wrong})


def test_features_of_sounds_do_not_depend_on_when_something_sounds() -> None:
    source = _scenes()
    preprocessing = ImagePreprocessing(side=32)
    rolled = replace(source, spectrograms=np.roll(source.spectrograms, 3, axis=3))
    first, second = (
        sound_features(Feed(each, STILL, preprocessing, 0)).values for each in (source, rolled)
    )
    assert first.shape == (8, 128)
    np.testing.assert_allclose(first, second, atol=1e-5)
