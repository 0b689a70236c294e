"""SSPL: the network, against the authors' code and by hand, the localizer, and its files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from recipe_weights import recipe_tensor, seeded_state
from refusals import refused, unsupported
from sspl_cases import AUDIO, TINY, published_inputs, published_network, tiny, tiny_network, vectors
from torch import Tensor
from torch.nn import functional

from ssl_bench.errors import ModelError, WeightsError
from ssl_bench.files import sha256_of_file
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.checkpoints import save_checkpoint
from ssl_bench.models.image_trunks import StackArchitecture
from ssl_bench.models.provenance import describe
from ssl_bench.models.recipes import Assembly
from ssl_bench.models.registry import load_baseline, load_localizer
from ssl_bench.models.sspl import (
    HEAD,
    SSPL,
    UNUSED_ENTRIES,
    PredictiveCoding,
    SSPLArchitecture,
    SSPLNetwork,
    SSPLPreprocessing,
    place_cosines,
)
from ssl_bench.models.vggish import VGGishArchitecture, VGGishAudio

Pictures = list[NDArray[np.uint8]]
Clips = list[Waveform]

BOTH = pytest.mark.parametrize("pcm", [True, False])


def assembly(weights: Path, architecture: SSPLArchitecture, **options: Any) -> Assembly:
    return Assembly(
        name="mine",
        variant="tiny",
        recipe=Path("recipe.toml"),
        architecture=architecture.model_dump(),
        preprocessing={"preset": "small", "image": {"side": 40}, "audio": AUDIO},
        weights=weights,
        weights_sha256=None,
        seed=0,
        options=options,
    )


def bank_of(dimension: int) -> Tensor:
    return functional.normalize(recipe_tensor("bank", "bank", (3, dimension)), dim=1)


def stored(folder: Path, *, pcm: bool = True, **beside: Tensor) -> Path:
    path = folder / f"tiny-{pcm}.safetensors"
    save_checkpoint(path, {**tiny_network(pcm=pcm).state_dict(), **beside})
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, SSPL]:
    folder = tmp_path_factory.mktemp("sspl")
    paths = {
        pcm: stored(folder, pcm=pcm, sound_bank=bank_of(16 if pcm else 8)) for pcm in (True, False)
    }
    return {pcm: SSPL.assemble(assembly(path, tiny(pcm=pcm))) for pcm, path in paths.items()}


def heard(pcm: bool, count: int = 2) -> dict[str, NDArray[np.float32]]:
    rows = np.random.default_rng(1).normal(size=(count, 16 if pcm else 8)).astype(np.float32)
    rows[:, :8] /= np.linalg.norm(rows[:, :8], axis=1, keepdims=True)
    return {"audio": rows}


class TestAuthorsCode:
    @pytest.mark.slow
    @BOTH
    def test_maps_are_theirs(self, pcm: bool) -> None:
        network, expected = published_network(), vectors()
        first, _, patches = published_inputs()
        with torch.inference_mode():
            found = network.hear(patches)
            visual = network.align(first, found.features) if pcm else first
            maps = place_cosines(visual, found.audio)
        for name, each in (("features", found.features), ("audio", found.audio)):
            theirs = functional.normalize(torch.from_numpy(expected[name]), dim=1)
            torch.testing.assert_close(each, theirs, rtol=1e-3, atol=1e-4)
        scale = np.abs(expected["maps" if pcm else "plain_maps"]).max()
        theirs = expected["maps" if pcm else "plain_maps"]
        np.testing.assert_allclose(maps.numpy(), theirs, atol=2e-4 * scale)

    def test_entries_are_theirs_part_by_part(self) -> None:
        with torch.device("meta"):
            own = SSPLNetwork(SSPLArchitecture()).state_dict()
        theirs = {
            f"{part}.{entry}"
            for part, name in (("net_frame", "frame"), ("net_sound", "sound"), ("net_pc", "pcm"))
            for entry in vectors()[f"{name}_keys"].tolist()
        }
        assert {f"{key} {tuple(value.shape)}" for key, value in own.items()} == theirs

    def test_what_training_alone_needs_is_named(self) -> None:
        theirs = {f"{HEAD}.{entry.split(' ')[0]}" for entry in vectors()["head_keys"].tolist()}
        assert {key for key in UNUSED_ENTRIES if key.startswith(HEAD)} == theirs


class TestPredictiveCoding:
    def test_an_error_of_the_sound_reaches_the_top(self) -> None:
        module = PredictiveCoding(channels=6, features=4, width=5, cycles=1)
        module.load_state_dict(seeded_state(module))
        module.eval()
        visual, features = recipe_tensor("x", "visual", (1, 6, 10, 10)), torch.ones(1, 4)
        with torch.inference_mode():
            aligned = module(visual, features)
            assert (module(visual, -features) - aligned).abs().max() > 1e-3
            for rate in module.a0:
                rate.zero_()  # nothing is corrected
            still = module(visual, features)
            torch.testing.assert_close(module(visual, -features), still)
            assert (still - aligned).abs().max() > 1e-3

    def test_without_rates_and_cycles_the_top_is_the_image_alone(self) -> None:
        module = PredictiveCoding(channels=6, features=4, width=5, cycles=0)
        module.load_state_dict(seeded_state(module))
        module.eval()
        with torch.inference_mode():
            for rate in module.rates:
                rate.zero_()
            visual = recipe_tensor("x", "visual", (2, 6, 6, 6))
            top = functional.gelu(module.BNError[2](visual))
            expected = module.ErrorProcess[3](top)
            torch.testing.assert_close(module(visual, torch.ones(2, 4)), expected)

    @pytest.mark.parametrize("side", [2, 7, 8, 12])
    def test_a_map_that_cannot_be_halved_and_put_together_is_refused(self, side: int) -> None:
        module = PredictiveCoding(channels=2, features=2, width=2, cycles=0)
        with refused("E_PCM_SIDE", where="predictive coding", kind=ModelError):
            module(torch.zeros(1, 2, side, side), torch.zeros(1, 2))


class TestNetwork:
    def test_patches_are_averaged_before_they_are_of_unit_length(self) -> None:
        network = tiny_network()
        patches = recipe_tensor("x", "patches", (2, 3, 64, 20)) * 20
        features = torch.stack([network.net_sound(each[:, None]) for each in patches])
        audio = network.net_sound.get_submodule("fc")(features).mean(dim=1)
        found = network.hear(patches)
        torch.testing.assert_close(
            found.features, functional.normalize(features.mean(dim=1), dim=1)
        )
        torch.testing.assert_close(found.audio, functional.normalize(audio, dim=1))

    def test_sounds_carry_features_where_something_predicts_them(self) -> None:
        sounds = recipe_tensor("x", "sounds", (2, 1, 64, 20)) * 20
        both, alone = (tiny_network(pcm=pcm).encode_sounds(sounds) for pcm in (True, False))
        assert (both.shape, alone.shape) == ((2, 16), (2, 8))
        torch.testing.assert_close(both[:, :8], alone)

    def test_maps_of_all_sounds_are_those_of_each(self) -> None:
        network = tiny_network()
        visual, sounds = recipe_tensor("x", "v", (8, 10, 10)), recipe_tensor("x", "s", (70, 16))
        with torch.inference_mode():
            found = network.maps_of_all(visual, sounds)
            torch.testing.assert_close(found[66:67], network.maps(visual[None], sounds[66:67]))
        assert found.shape == (70, 10, 10)


class TestMaps:
    @BOTH
    def test_they_are_cosines_that_follow_the_sound(
        self, models: dict[bool, SSPL], pictures: Pictures, pcm: bool
    ) -> None:
        model, sounds = models[pcm], heard(pcm)
        seen = model.encode_image(pictures[:2])
        maps = model.localize(seen, sounds)
        assert maps.shape == (2, 10, 10)
        assert maps.dtype == np.float32
        assert np.abs(maps).max() <= 1 + 1e-5
        swapped = model.localize(seen, {"audio": sounds["audio"][::-1]})
        assert np.abs(maps - swapped).max() > 0.05

    def test_without_the_module_they_are_plain_cosines(
        self, models: dict[bool, SSPL], pictures: Pictures
    ) -> None:
        sounds = heard(pcm=False, count=1)
        seen = models[False].encode_image(pictures[:1])
        place = seen["visual"][0, :, 3, 4]
        expected = place @ sounds["audio"][0] / np.linalg.norm(place)
        assert models[False].localize(seen, sounds)[0, 3, 4] == pytest.approx(expected, rel=1e-4)

    def test_with_the_module_what_it_predicts_counts_beside_the_embedding(
        self, models: dict[bool, SSPL], pictures: Pictures
    ) -> None:
        seen, sounds = models[True].encode_image(pictures[:1]), heard(pcm=True, count=1)
        other = sounds["audio"].copy()
        other[:, 8:] *= -1
        maps = models[True].localize(seen, sounds) - models[True].localize(seen, {"audio": other})
        assert np.abs(maps).max() > 1e-3

    @BOTH
    def test_another_clip_gives_another_map(
        self, models: dict[bool, SSPL], pictures: Pictures, clips: Clips, pcm: bool
    ) -> None:
        model = models[pcm]
        seen, sounds = model.encode_image(pictures[:2]), model.encode_audio(clips[1:3])
        swapped = {name: rows[::-1] for name, rows in sounds.items()}
        assert np.abs(model.localize(seen, sounds) - model.localize(seen, swapped)).max() > 1e-5

    @BOTH
    def test_the_similarity_is_the_largest_cosine(
        self, models: dict[bool, SSPL], pictures: Pictures, pcm: bool
    ) -> None:
        model, sounds = models[pcm], heard(pcm, count=3)
        seen = model.encode_image(pictures[:2])
        table = model.similarity(seen, sounds)
        assert table.shape == (2, 3)
        pair = {"visual": seen["visual"][1:]}, {"audio": sounds["audio"][2:]}
        assert table[1, 2] == pytest.approx(model.localize(*pair).max(), rel=1e-5)

    @BOTH
    def test_the_audio_blind_map_is_the_largest_over_the_bank(
        self, models: dict[bool, SSPL], pictures: Pictures, pcm: bool
    ) -> None:
        model, bank = models[pcm], bank_of(16 if pcm else 8).numpy()
        seen = model.encode_image(pictures[:2])
        one = {"visual": np.repeat(seen["visual"][1:2], len(bank), axis=0)}
        expected = model.localize(one, {"audio": bank}).max(axis=0)
        np.testing.assert_allclose(model.vision_only(seen)[1], expected, atol=1e-5)

    def test_weights_without_a_bank_have_no_audio_blind_map(
        self, tmp_path: Path, pictures: Pictures
    ) -> None:
        model = SSPL.assemble(assembly(stored(tmp_path), TINY))
        seen = model.encode_image(pictures[:1])
        with unsupported(model, "vision_only", naming="bank"):
            model.vision_only(seen)


class TestWeights:
    def test_those_of_another_shape_are_refused(self, tmp_path: Path) -> None:
        wider = TINY.model_copy(update={"width": 6})
        with refused("E_WEIGHTS_MISFIT", where="net_pc.PredProcess.0.weight", kind=WeightsError):
            SSPL.assemble(assembly(stored(tmp_path), wider))

    def test_those_without_the_module_are_refused_with_it(self, tmp_path: Path) -> None:
        with refused("E_WEIGHTS_MISFIT", where="net_pc.", kind=WeightsError):
            SSPL.assemble(assembly(stored(tmp_path, pcm=False), TINY))

    def test_what_training_alone_needs_may_be_there(self, tmp_path: Path) -> None:
        head = {key: torch.zeros(1) for key in UNUSED_ENTRIES}
        model = SSPL.assemble(assembly(stored(tmp_path, **head), TINY))
        assert set(describe(model)["weights"]["ignored"]) == set(UNUSED_ENTRIES)


PUBLISHED_PARTS = SSPLArchitecture(
    trunk=StackArchitecture(stages=((4,), (4,), (8,))),
    sound=VGGishArchitecture(hidden=4, dimension=3),
    hidden=5,
    width=4,
    cycles=1,
)
"""Of the kinds of networks that the authors' code has, with fewer channels."""


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file for each part, as the authors' script leaves them, and one of all."""
    folder, state = tmp_path_factory.mktemp("parts"), seeded_state(SSPLNetwork(PUBLISHED_PARTS))
    files = {"net_frame": "frame", "net_sound": "sound", "net_pc": "pcm"}
    for prefix, name in files.items():
        # Distributed training puts a prefix into all but the image network.
        module = "" if name == "frame" else "module."
        entries = {
            module + key.partition(".")[2]: value
            for key, value in state.items()
            if key.startswith(prefix)
        }
        torch.save(entries, folder / f"{name}_best.pth")
    save_checkpoint(folder / "whole.safetensors", state)
    found = {name: folder / f"{name}_best.pth" for name in files.values()}
    return {**found, "whole": folder / "whole.safetensors"}


class TestAuthorsFiles:
    def assembled(self, weights: Path, *, aligning: bool = True, **options: Any) -> SSPL:
        shape = PUBLISHED_PARTS.model_copy(update={"pcm": aligning})
        asked = assembly(weights, shape, **options)
        table = {"preset": "original", "image": {"side": 40}, "audio": {"spectrogram": "vggish"}}
        return SSPL.assemble(Assembly(**{**vars(asked), "preprocessing": table}))

    def test_they_make_one_model(self, parts: Mapping[str, Path], pictures: Pictures) -> None:
        options = {"frame": parts["frame"], "pcm": str(parts["pcm"])}
        joined, whole = self.assembled(parts["sound"], **options), self.assembled(parts["whole"])
        noise = np.random.default_rng(0).normal(0, 3000, (16000, 1)).astype(np.int16)
        maps = [
            model.localize(
                model.encode_image(pictures[:1]), model.encode_audio([Waveform(noise, 16000)])
            )
            for model in (joined, whole)
        ]
        np.testing.assert_array_equal(*maps)
        digests = {name: sha256_of_file(parts[name]) for name in options}
        assert describe(joined)["options"] == digests

    def test_those_without_the_module_need_no_file_of_it(self, parts: Mapping[str, Path]) -> None:
        model = self.assembled(parts["sound"], aligning=False, frame=str(parts["frame"]))
        assert model.supports("similarity")

    def test_the_sound_network_alone_is_refused(self, parts: Mapping[str, Path]) -> None:
        with refused("E_WEIGHTS_PARTS", where=parts["sound"], kind=WeightsError):
            self.assembled(parts["sound"])

    def test_parts_beside_a_whole_file_are_refused(self, parts: Mapping[str, Path]) -> None:
        with refused("E_WEIGHTS_PARTS", where=parts["whole"], kind=WeightsError):
            self.assembled(parts["whole"], frame=str(parts["frame"]))

    def test_a_missing_module_is_named(self, parts: Mapping[str, Path]) -> None:
        with refused("E_WEIGHTS_MISFIT", where="net_pc.", kind=WeightsError):
            self.assembled(parts["sound"], frame=str(parts["frame"]))


class TestRecipes:
    @pytest.mark.parametrize(("name", "pcm"), [("full", True), ("full-without-pcm", False)])
    def test_the_full_variants_are_the_authors(self, name: str, pcm: bool) -> None:
        variant = load_baseline("sspl").variant(name)
        assert SSPLArchitecture.model_validate(variant.architecture) == SSPLArchitecture(pcm=pcm)
        read = SSPLPreprocessing.model_validate(variant.preprocessing_of(None))
        assert read.audio == VGGishAudio()
        assert (read.image.side, read.image.resize) == (224, "crop-pil")

    @pytest.mark.parametrize("variant", ["synth", "synth-without-pcm"])
    def test_what_ships_follows_the_sound(self, variant: str, pictures: Pictures) -> None:
        model = load_localizer("sspl", variant=variant)
        times = np.arange(22050) / 11025
        tones = [
            Waveform((9000 * np.sin(2 * np.pi * pitch * times)).astype(np.int16)[:, None], 11025)
            for pitch in (220, 3000)
        ]
        seen = model.encode_image([pictures[0]] * 2)
        first, second = model.localize(seen, model.encode_audio(tones))
        assert np.abs(first - second).max() > 1e-3
