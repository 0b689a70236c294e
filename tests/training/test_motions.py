"""Training on frames and a frozen trunk: how things move is read once, beside its maps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from made_trunk import DIGEST, made_world
from numpy.typing import NDArray
from refusals import refused

from ssl_bench.media.video_input import VideoInput
from ssl_bench.models.checkpoints import read_checkpoint
from ssl_bench.models.embedding_localizer import EmbeddingLocalizer
from ssl_bench.models.registry import load_localizer
from ssl_bench.training.data import MADE_BY_CODE, ArraySource, Needs
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.run import plan_training, train
from ssl_bench.training.trunk_maps import motions

FEW = {"scenes": 16, "validation_scenes": 6, "batch": 8, "epochs": 2}
MODELS = ("avobject", "heartheflow")
VIDEO = VideoInput(frames=3, rate=10)


@pytest.fixture(scope="module", autouse=True)
def made(tmp_path_factory: pytest.TempPathFactory):
    with made_world(tmp_path_factory):
        yield


@dataclass
class Counted:
    """Frames of which each is as bright as its row; counts how often they are looked at."""

    seen: int = 0

    def __getitem__(self, row: int, /) -> NDArray[np.uint8]:
        self.seen += 1
        return np.full((3, 8, 8, 3), row, np.uint8)


def test_what_is_made_of_frames_is_made_once_for_each_setting() -> None:
    clips = Counted()
    pictures = np.zeros((20, 8, 8, 3), np.uint8)
    names = tuple(map(str, range(20)))
    source = ArraySource(names, "some", np.zeros(20, np.int64), pictures, clips=clips)
    for _ in range(2):
        found = motions(source, lambda frames: frames[:2, 0, 0], ["corner"])
        assert found.of(np.array([19, 3]))[:, 0, 0].tolist() == [19, 3]
    assert clips.seen == 20
    other = motions(source, lambda frames: frames[:1, 0, 0].astype(np.float16), ["one corner"])
    assert clips.seen == 40
    assert other.of(np.array([7])).dtype == torch.float32


def test_scenes_of_collage_have_frames_around_their_pictures() -> None:
    recipe = TrainingRecipe.model_validate(
        plan_training("lvs", data="collage", changes=FEW).recipe.model_dump()
    )
    data = MADE_BY_CODE["collage"]
    [still, _], [moving, _] = (
        data.sources(Needs(sounds=True, video=video), recipe, 0, lambda _: np.zeros((1, 2, 3)))
        for video in (None, VIDEO)
    )
    assert moving.frames(5).shape == (3, 448, 448, 3)
    assert (moving.frames(5)[1] == still.image(5)).all()
    assert moving.digest != still.digest
    # The trunk need not look again.
    assert moving.digest_of_images == still.digest_of_images == still.digest


@pytest.mark.parametrize("name", MODELS)
def test_it_trains_on_collage_and_listens(name: str, tmp_path: Path) -> None:
    record = train(name, data="collage", out=tmp_path, changes=FEW)
    assert (record.data, record.variant) == ("collage", "collage")
    assert record.image_trunk_sha256 == DIGEST
    weights = tmp_path / "collage.safetensors"
    assert sum(each.numel() for each in read_checkpoint(weights).tensors.values()) < 300_000
    model = load_localizer(name, variant="collage", weights=weights)
    assert isinstance(model, EmbeddingLocalizer)
    assert model.supports("vision_only")


@pytest.mark.parametrize("name", MODELS)
def test_frames_cannot_be_varied(name: str, tmp_path: Path) -> None:
    with refused("E_TRUNK_FROZEN", where="recipe.toml"):
        train(name, data="collage", out=tmp_path, changes=FEW | {"flip": 0.5})


def test_flow_is_not_read_where_the_network_goes_without(tmp_path: Path) -> None:
    changes = FEW | {"architecture.flow": "none"}
    assert plan_training("heartheflow", data="collage", changes=changes).needs.video is None
    assert train("heartheflow", data="collage", out=tmp_path, changes=changes).parameters > 0
