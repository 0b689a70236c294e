"""Senocak et al.: the network, against the authors' code and by hand, and the localizer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from attention_cases import (
    AUDIO,
    TINY,
    features,
    pairs,
    published_network,
    published_visual,
    tiny_network,
    vectors,
)
from numpy.typing import NDArray
from recipe_weights import recipe_tensor
from refusals import refused, unsupported
from torch import Tensor

from ssl_bench.errors import ModelError, WeightsError
from ssl_bench.files import sha256_of_file
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.attention import (
    SOUND_NETWORK,
    Attention,
    AttentionArchitecture,
    AttentionNetwork,
    AttentionPreprocessing,
    attention_maps,
    attention_of,
)
from ssl_bench.models.checkpoints import save_checkpoint
from ssl_bench.models.provenance import describe
from ssl_bench.models.recipes import Assembly
from ssl_bench.models.registry import load_baseline, load_localizer

Pictures = list[NDArray[np.uint8]]
Clips = list[Waveform]


def assembly(weights: Path, architecture: Mapping[str, Any], **options: Any) -> Assembly:
    return Assembly(
        name="mine",
        variant="tiny",
        recipe=Path("recipe.toml"),
        architecture=architecture,
        preprocessing={"preset": "small", "image": {"side": 32}, "audio": AUDIO},
        weights=weights,
        weights_sha256=None,
        seed=0,
        options=options,
    )


def stored(folder: Path, **beside: Tensor) -> Path:
    path = folder / "tiny.safetensors"
    save_checkpoint(path, {**tiny_network().state_dict(), **beside})
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Attention:
    bank = torch.nn.functional.normalize(recipe_tensor("bank", "bank", (3, 8)), dim=1)
    path = stored(tmp_path_factory.mktemp("attention"), sound_bank=bank)
    return Attention.assemble(assembly(path, TINY.model_dump()))


class TestNetwork:
    @pytest.mark.slow
    def test_it_is_the_authors_code(self) -> None:
        network, visual, expected = published_network(), published_visual(), vectors()
        with torch.inference_mode():
            sounds, heard = network.hear(features("own"))
            attention = attention_maps(visual, sounds[:, None])
            answers = network.answer(visual, attention)[:, 0]
        assert torch.equal(heard, features("own"))
        assert visual.shape == (2, 512, 20, 20)
        np.testing.assert_allclose(
            attention.flatten(1).numpy(), expected["attention"], rtol=1e-4, atol=0
        )
        np.testing.assert_allclose(answers.numpy(), expected["answers"], rtol=1e-3, atol=1e-3)

    def test_its_entries_are_those_of_the_authors_and_of_soundnet(self) -> None:
        with torch.device("meta"):
            keys = list(AttentionNetwork(AttentionArchitecture()).state_dict())
        own = [key for key in keys if not key.startswith(SOUND_NETWORK)]
        assert own[0] == "vision_embedding_model.feature_extraction.0.weight"
        assert own[25] == "vision_embedding_model.feature_extraction.28.bias"
        assert own[26:] == [
            f"{name}.{kind}"
            for name in ("sound_fc1", "sound_fc2", "vision_fc1", "vision_fc2")
            for kind in ("weight", "bias")
        ]
        assert f"{SOUND_NETWORK}conv7.1.running_var" in keys

    def test_attention_is_a_softmax_over_positive_cosines(self) -> None:
        visual = torch.tensor([[[[3.0, 0.0, -1.0]], [[4.0, 2.0, 0.0]]]])
        found = attention_maps(visual, torch.tensor([[[0.0, 1.0]], [[1.0, 0.0]]]).transpose(0, 1))
        for row, cosines in zip(found[0, :, 0], ([0.8, 1.0, 0.0], [0.6, 0.0, 0.0]), strict=True):
            weights = np.exp(cosines)
            np.testing.assert_allclose(row.numpy(), weights / weights.sum(), rtol=1e-6)

    def test_a_frozen_image_network_stays_as_it_is(self) -> None:
        network = tiny_network()
        network.freeze(network.image_trunk)
        before = {key: value.clone() for key, value in network.state_dict().items()}
        network.train()
        pictures, sounds = pairs()
        network.see(pictures)
        network.hear(sounds)
        after = network.state_dict()
        changed = {key for key in before if not torch.equal(before[key], after[key])}
        assert changed
        assert all(key.startswith(SOUND_NETWORK) for key in changed)
        trained = {name for name, each in network.named_parameters() if each.requires_grad}
        assert not any(name.startswith("vision_embedding_model") for name in trained)


class TestMaps:
    def test_they_sum_to_1_and_follow_the_sound(self, model: Attention, pictures: Pictures) -> None:
        tables = np.random.default_rng(0).normal(0, 3, (2, 1, 64, 20)).astype(np.float32)
        seen, heard = model.encode_image(pictures[:2]), model.encode_prepared_sounds(list(tables))
        maps = model.localize(seen, heard)
        assert maps.shape == (2, 4, 4)
        assert maps.dtype == np.float32
        np.testing.assert_allclose(maps.sum(axis=(1, 2)), 1, rtol=1e-5)
        swapped = model.localize(seen, {key: rows[::-1] for key, rows in heard.items()})
        assert np.abs(maps / swapped - 1).max() > 1e-3

    def test_the_audio_blind_map_is_that_of_the_most_fitting_sound_of_the_bank(
        self, model: Attention, pictures: Pictures
    ) -> None:
        seen = model.encode_image(pictures[:1])
        bank = torch.nn.functional.normalize(recipe_tensor("bank", "bank", (3, 8)), dim=1).numpy()
        cosines = np.einsum("md,dhw->mhw", bank, seen["visual"][0]).max(axis=0)
        expected = attention_of(torch.from_numpy(cosines)).numpy()
        np.testing.assert_allclose(model.vision_only(seen)[0], expected, rtol=1e-5)

    def test_weights_without_a_bank_have_no_audio_blind_map(
        self, tmp_path: Path, pictures: Pictures
    ) -> None:
        model = Attention.assemble(assembly(stored(tmp_path), TINY.model_dump()))
        seen = model.encode_image(pictures[:1])
        with unsupported(model, "vision_only", naming="bank"):
            model.vision_only(seen)

    def test_the_similarity_is_minus_the_distance_from_the_answer(
        self, model: Attention, pictures: Pictures, clips: Clips
    ) -> None:
        seen, heard = model.encode_image(pictures), model.encode_audio(clips)
        table = model.similarity(seen, heard)
        assert table.shape == (len(pictures), len(clips))
        one = {key: rows[1:2] for key, rows in seen.items()}
        other = {key: rows[2:3] for key, rows in heard.items()}
        visual = torch.from_numpy(one["visual"] * one["length"][:, None])
        with torch.inference_mode():
            attention = torch.from_numpy(model.localize(one, other))[:, None]
            answer = tiny_network().eval().answer(visual, attention)[0, 0].numpy()
        distance = np.linalg.norm(answer - other["features"][0])
        assert table[1, 2] == pytest.approx(-distance, rel=1e-3)


class TestWeights:
    def test_those_of_another_shape_are_refused(self, tmp_path: Path) -> None:
        wider = TINY.model_dump()
        wider["sound"]["last"]["channels"] = 7
        with refused("E_WEIGHTS_MISFIT", where="sound_fc1.weight", kind=WeightsError):
            Attention.assemble(assembly(stored(tmp_path), wider))

    def test_soundnets_come_from_their_own_file(
        self, model: Attention, tmp_path: Path, clips: Clips
    ) -> None:
        state = tiny_network().state_dict()
        parts = {True: tmp_path / "sound8.safetensors", False: tmp_path / "authors.safetensors"}
        for is_sound, path in parts.items():
            own = {key: value for key, value in state.items() if _is_sound(key) == is_sound}
            scenes = {"conv8_2.0.weight": torch.zeros(1)} if is_sound else {}
            named = {key.removeprefix(SOUND_NETWORK): value for key, value in own.items()}
            save_checkpoint(path, {**named, **scenes})
        with refused("E_WEIGHTS_MISFIT", where="audio_embedding_model", kind=WeightsError):
            Attention.assemble(assembly(parts[False], TINY.model_dump()))
        joined = Attention.assemble(assembly(parts[False], TINY.model_dump(), soundnet=parts[True]))
        for key, rows in model.encode_audio(clips).items():
            np.testing.assert_array_equal(joined.encode_audio(clips)[key], rows)
        assert describe(joined)["options"] == {"soundnet": sha256_of_file(parts[True])}

    def test_soundnets_beside_a_file_that_has_its_own_are_refused(self, tmp_path: Path) -> None:
        path = stored(tmp_path)
        with refused("E_WEIGHTS_SOUNDNET", where=path, kind=WeightsError):
            Attention.assemble(assembly(path, TINY.model_dump(), soundnet=str(path)))

    def test_unknown_options(self, tmp_path: Path) -> None:
        with refused("E_SCHEMA", where="speed", kind=ModelError):
            Attention.assemble(assembly(stored(tmp_path), TINY.model_dump(), speed=2))


class TestRecipes:
    def test_the_full_variant_is_the_authors(self) -> None:
        variant = load_baseline("attention").variant("full")
        assert AttentionArchitecture.model_validate(variant.architecture) == AttentionArchitecture()
        read = AttentionPreprocessing.model_validate(variant.preprocessing_of(None))
        assert read.audio == AttentionPreprocessing().audio
        assert (read.image.side, read.image.resize) == (320, "full-pil-bilinear")

    def test_what_ships_follows_the_sound(self, pictures: Pictures) -> None:
        model = load_localizer("attention")
        times = np.arange(22050) / 11025
        tones = [
            Waveform((9000 * np.sin(2 * np.pi * pitch * times)).astype(np.int16)[:, None], 11025)
            for pitch in (220, 3000)
        ]
        seen = model.encode_image([pictures[0]] * 2)
        first, second = model.localize(seen, model.encode_audio(tones))
        assert np.abs(first / second - 1).max() > 1e-3


def _is_sound(key: str) -> bool:
    return key.startswith(SOUND_NETWORK)
