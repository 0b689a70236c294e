"""AVGN: the authors' numbers, maps by category, sounds that are swapped, and files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from recipe_weights import recipe_tensor, seeded_state
from refusals import refused, unsupported
from torch import Tensor

from ssl_bench.errors import ModelError, WeightsError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.avgn import (
    AVGN,
    UNUSED_ENTRIES,
    AVGNArchitecture,
    AVGNNetwork,
    AVGNOptions,
)
from ssl_bench.models.checkpoints import save_checkpoint
from ssl_bench.models.embedding_localizer import EmbeddingPreprocessing
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.registry import load_localizer
from ssl_bench.models.resnet import SMALL_TRUNK
from ssl_bench.models.sounds import LogMelAudio

SEED = "avgn"
SMALL = AVGNArchitecture(trunk=SMALL_TRUNK, dimension=16, classes=4, depth=1)
PREPROCESSING = EmbeddingPreprocessing(
    preset="small", image=ImagePreprocessing(side=112), audio=LogMelAudio()
)

Pictures = list[NDArray[np.uint8]]
Clips = list[Waveform]


def small_model(categories: Path | None = None) -> AVGN:
    network = AVGNNetwork(SMALL)
    network.load_state_dict(seeded_state(network))
    options = AVGNOptions.model_validate({"categories": categories})
    return AVGN(network, PREPROCESSING, options=options)


def seeded_input(key: str, shape: tuple[int, ...], largest: float) -> Tensor:
    scale = math.sqrt(math.prod(shape[1:]) / 6) * largest
    return recipe_tensor(SEED, f"{key}.input", shape) * scale


@pytest.fixture
def named(tmp_path: Path) -> Path:
    path = tmp_path / "train.txt"
    path.write_text("clip_1,flute,steel_guitar\nclip_2,banjo\nclip_3,cello,flute\n")
    return path


@pytest.fixture(scope="module")
def vectors() -> dict[str, NDArray[Any]]:
    with np.load(Path(__file__).parent / "vectors" / "avgn.npz") as content:
        return dict(content)


@pytest.fixture(scope="module")
def network() -> AVGNNetwork:
    network = AVGNNetwork(AVGNArchitecture(dimension=64, classes=5, depth=2))
    network.load_state_dict(seeded_state(network, SEED))
    return network.eval()


@pytest.mark.slow
class TestAuthorsCode:
    def test_a_file_of_theirs_has_what_the_network_needs_and_what_is_unused(
        self, vectors: dict[str, NDArray[Any]], network: AVGNNetwork
    ) -> None:
        theirs = dict(str(each).split(" ", 1) for each in vectors["keys"])
        own = {key: str(tuple(each.shape)) for key, each in network.state_dict().items()}
        assert {key: shape for key, shape in theirs.items() if key not in UNUSED_ENTRIES} == own

    def test_maps_of_every_category_are_theirs(
        self, vectors: dict[str, NDArray[Any]], network: AVGNNetwork
    ) -> None:
        with torch.inference_mode():
            visual = network.encode_images(seeded_input("images", (2, 3, 224, 224), 2.0))
            grouped = network.group_sounds(seeded_input("sounds", (2, 1, 257, 200), 1.0))
        maps = torch.einsum("bdhw,bkd->bkhw", visual, grouped.vectors) / network.temperature
        found = {"vectors": grouped.vectors, "heard": grouped.probabilities, "maps": maps}
        for name, tensor in found.items():
            expected = vectors[name]
            scale = np.abs(expected).max()
            np.testing.assert_allclose(tensor, expected, atol=1e-4 * scale, err_msg=name)


class TestMaps:
    def test_the_likeliest_category_is_taken_by_hand(self) -> None:
        model = small_model()
        seen = {"visual": np.array([[[[1, 0]], [[0, 1]]]], np.float32)}
        heard = {
            "classes": np.array([[[3, 0], [0, 6]]], np.float32),
            "heard": np.array([[0.2, 0.9]], np.float32),
        }
        np.testing.assert_allclose(model.localize(seen, heard)[0], [[0, 200]], rtol=1e-6)
        assert model.similarity(seen, heard).tolist() == [[6.0]]

    def test_swapped_sounds_change_the_maps(self, pictures: Pictures, clips: Clips) -> None:
        model = small_model()
        seen = model.encode_image(pictures[:2])
        maps, swapped = (
            model.localize(seen, model.encode_audio(order)) for order in (clips[:2], clips[1::-1])
        )
        assert maps.shape == (2, 7, 7)
        assert np.abs(maps - swapped).max() > 1e-3 * np.abs(maps).max()

    def test_a_map_by_category_is_that_of_its_name(
        self, named: Path, pictures: Pictures, clips: Clips
    ) -> None:
        model = small_model(named)
        seen, heard = model.encode_image(pictures[:2]), model.encode_audio(clips[:2])
        maps = model.class_maps(seen, heard, ["steel guitar", "banjo"])
        assert (maps.shape, maps.dtype) == ((2, 2, 7, 7), np.float32)
        # Names in the order of the alphabet: banjo, cello, flute, steel guitar.
        for place, number in ((0, 3), (1, 0)):
            alone = {**heard, "heard": np.eye(4, dtype=np.float32)[[number, number]]}
            np.testing.assert_allclose(maps[:, place], model.localize(seen, alone), rtol=1e-4)

    def test_without_names_there_is_one_map(self, pictures: Pictures, clips: Clips) -> None:
        model = small_model()
        with unsupported(model, "class_maps", naming="categories=FILE"):
            model.class_maps(model.encode_image(pictures), model.encode_audio(clips), ["flute"])

    def test_a_category_that_the_weights_do_not_know(
        self, named: Path, pictures: Pictures, clips: Clips
    ) -> None:
        model = small_model(named)
        seen, heard = model.encode_image(pictures[:1]), model.encode_audio(clips[:1])
        with refused("E_CATEGORY_UNKNOWN", where="flote", kind=ModelError):
            model.class_maps(seen, heard, ["flote"])

    def test_a_list_of_another_length_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "few.txt"
        path.write_text("flute\n")
        with refused("E_OPTION_CATEGORIES", where=path, kind=ModelError):
            small_model(path)
        with refused("E_OPTION_CATEGORIES", where="absent", kind=ModelError):
            small_model(tmp_path / "absent.txt")

    def test_results_say_which_names_were_given(self, named: Path) -> None:
        told = small_model(named).provenance.options["categories"]
        assert told == small_model(named).provenance.options["categories"]
        assert "train.txt" not in str(told)


class TestFiles:
    def test_without_a_file_it_is_refused_in_one_sentence(self) -> None:
        with refused("E_WEIGHTS_NEEDED", where="weights=FILE", kind=WeightsError):
            load_localizer("avgn")

    def test_a_file_of_another_shape_is_refused(self, tmp_path: Path) -> None:
        network = AVGNNetwork(SMALL)
        path = tmp_path / "best.safetensors"
        save_checkpoint(path, seeded_state(network))
        with refused("E_WEIGHTS_MISFIT", where=path, kind=WeightsError):
            load_localizer("avgn", weights=path)

    @pytest.mark.parametrize(
        "entries",
        [
            {"av_token": (10**12, 0)},
            {"img_proj.weight": (10**12, 0, 1, 1), "aud_proj.weight": (10**12, 0)},
            {"img_proj.weight": (12, 16, 1, 1), "aud_proj.weight": (12, 16)},
        ],
    )
    def test_sizes_that_the_model_cannot_have_are_refused(
        self, entries: dict[str, tuple[int, ...]], tmp_path: Path
    ) -> None:
        path = tmp_path / "best.pth"
        changed = {name: torch.zeros(shape) for name, shape in entries.items()}
        torch.save({**seeded_state(AVGNNetwork(SMALL)), **changed}, path)
        with refused("E_WEIGHTS_MISFIT", where=path, kind=WeightsError):
            load_localizer("avgn", weights=path)

    def test_it_says_that_it_has_no_audio_blind_map(self) -> None:
        assert small_model().missing_reason("vision_only").startswith("avgn has no")
