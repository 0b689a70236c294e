from __future__ import annotations

from collections.abc import Mapping
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
from ssl_bench.models.amplitude_phase import AmplitudePhaseAudio
from ssl_bench.models.checkpoints import save_checkpoint
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.oya import Oya, OyaArchitecture, OyaNetwork, OyaPreprocessing, PotentialPrior
from ssl_bench.models.provenance import describe
from ssl_bench.models.recipes import Assembly
from ssl_bench.models.registry import load_baseline, load_localizer

Pictures = list[NDArray[np.uint8]]
Clips = list[Waveform]

TINY = OyaArchitecture(
    image_stages=((4,), (4,), (8,), (8,)),
    sound_stages=((4,), (4,), (4,)),
    bins=256,
    hidden=8,
    dimension=8,
)
IMAGE = {"side": 112}
AUDIO = {"rate": 11025, "window": 510, "hop": 255}


def tiny_network() -> OyaNetwork:
    network = OyaNetwork(TINY)
    network.load_state_dict(seeded_state(network))
    return network


@pytest.fixture(scope="module")
def model() -> Oya:
    image, audio = ImagePreprocessing(side=112), AmplitudePhaseAudio.model_validate(AUDIO)
    return Oya(tiny_network(), OyaPreprocessing(preset="small", image=image, audio=audio))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("oya") / "tiny.safetensors"
    save_checkpoint(path, tiny_network().state_dict())
    return path


def assembly(weights: Path | None, preprocessing: Mapping[str, Any], **options: Any) -> Assembly:
    return Assembly(
        name="mine",
        variant="tiny",
        recipe=Path("recipe.toml"),
        architecture=TINY.model_dump(),
        preprocessing=preprocessing,
        weights=weights,
        weights_sha256=None,
        seed=0,
        options=options,
    )


class TestMaps:
    def test_both_maps_sum_to_1(self, model: Oya, pictures: Pictures, clips: Clips) -> None:
        images, sounds = model.encode_image(pictures), model.encode_audio(clips)
        for maps in (model.localize(images, sounds), model.vision_only(images)):
            assert maps.shape == (len(pictures), 7, 7)
            assert maps.dtype == np.float32
            assert maps.min() >= 0
            np.testing.assert_allclose(maps.sum(axis=(1, 2)), 1, atol=1e-5)

    def test_the_map_follows_the_sound_and_the_potential_map_does_not(
        self, model: Oya, pictures: Pictures, clips: Clips
    ) -> None:
        images, sounds = model.encode_image(pictures[:2]), model.encode_audio(clips[1:3])
        swapped = {key: rows[::-1] for key, rows in sounds.items()}
        heard = model.localize(images, sounds)
        assert np.abs(heard / model.localize(images, swapped) - 1).max() > 1e-3
        assert np.abs(heard / model.vision_only(images) - 1).max() > 1e-3
        again = model.encode_image(pictures[:2])
        np.testing.assert_array_equal(model.vision_only(images), model.vision_only(again))

    def test_the_map_is_the_potential_map_times_attention(self, model: Oya) -> None:
        visual = np.array([[[[3.0, 0.0]], [[4.0, 2.0]]]], np.float32)
        potential = np.array([[[0.25, 0.75]]], np.float32)
        sound = np.array([[0.0, 7.0]], np.float32)
        found = model.localize({"visual": visual, "potential": potential}, {"audio": sound})
        product = np.array([0.8 * 0.25, 1.0 * 0.75])
        np.testing.assert_allclose(found[0, 0], product / product.sum(), rtol=1e-6)

    def test_features_do_not_depend_on_the_batch(
        self, model: Oya, pictures: Pictures, clips: Clips
    ) -> None:
        images, sounds = model.encode_image(pictures), model.encode_audio(clips)
        for index in range(len(pictures)):
            alone = model.encode_image([pictures[index]])
            for key, rows in alone.items():
                np.testing.assert_allclose(rows[0], images[key][index], rtol=1e-4, atol=1e-5)
            sound = model.encode_audio([clips[index]])["audio"]
            np.testing.assert_allclose(sound[0], sounds["audio"][index], rtol=1e-4, atol=1e-5)

    def test_an_image_of_two_equal_pixels_is_a_plain_square(self, model: Oya) -> None:
        one = model.encode_image([np.full((1, 2, 3), 200, np.uint8)])
        square = model.encode_image([np.full((50, 80, 3), 200, np.uint8)])
        np.testing.assert_array_equal(one["potential"], square["potential"])


class TestSimilarity:
    def test_each_row_depends_on_its_own_pairs_only(
        self, model: Oya, pictures: Pictures, clips: Clips
    ) -> None:
        images, sounds = model.encode_image(pictures), model.encode_audio(clips)
        table = model.similarity(images, sounds)
        assert table.shape == (len(pictures), len(clips))
        assert table.dtype == np.float32
        assert table.min() >= 0
        assert table.max() <= 1 + 1e-6
        some = {key: rows[1:3] for key, rows in images.items()}
        few = {key: rows[[3, 0]] for key, rows in sounds.items()}
        np.testing.assert_allclose(model.similarity(some, few), table[1:3][:, [3, 0]], atol=1e-6)

    def test_more_sounds_than_one_block_holds(self, model: Oya) -> None:
        generator = np.random.default_rng(0)
        images = {
            "visual": generator.random((1, 8, 2, 2), np.float32),
            "potential": np.full((1, 2, 2), 0.25, np.float32),
        }
        sounds = generator.random((1500, 8), np.float32)
        table = model.similarity(images, {"audio": sounds})
        assert table.shape == (1, 1500)
        late = model.similarity(images, {"audio": sounds[1400:]})
        np.testing.assert_allclose(table[:, 1400:], late, atol=1e-6)


class TestPotentialPrior:
    def test_it_is_the_potential_map_of_the_whole_model(
        self, weights: Path, pictures: Pictures, clips: Clips
    ) -> None:
        whole = Oya.assemble(assembly(weights, {"image": IMAGE, "audio": AUDIO}))
        prior = PotentialPrior.assemble(assembly(weights, {"preset": "small", "image": IMAGE}))
        found = prior.localize(prior.encode_image(pictures), prior.encode_audio(clips))
        np.testing.assert_array_equal(found, whole.vision_only(whole.encode_image(pictures)))
        assert prior.audio_blind
        assert prior.preset == "small"
        assert describe(prior)["weights_sha256"] == describe(whole)["weights_sha256"]

    def test_it_hears_nothing(self, weights: Path, pictures: Pictures, clips: Clips) -> None:
        prior = PotentialPrior.assemble(assembly(weights, {"image": IMAGE}))
        images = prior.encode_image(pictures)
        heard = prior.localize(images, prior.encode_audio(clips))
        np.testing.assert_array_equal(
            heard, prior.localize(images, prior.encode_audio(clips[::-1]))
        )
        with unsupported(prior, "similarity", naming="listens"):
            prior.similarity(images, {})


class TestBadInput:
    def test_a_sound_of_another_rate(self, model: Oya) -> None:
        with refused("E_SOUND_RATE", where="11025 Hz", kind=DataError):
            model.encode_audio([Waveform(np.zeros((16000, 1), np.int16), 16000)])

    def test_a_sound_without_samples(self, model: Oya) -> None:
        with refused("E_SOUND_EMPTY", kind=DataError):
            model.encode_audio([Waveform(np.zeros((0, 1), np.int16), 11025)])

    def test_a_sound_of_one_sample(self, model: Oya) -> None:
        features = model.encode_audio([Waveform(np.full((1, 1), 99, np.int16), 11025)])
        assert np.isfinite(features["audio"]).all()

    def test_weights_of_another_model(self, tmp_path: Path) -> None:
        with refused("E_WEIGHTS_MISFIT", where="features.0.weight", kind=WeightsError):
            load_localizer("oya", variant="full", weights=foreign(tmp_path))

    def test_the_prior_refuses_them_too(self, tmp_path: Path) -> None:
        with refused("E_WEIGHTS_MISFIT", where="features.0.weight", kind=WeightsError):
            load_localizer("potential", variant="full", weights=foreign(tmp_path))

    def test_weights_of_another_size(self, weights: Path) -> None:
        with refused("E_WEIGHTS_MISFIT", where="features.0.weight (4, 3, 3, 3)", kind=WeightsError):
            load_localizer("oya", variant="full", weights=weights)

    @pytest.mark.parametrize("name", ["oya", "potential"])
    def test_the_full_size_needs_a_file(self, name: str) -> None:
        with refused("E_WEIGHTS_NEEDED", kind=WeightsError):
            load_localizer(name, variant="full")

    def test_unknown_options(self, weights: Path) -> None:
        with refused("E_SCHEMA", where="speed", kind=ModelError):
            Oya.assemble(assembly(weights, {"image": IMAGE, "audio": AUDIO}, speed=2))


class TestRecipes:
    def test_the_full_variant_is_the_papers(self) -> None:
        variant = load_baseline("oya").variant("full")
        assert OyaArchitecture.model_validate(variant.architecture) == OyaArchitecture()
        preset = OyaPreprocessing.model_validate(variant.preprocessing_of(None))
        assert preset == OyaPreprocessing()
        larger = OyaPreprocessing.model_validate(variant.preprocessing_of("side-256"))
        assert larger.image.side == 256

    @pytest.mark.parametrize("variant", ["synth", "full"])
    def test_the_prior_is_made_of_the_same_network(self, variant: str) -> None:
        whole, prior = (load_baseline(name).variant(variant) for name in ("oya", "potential"))
        assert prior.architecture == whole.architecture
        for preset in [None, *whole.presets]:
            sees, hears = prior.preprocessing_of(preset), whole.preprocessing_of(preset)
            assert sees == {key: value for key, value in hears.items() if key != "audio"}

    def test_the_ablation_differs_in_nothing_but_the_potential(self) -> None:
        variants = load_baseline("oya").recipe.variants
        whole, ablated = (variants[name] for name in ("synth", "synth-constant-potential"))
        assert ablated.architecture == {**whole.architecture, "potential": "constant"}
        assert ablated.preprocessing == whole.preprocessing
        assert ablated.training == whole.training

    def test_the_prior_reads_the_weights_of_the_whole_model(self) -> None:
        assert load_baseline("potential").variant("synth").weights_of == "oya"


def foreign(folder: Path) -> Path:
    path = folder / "other.safetensors"
    save_checkpoint(path, {"conv1.weight": torch.zeros(2, 3, 1, 1)})
    return path
