"""The classifier that localizes: its maps, sounds that are swapped, and its files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from recipe_weights import seeded_state
from refusals import refused

from ssl_bench.errors import WeightsError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.checkpoints import save_checkpoint
from ssl_bench.models.embedding_localizer import EmbeddingPreprocessing
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.lcbm import LCBM, LCBMArchitecture, LCBMNetwork
from ssl_bench.models.registry import load_baseline, load_localizer
from ssl_bench.models.resnet import SMALL_TRUNK, TrunkArchitecture
from ssl_bench.models.sounds import LogMelAudio


@pytest.fixture(scope="module")
def model() -> LCBM:
    network = LCBMNetwork(LCBMArchitecture(trunk=SMALL_TRUNK, classes=5))
    network.load_state_dict(seeded_state(network))
    preprocessing = EmbeddingPreprocessing(
        preset="small", image=ImagePreprocessing(side=112), audio=LogMelAudio()
    )
    return LCBM(network, preprocessing)


def test_a_map_is_the_cosine_with_the_mean_of_the_sounds_map(
    model: LCBM, pictures: list[NDArray[np.uint8]], clips: list[Waveform]
) -> None:
    network = LCBMNetwork(LCBMArchitecture(trunk=SMALL_TRUNK, classes=5))
    network.load_state_dict(seeded_state(network))
    sound = torch.from_numpy(model.prepare_sound(clips[0]))[None]
    with torch.inference_mode():
        whole = network.eval().audnet(sound).mean(dim=(2, 3))[0].numpy()
    images = model.encode_image(pictures[:1])
    expected = np.einsum("dhw,d->hw", images["visual"][0], whole / np.linalg.norm(whole))
    found = model.localize(images, model.encode_audio(clips[:1]))
    np.testing.assert_allclose(found[0], expected, atol=1e-4)


def test_another_sound_gives_another_map(
    model: LCBM, pictures: list[NDArray[np.uint8]], clips: list[Waveform]
) -> None:
    images, sounds = model.encode_image(pictures[:2]), model.encode_audio(clips[1:3])
    swapped = {name: rows[::-1] for name, rows in sounds.items()}
    assert np.abs(model.localize(images, sounds) - model.localize(images, swapped)).max() > 1e-3


def test_logits_are_of_the_mean_over_places() -> None:
    network = LCBMNetwork(LCBMArchitecture(trunk=SMALL_TRUNK, classes=5)).eval()
    pixels = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        by_place = network.head(network.imgnet(pixels).permute(0, 2, 3, 1))
        found = network.classify_images(pixels)
    torch.testing.assert_close(found, by_place.mean(dim=(1, 2)), rtol=1e-4, atol=1e-5)


class TestWeights:
    def load(self, tensors: Mapping[str, torch.Tensor], path: Path) -> None:
        save_checkpoint(path / "w.safetensors", tensors)
        load_localizer("lcbm", weights=path / "w.safetensors")

    @pytest.fixture
    def tensors(self) -> dict[str, torch.Tensor]:
        table = load_baseline("lcbm").variant("synth").architecture
        plan = LCBMArchitecture.model_validate({**table, "classes": 3})
        return seeded_state(LCBMNetwork(plan))

    def test_any_number_of_classes_fits(
        self, tensors: dict[str, torch.Tensor], tmp_path: Path
    ) -> None:
        self.load(tensors, tmp_path)

    def test_a_missing_entry(self, tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
        del tensors["head.bias"]
        with refused("E_WEIGHTS_MISFIT", where="head.bias", kind=WeightsError):
            self.load(tensors, tmp_path)

    def test_another_architecture(self, tmp_path: Path) -> None:
        tiny = LCBMArchitecture(trunk=TrunkArchitecture(width=4), classes=3)
        with refused("E_WEIGHTS_MISFIT", where="w.safetensors", kind=WeightsError):
            self.load(seeded_state(LCBMNetwork(tiny)), tmp_path)
