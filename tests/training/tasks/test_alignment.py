"""The task of cross-modal alignment: its views, its similarities, whose neighbours it draws."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from ssl_bench.errors import DataError, ModelError
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.registry import load_recipe
from ssl_bench.models.resnet import SMALL_TRUNK
from ssl_bench.models.sslalign import AlignmentArchitecture, AlignmentNetwork
from ssl_bench.training.augmentation import Augmentation
from ssl_bench.training.data import Scenes
from ssl_bench.training.folder import Clip, FolderScenes
from ssl_bench.training.neighbours import NeighbourFiles, Neighbours
from ssl_bench.training.objectives.alignment import (
    ImageView,
    SoundView,
    alignment_losses,
    localization_similarities,
)
from ssl_bench.training.positive_views import PositiveViewsFeed
from ssl_bench.training.preparation import EmbeddedWorld, Preparation
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.tasks import prepare_task
from ssl_bench.training.tasks.alignment import AlignmentTask, Settings, look_of, sound_of

NEXT = (np.arange(8)[:, None] + 1) % 8
LAST = (np.arange(8)[:, None] - 1) % 8
VARIED = Augmentation(crop_area=(0.1, 0.2), time_shift=0.5)
STILL = Augmentation(crop_area=(1, 1), crop_aspect=1, flip=0)


def _scenes() -> Scenes:
    generator = np.random.default_rng(0)
    return Scenes(
        ids=tuple(f"s{index}" for index in range(8)),
        images=generator.integers(0, 256, (8, 40, 40, 3), np.uint8),
        spectrograms=generator.normal(-1, 0.2, (8, 1, 64, 40)).astype(np.float16),
        categories=np.arange(8) % 3 - 1,
        truths=np.zeros((8, 224, 224), np.float32),
        digest="scenes",
    )


def _feed(*, augmented: Augmentation | None = VARIED, neighbours: bool = True) -> PositiveViewsFeed:
    alike = Neighbours(NEXT.astype(np.int32), LAST.astype(np.int32), "neighbours")
    return PositiveViewsFeed(
        _scenes(),
        STILL,
        ImagePreprocessing(side=32),
        0,
        augmented=augmented,
        neighbours=alike if neighbours else None,
    )


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
        heard = task.network.encode_sounds(batch[f"sounds{kind}"])
        assert seen.semantic is not None
        images.append(ImageView(seen.places, seen.semantic))
        sounds.append(SoundView(heard, task.network.project_sounds(heard)))
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
    heard = task.network.project_sounds(task.network.encode_sounds(batch["sounds"]))
    assert seen is not None
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
        baseline="sslalign",
        recipe_path=Path("some/recipe.toml"),
        variant_name="synth",
        variant=load_recipe("sslalign").variants["synth"],
        object_prior="ogl-l1",
        recipe=recipe,
        data=EmbeddedWorld(),
        seed=0,
    )


def test_the_embedded_world_has_features_of_its_own() -> None:
    task = prepare_task(_preparation(neighbours=2))
    assert isinstance(task, AlignmentTask)
    feed = task.training_feed
    assert look_of(_preparation(), feed).values.shape == (6, 64)
    assert sound_of(feed).values.shape == (6, 128)
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
    with pytest.raises(ModelError, match="draws no neighbours"):
        prepare_task(replace(_preparation(), neighbours=files))


class Clips:
    """A user's data without features."""

    name = "clips"
    version = None
    left_out = 0
    held_out = 0

    def scenes(self, recipe, seed, front_end, progress, *, truth):
        clip = Clip("a", Path("a.jpg"), Path("a.wav"))
        return FolderScenes((clip,) * 4, front_end), FolderScenes((clip,), front_end)


def test_a_folder_needs_features_to_compare_clips_by() -> None:
    with pytest.raises(DataError, match=r"clips: .* nothing to compare .* --neighbour-images"):
        prepare_task(replace(_preparation(neighbours=1), data=Clips()))


@pytest.mark.parametrize(
    "wrong",
    [{"tau": 0}, {"neighbours": -1}, {"augmented": {"blur": 1}}, {"augmented": True}, {"k": 3}],
)
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"tau": 0.07, **wrong})
