"""Joint slot attention: shares by hand, the authors' numbers, swapped sounds, and files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from recipe_weights import recipe_tensor, seeded_state
from refusals import refused
from torch import Tensor

from ssl_bench.errors import WeightsError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.checkpoints import save_checkpoint
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.joint_slots import (
    UNUSED_ENTRIES,
    CentredLogPowerAudio,
    JointSlots,
    JointSlotsArchitecture,
    JointSlotsNetwork,
    JointSlotsOptions,
    JointSlotsPreprocessing,
    shares,
)
from ssl_bench.models.registry import load_localizer
from ssl_bench.models.resnet import SMALL_TRUNK

SEED = "jsa"
SMALL = JointSlotsArchitecture(trunk=SMALL_TRUNK)
PREPROCESSING = JointSlotsPreprocessing(
    preset="small",
    image=ImagePreprocessing(side=112),
    audio=CentredLogPowerAudio(rate=11025, seconds=1.0),
)

Pictures = list[NDArray[np.uint8]]
Clips = list[Waveform]


def small_model(**options: Any) -> JointSlots:
    network = JointSlotsNetwork(SMALL)
    network.load_state_dict(seeded_state(network))
    return JointSlots(network, PREPROCESSING, options=JointSlotsOptions(**options))


def seeded_input(key: str, shape: tuple[int, ...], largest: float) -> Tensor:
    scale = math.sqrt(math.prod(shape[1:]) / 6) * largest
    return recipe_tensor(SEED, f"{key}.input", shape) * scale


@pytest.fixture(scope="module")
def vectors() -> dict[str, NDArray[Any]]:
    with np.load(Path(__file__).parent / "vectors" / "jsa.npz") as content:
        return dict(content)


@pytest.fixture(scope="module")
def network() -> JointSlotsNetwork:
    network = JointSlotsNetwork(JointSlotsArchitecture())
    network.load_state_dict(seeded_state(network, SEED))
    return network.eval()


@pytest.mark.slow
class TestAuthorsCode:
    def test_a_file_of_theirs_has_what_the_network_needs_and_what_is_unused(
        self, vectors: dict[str, NDArray[Any]], network: JointSlotsNetwork
    ) -> None:
        theirs = dict(str(each).split(" ", 1) for each in vectors["keys"])
        own = {key: str(tuple(each.shape)) for key, each in network.state_dict().items()}
        assert {key: shape for key, shape in theirs.items() if key not in UNUSED_ENTRIES} == own
        assert set(UNUSED_ENTRIES) <= theirs.keys()

    def test_maps_and_slots_are_theirs(
        self, vectors: dict[str, NDArray[Any]], network: JointSlotsNetwork
    ) -> None:
        with torch.inference_mode():
            seen, grid = network.see(seeded_input("images", (2, 3, 224, 224), 2.0))
            heard = network.hear(seeded_input("sounds", (2, 1, 257, 501), 1.0))
        found = {"image_slots": seen.slots, "sound_slots": heard.slots}
        for text, sharpness in (("0.1", 0.1), ("1", 1.0)):
            for name, queries in (("image", seen.queries), ("sound", heard.queries)):
                shared = shares(queries, seen.keys, sharpness)[:, 0]
                found[f"{name}_map_{text}"] = shared.unflatten(1, grid)
        assert {*found, "keys"} == {*vectors}
        for name, tensor in found.items():
            scale = np.abs(vectors[name]).max()
            np.testing.assert_allclose(tensor, vectors[name], atol=1e-4 * scale, err_msg=name)


def test_slots_compete_for_places_by_hand() -> None:
    queries = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    keys = torch.tensor([[[2.0, 0.0], [0.0, 2.0], [1.0, 1.0]]])
    # Products differ by 2, -2 and 0, over the root of 2 dimensions.
    parts = [1 / (1 + math.exp(-each / math.sqrt(2))) for each in (2, -2, 0)]
    expected = [part / sum(parts) for part in parts]
    torch.testing.assert_close(shares(queries, keys)[0, 0], torch.tensor(expected))


def test_the_spectrogram_is_that_of_centred_hann_frames() -> None:
    front_end = CentredLogPowerAudio()
    generator = np.random.default_rng(0)
    samples = generator.uniform(-0.5, 0.5, (96000, 1)).astype(np.float32)
    centre = torch.from_numpy(samples[8000:88000, 0]).double()
    window = torch.hann_window(512, dtype=torch.float64)
    spectrum = torch.stft(centre, 512, 160, window=window, center=True, return_complex=True)
    expected = torch.log(spectrum.abs() ** 2 + 1e-7) / 12
    table = front_end.table(Waveform(samples, 16000))
    assert table.shape == (257, 501)
    np.testing.assert_allclose(table, expected.numpy(), atol=1e-6)


class TestLocalizer:
    def test_swapped_sounds_change_the_maps_and_not_the_blind_one(
        self, pictures: Pictures, clips: Clips
    ) -> None:
        model = small_model()
        seen = model.encode_image(pictures[:2])
        maps, swapped = (
            model.localize(seen, model.encode_audio(order)) for order in (clips[:2], clips[1::-1])
        )
        assert (maps.shape, maps.dtype) == ((2, 7, 7), np.float32)
        np.testing.assert_allclose(maps.sum(axis=(1, 2)), 1, rtol=1e-5)
        assert np.abs(maps - swapped).max() > 1e-6
        blind = model.vision_only(seen)
        assert np.abs(blind - maps).max() > 1e-6

    def test_a_refined_map_leans_on_the_image(self, pictures: Pictures, clips: Clips) -> None:
        plain, refined = small_model(), small_model(map="refined")
        seen, heard = plain.encode_image(pictures[:1]), plain.encode_audio(clips[:1])
        mixed = refined.localize(seen, heard)
        assert mixed.shape == (1, 224, 224)
        own = {**seen, "own": seen["own"][:, ::-1].copy()}
        assert np.abs(mixed - refined.localize(own, heard)).max() > 0.1
        np.testing.assert_array_equal(plain.localize(seen, heard), plain.localize(own, heard))

    def test_the_similarity_is_the_cosine_of_target_slots(
        self, pictures: Pictures, clips: Clips
    ) -> None:
        model = small_model()
        seen, heard = model.encode_image(pictures[:3]), model.encode_audio(clips[:2])
        found = model.similarity(seen, heard)
        assert found.shape == (3, 2)
        assert found[2, 1] == pytest.approx(float(seen["target"][2] @ heard["target"][1]))
        assert np.abs(found).max() <= 1 + 1e-5

    def test_two_channels_are_refused(self) -> None:
        stereo = Waveform(np.zeros((11025, 2), np.int16), 11025)
        with refused("E_SOUND_CHANNELS"):
            small_model().encode_audio([stereo])


class TestFiles:
    def test_without_a_file_it_is_refused_in_one_sentence(self) -> None:
        with refused("E_WEIGHTS_NEEDED", where="weights=FILE", kind=WeightsError):
            load_localizer("jsa")

    def test_a_sharpness_beyond_single_precision_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "best.safetensors"
        save_checkpoint(path, seeded_state(JointSlotsNetwork(SMALL)))
        with refused("E_SCHEMA", where="sharpness"):
            load_localizer("jsa", weights=path, options={"sharpness": 1e300})

    def test_a_file_of_another_shape_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "best.safetensors"
        save_checkpoint(path, seeded_state(JointSlotsNetwork(SMALL)))
        with refused("E_WEIGHTS_MISFIT", where=path, kind=WeightsError):
            load_localizer("jsa", weights=path)
