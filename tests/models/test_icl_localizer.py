from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from recipe_weights import seeded_state
from refusals import refused, unsupported

from ssl_bench.errors import DataError, ModelError, WeightsError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.checkpoints import save_checkpoint
from ssl_bench.models.embedding_localizer import EmbeddingPreprocessing
from ssl_bench.models.icl import ICL, ICLArchitecture, ICLNetwork
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.provenance import Provenance
from ssl_bench.models.registry import load_baseline, load_localizer
from ssl_bench.models.resnet import SMALL_TRUNK, TrunkArchitecture
from ssl_bench.models.sounds import DSOLAudio, LogMelAudio, MSSLAudio

Pictures = list[NDArray[np.uint8]]
Clips = list[Waveform]

TINY = TrunkArchitecture(width=4, strides=(1, 2, 2, 1))
FLICKR = EmbeddingPreprocessing(image=ImagePreprocessing(side=256), audio=MSSLAudio())
MUSIC = EmbeddingPreprocessing(image=ImagePreprocessing(side=224), audio=DSOLAudio())


def seeded_network(trunk: TrunkArchitecture) -> ICLNetwork:
    network = ICLNetwork(ICLArchitecture(trunk=trunk))
    network.load_state_dict(seeded_state(network))
    return network


@pytest.fixture(scope="module")
def make_icl() -> Callable[..., ICL]:
    def make(sound_bank: NDArray[np.float32] | None = None) -> ICL:
        preprocessing = EmbeddingPreprocessing(
            preset="small", image=ImagePreprocessing(side=112), audio=LogMelAudio()
        )
        network = seeded_network(SMALL_TRUNK)
        return ICL(network, preprocessing, Provenance("icl"), sound_bank=sound_bank)

    return make


@pytest.fixture(scope="module")
def icl(make_icl: Callable[..., ICL]) -> ICL:
    return make_icl()


def test_features_do_not_depend_on_the_batch(icl: ICL, pictures: Pictures, clips: Clips) -> None:
    images, sounds = icl.encode_image(pictures), icl.encode_audio(clips)
    for index in range(len(pictures)):
        image = icl.encode_image([pictures[index]])["visual"]
        sound = icl.encode_audio([clips[index]])["audio"]
        np.testing.assert_allclose(image[0], images["visual"][index], atol=1e-5)
        np.testing.assert_allclose(sound[0], sounds["audio"][index], atol=1e-5)


def test_a_map_is_the_cosine(icl: ICL) -> None:
    visual = np.zeros((1, 2, 1, 3), np.float32)
    visual[0, :, 0] = [[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]]
    maps = icl.localize({"visual": visual}, {"audio": np.array([[1, 0]], np.float32)})
    np.testing.assert_allclose(maps, [[[1, 0, 0.6]]], rtol=1e-6)


def test_similarity_is_the_mean_cosine(icl: ICL) -> None:
    visual = np.zeros((1, 2, 1, 2), np.float32)
    visual[0, :, 0] = [[1.0, 0.6], [0.0, 0.8]]
    sounds = np.array([[1, 0], [0, 1]], np.float32)
    similarity = icl.similarity({"visual": visual}, {"audio": sounds})
    np.testing.assert_allclose(similarity, [[0.8, 0.4]], rtol=1e-6)


def test_similarity_is_the_mean_of_the_map_for_every_pair(
    icl: ICL, pictures: Pictures, clips: Clips
) -> None:
    images, sounds = icl.encode_image(pictures), icl.encode_audio(clips)
    table = icl.similarity(images, sounds)
    for column in range(len(clips)):
        repeated = {"audio": np.repeat(sounds["audio"][column : column + 1], len(pictures), axis=0)}
        means = icl.localize(images, repeated).mean(axis=(1, 2))
        np.testing.assert_allclose(table[:, column], means, atol=1e-5)


def test_another_sound_gives_another_map(icl: ICL, pictures: Pictures, clips: Clips) -> None:
    images, sounds = icl.encode_image(pictures[:2]), icl.encode_audio(clips[1:3])
    swapped = {key: rows[::-1] for key, rows in sounds.items()}
    assert np.abs(icl.localize(images, sounds) - icl.localize(images, swapped)).max() > 1e-3


def test_the_audio_blind_map_is_the_maximum_over_the_sound_bank(
    make_icl: Callable[..., ICL], pictures: Pictures, clips: Clips
) -> None:
    bank = make_icl().encode_audio(clips)["audio"]
    model = make_icl(sound_bank=bank)
    images = model.encode_image(pictures)
    maps = [
        model.localize(images, {"audio": np.repeat(sound[None], len(pictures), axis=0)})
        for sound in bank
    ]
    np.testing.assert_allclose(model.vision_only(images), np.max(maps, axis=0), atol=1e-5)


def test_weights_without_a_sound_bank_have_no_audio_blind_map(icl: ICL, pictures: Pictures) -> None:
    with unsupported(icl, "vision_only", naming="bank"):
        icl.vision_only(icl.encode_image(pictures))


@pytest.mark.parametrize(
    ("preprocessing", "rate", "grid"), [(FLICKR, 22050, 16), (MUSIC, 16000, 14)]
)
class TestPublishedFrontEnds:
    def test_images_and_sounds_of_any_size_fit(
        self, preprocessing: EmbeddingPreprocessing, rate: int, grid: int, pictures: Pictures
    ) -> None:
        model = ICL(seeded_network(TINY), preprocessing, Provenance("icl"))
        sounds = [
            Waveform(np.random.default_rng(length).normal(0, 0.1, (length, 2)), rate)
            for length in (1, 7 * rate, 900)
        ]
        images, heard = model.encode_image(pictures[:3]), model.encode_audio(sounds)
        assert model.localize(images, heard).shape == (3, grid, grid)

    def test_another_rate_is_an_error(
        self, preprocessing: EmbeddingPreprocessing, rate: int, grid: int
    ) -> None:
        model = ICL(seeded_network(TINY), preprocessing, Provenance("icl"))
        with refused("E_SOUND_RATE", where=f"{rate} Hz", kind=DataError):
            model.encode_audio([Waveform(np.zeros((44100, 1), np.int16), 44100)])

    def test_a_sound_without_samples_is_an_error(
        self, preprocessing: EmbeddingPreprocessing, rate: int, grid: int
    ) -> None:
        model = ICL(seeded_network(TINY), preprocessing, Provenance("icl"))
        with refused("E_SOUND_EMPTY", kind=DataError):
            model.encode_audio([Waveform(np.zeros((0, 1), np.int16), rate)])

    def test_values_that_are_no_numbers_are_an_error(
        self, preprocessing: EmbeddingPreprocessing, rate: int, grid: int
    ) -> None:
        model = ICL(seeded_network(TINY), preprocessing, Provenance("icl"))
        with refused("E_SOUND_NOT_FINITE", kind=DataError):
            model.encode_audio([Waveform(np.full((rate, 1), np.nan), rate)])


class TestRecipe:
    def test_the_published_variants_have_the_published_sizes(self) -> None:
        variants = load_baseline("icl").recipe.variants
        flickr, music = variants["flickr"], variants["music"]
        for variant in (flickr, music):
            assert ICLArchitecture.model_validate(variant.architecture) == ICLArchitecture()
            assert variant.weights is None
        assert EmbeddingPreprocessing.model_validate(flickr.preprocessing).audio == MSSLAudio()
        assert EmbeddingPreprocessing.model_validate(flickr.preprocessing).image.side == 256
        assert EmbeddingPreprocessing.model_validate(music.preprocessing).audio == DSOLAudio()
        assert EmbeddingPreprocessing.model_validate(music.preprocessing).image.side == 224

    def test_a_published_variant_without_weights_says_so(self) -> None:
        with refused("E_WEIGHTS_NEEDED", where="flickr", kind=WeightsError):
            load_localizer("icl", variant="flickr")

    def test_sounds_of_any_rate_cannot_be_asked_for(self, tmp_path: Path) -> None:
        save_checkpoint(tmp_path / "w.safetensors", seeded_network(SMALL_TRUNK).state_dict())
        with refused("E_SCHEMA", where="any_rate", kind=ModelError):
            load_localizer("icl", weights=tmp_path / "w.safetensors", options={"any_rate": True})

    def test_an_unknown_option_is_an_error(self) -> None:
        with refused("E_SCHEMA", where="speed", kind=ModelError):
            load_localizer("icl", options={"speed": 1})


class TestWeights:
    @pytest.fixture
    def tensors(self) -> dict[str, torch.Tensor]:
        return dict(seeded_network(SMALL_TRUNK).state_dict())

    def load(self, tensors: Mapping[str, Any], path: Path) -> None:
        save_checkpoint(path / "w.safetensors", tensors)
        load_localizer("icl", weights=path / "w.safetensors")

    def test_a_missing_entry(self, tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
        del tensors["audnet.conv1.weight"]
        with refused("E_WEIGHTS_MISFIT", where="audnet.conv1.weight", kind=WeightsError):
            self.load(tensors, tmp_path)

    def test_an_entry_too_many(self, tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
        tensors["img_proj.weight"] = torch.zeros(3)
        with refused("E_WEIGHTS_MISFIT", where="img_proj.weight", kind=WeightsError):
            self.load(tensors, tmp_path)

    def test_another_architecture(self, tmp_path: Path) -> None:
        with refused("E_WEIGHTS_MISFIT", where="w.safetensors", kind=WeightsError):
            self.load(seeded_network(TINY).state_dict(), tmp_path)

    def test_a_value_that_is_no_number(self, tmp_path: Path) -> None:
        state = seeded_network(SMALL_TRUNK).state_dict()
        state["imgnet.conv1.weight"][0, 0, 0, 0] = torch.nan
        torch.save(state, tmp_path / "w.pth")
        with refused("E_WEIGHTS_MISFIT", where="imgnet.conv1.weight", kind=WeightsError):
            load_localizer("icl", weights=tmp_path / "w.pth")

    @pytest.mark.parametrize("bank", [torch.ones(4, 7), torch.ones(64), torch.ones(0, 64)])
    def test_a_sound_bank_of_another_shape(
        self, bank: torch.Tensor, tensors: dict[str, torch.Tensor], tmp_path: Path
    ) -> None:
        with refused("E_WEIGHTS_BANK", kind=WeightsError):
            self.load({**tensors, "sound_bank": bank}, tmp_path)

    def test_half_a_file(self, tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
        save_checkpoint(tmp_path / "whole.safetensors", tensors)
        content = (tmp_path / "whole.safetensors").read_bytes()
        (tmp_path / "half.safetensors").write_bytes(content[: len(content) // 2])
        with refused("E_WEIGHTS_DAMAGED", kind=WeightsError):
            load_localizer("icl", weights=tmp_path / "half.safetensors")
