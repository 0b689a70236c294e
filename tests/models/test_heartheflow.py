"""Hear The Flow: the network, against the authors' code and by hand, and the localizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from heartheflow_cases import (
    AUDIO,
    FLOW,
    NAMES,
    RATE,
    Kind,
    published_wave,
    tiny,
    tiny_network,
    vectors,
)
from made_trunk import use_made_trunk
from numpy.typing import NDArray
from recipe_weights import recipe_tensor, seeded_state
from refusals import refused, unsupported
from torch import Tensor
from torch.nn import functional

from ssl_bench.errors import DataError, WeightsError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.checkpoints import save_checkpoint
from ssl_bench.models.heartheflow import (
    FlowAttention,
    HearTheFlow,
    HearTheFlowArchitecture,
    HearTheFlowNetwork,
    HearTheFlowPreprocessing,
    WholeSecondsAudio,
    scaled_flow,
)
from ssl_bench.models.image_trunks import FrozenTrunk
from ssl_bench.models.optical_flow import FlowPreprocessing
from ssl_bench.models.recipes import Assembly
from ssl_bench.models.registry import load_baseline, load_localizer
from ssl_bench.models.sounds import prepare_sound

Clips = list[Waveform]


def assembly(weights: Path, architecture: HearTheFlowArchitecture, **options: Any) -> Assembly:
    return Assembly(
        name="mine",
        variant="tiny",
        recipe=Path("recipe.toml"),
        architecture=architecture.model_dump(),
        preprocessing={"preset": "small", "image": {"side": 32}, "audio": AUDIO, "flow": FLOW},
        weights=weights,
        weights_sha256=None,
        seed=0,
        options=options,
    )


def stored(folder: Path, flow: Kind = "trunk", **beside: Tensor) -> Path:
    path = folder / f"tiny-{flow}.safetensors"
    save_checkpoint(path, {**tiny_network(flow).state_dict(), **beside})
    return path


def bank() -> Tensor:
    return functional.normalize(recipe_tensor("bank", "bank", (3, 8)), dim=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> HearTheFlow:
    path = stored(tmp_path_factory.mktemp("heartheflow"), sound_bank=bank())
    return HearTheFlow.assemble(assembly(path, tiny()))


@pytest.fixture(scope="module")
def frames() -> NDArray[np.uint8]:
    """A bright square before noise, which moves to the right."""
    shown = np.random.default_rng(0).integers(0, 90, (40, 40, 3), np.uint8)[None].repeat(3, axis=0)
    for number, picture in enumerate(shown):
        picture[12:28, 8 + 4 * number : 24 + 4 * number] = 220
    return shown


class TestAuthorsCode:
    @pytest.mark.parametrize("flow", list(NAMES))
    def test_entries_are_theirs(self, flow: Kind) -> None:
        with torch.device("meta"):
            own = HearTheFlowNetwork(HearTheFlowArchitecture(flow=flow)).state_dict()
        theirs = vectors()[f"{NAMES[flow]}_keys"].tolist()
        assert {f"{key} {tuple(value.shape)}" for key, value in own.items()} == set(theirs)

    @pytest.mark.parametrize(("name", "samples"), [("whole", 110250), ("odd", 99000)])
    def test_sounds_are_cut_as_theirs(self, name: str, samples: int) -> None:
        sound = Waveform(published_wave(samples), RATE)
        found = prepare_sound(sound, WholeSecondsAudio(usual_rate=RATE))
        assert found.shape == (1, 257, 276)
        np.testing.assert_allclose(found[0, ::8, ::6], vectors()[f"sound_{name}"], atol=1e-5)

    def test_of_a_short_sound_the_end_is_repeated_as_theirs(self) -> None:
        sound = Waveform(published_wave(50000), RATE)
        found = prepare_sound(sound, WholeSecondsAudio(usual_rate=RATE))
        np.testing.assert_allclose(found[0, ::8, ::6], vectors()["sound_short"], atol=1e-5)

    def test_a_sound_of_another_rate_is_refused_or_converted(self) -> None:
        sound = Waveform(published_wave(50000), 16000)
        with refused("E_SOUND_RATE", kind=DataError):
            prepare_sound(sound, WholeSecondsAudio(usual_rate=RATE))
        front_end = WholeSecondsAudio(usual_rate=RATE, resample=True)
        assert prepare_sound(sound, front_end).shape == (1, 257, 276)


class TestNetwork:
    def test_attention_by_hand(self) -> None:
        attention = FlowAttention(channels=8, keys=2)
        with torch.no_grad():
            for layer in (attention.query_conv, attention.key_conv, attention.value_conv):
                layer.weight.zero_()
                layer.bias.zero_()
            attention.query_conv.bias.fill_(1.0)
            attention.key_conv.weight[0, 0] = 1.0  # movement to the right alone counts
            attention.value_conv.weight[:, :, 0, 0] = torch.eye(8)
        visual = torch.zeros(1, 8, 1, 2)
        visual[0, 0] = torch.tensor([[10.0, 20.0]])
        flow = torch.zeros(1, 2, 1, 2)
        flow[0, 0, 0, 1] = np.log(3)  # three times the weight of what rests
        taken = attention(visual, flow)
        torch.testing.assert_close(taken[0, 0], torch.full((1, 2), 17.5))  # 10 / 4 + 20 * 3 / 4
        assert not taken[0, 1:].any()

    def test_flow_changes_what_is_seen_and_is_not_read_where_there_is_no_attention(self) -> None:
        images = recipe_tensor("any", "images", (2, 5, 32, 32))
        turned = torch.cat([images[:, :3], -images[:, 3:]], dim=1)
        flows: tuple[Kind, ...] = ("trunk", "largest", "none")
        for flow in flows:
            network = tiny_network(flow)
            with torch.inference_mode():
                seen, otherwise = network.encode_images(images), network.encode_images(turned)
                assert torch.equal(seen, otherwise) == (flow == "none")
                assert seen.shape == (2, 8, 4, 4)
                torch.testing.assert_close(seen.norm(dim=1), torch.ones(2, 4, 4))
        assert torch.equal(seen, network.encode_images(images[:, :3]))

    def test_what_rests_is_nothing_to_the_network(self) -> None:
        for form in ("signed", "positive-jpeg"):
            flow = FlowPreprocessing.model_validate({"form": form})
            picture = torch.full((1, 4, 4, 2), flow.rest, dtype=torch.uint8)
            assert not scaled_flow(picture, flow).any()
        largest = scaled_flow(torch.full((1, 4, 4, 2), 255, dtype=torch.uint8), flow)
        torch.testing.assert_close(largest, torch.ones(1, 2, 4, 4))


class TestMaps:
    def test_they_are_cosines_and_follow_the_sound(
        self, model: HearTheFlow, frames: NDArray[np.uint8], clips: Clips
    ) -> None:
        seen, heard = model.encode_image([frames] * 2), model.encode_audio(clips[:2])
        maps = model.localize(seen, heard)
        assert maps.shape == (2, 4, 4)
        assert np.abs(maps).max() <= 1 + 1e-6
        assert np.abs(maps[0] - maps[1]).max() > 1e-3

    def test_they_follow_what_moves_and_not_what_moved_before(
        self, model: HearTheFlow, frames: NDArray[np.uint8], clips: Clips
    ) -> None:
        resting = np.stack([frames[0], frames[1], frames[1]])
        before = np.stack([frames[2], frames[1], frames[2]])
        seen = model.encode_image([frames, resting, before])["visual"]
        assert np.abs(seen[0] - seen[1]).max() > 1e-3
        np.testing.assert_array_equal(seen[0], seen[2])

    def test_the_audio_blind_map_is_the_best_of_the_bank(
        self, model: HearTheFlow, frames: NDArray[np.uint8]
    ) -> None:
        seen = model.encode_image([frames])
        cosines = np.einsum("md,dhw->mhw", bank().numpy(), seen["visual"][0]).max(axis=0)
        np.testing.assert_allclose(model.vision_only(seen)[0], cosines, rtol=1e-5)

    def test_three_frames_are_asked_for_or_a_picture(
        self, model: HearTheFlow, tmp_path: Path, frames: NDArray[np.uint8]
    ) -> None:
        asked = model.video_input
        assert asked is not None
        assert (asked.frames, asked.rate) == (3, 10)
        with refused("E_FLOW_FRAMES", kind=DataError):
            model.encode_image([frames[1]])
        plain = HearTheFlow.assemble(assembly(stored(tmp_path, "none"), tiny("none")))
        assert plain.video_input is None
        assert plain.encode_image([frames[1]])["visual"].shape == (1, 8, 4, 4)


class TestWeights:
    def test_those_of_another_shape_are_refused(self, tmp_path: Path) -> None:
        path = stored(tmp_path, "largest")
        with refused("E_WEIGHTS_MISFIT", where="flownet", kind=WeightsError):
            HearTheFlow.assemble(assembly(path, tiny()))

    def test_those_of_the_authors_container_load(
        self, model: HearTheFlow, tmp_path: Path, frames: NDArray[np.uint8]
    ) -> None:
        path = tmp_path / "flickr.pth"
        torch.save({"model": tiny_network().state_dict()}, path)
        found = HearTheFlow.assemble(assembly(path, tiny()))
        seen = found.encode_image([frames])
        np.testing.assert_array_equal(seen["visual"], model.encode_image([frames])["visual"])
        with unsupported(found, "vision_only", naming="bank"):
            found.vision_only(seen)


class TestRecipes:
    def test_the_full_variant_is_the_authors(self) -> None:
        variant = load_baseline("heartheflow").variant("full")
        found = HearTheFlowArchitecture.model_validate(variant.architecture)
        assert found == HearTheFlowArchitecture()
        read = HearTheFlowPreprocessing.model_validate(variant.preprocessing_of(None))
        assert read.flow == FlowPreprocessing()
        assert read.audio == WholeSecondsAudio(usual_rate=RATE)

    @pytest.mark.parametrize("variant", ["synth", "synth-without-flow"])
    def test_what_ships_follows_the_sound(
        self, variant: str, frames: NDArray[np.uint8], clips: Clips
    ) -> None:
        model = load_localizer("heartheflow", variant=variant)
        shown = frames if model.video_input is not None else frames[1]
        seen, heard = model.encode_image([shown] * 2), model.encode_audio(clips[:2])
        first, second = model.localize(seen, heard)
        assert np.abs(first - second).max() > 1e-3


class TestFrozenTrunk:
    """The variant for collage: a frozen trunk for images, and one that is trained for flow."""

    @pytest.fixture
    def network(self, monkeypatch: pytest.MonkeyPatch) -> HearTheFlowNetwork:
        use_made_trunk(monkeypatch)
        table = load_baseline("heartheflow").variant("collage").architecture
        network = HearTheFlowNetwork(HearTheFlowArchitecture.model_validate(table))
        network.load_state_dict(seeded_state(network))
        return network.eval()

    def test_flow_of_finer_places_is_brought_to_those_of_the_trunk(
        self, network: HearTheFlowNetwork
    ) -> None:
        assert isinstance(network.imgnet, FrozenTrunk)
        images = recipe_tensor("frozen", "images", (1, 5, 224, 224))
        with torch.inference_mode():
            places = network.encode_images(images)
            assert places.shape == (1, 64, 7, 7)
            maps = network.imgnet.maps(images[:, :3])
            torch.testing.assert_close(network.encode_moving(maps, images[:, 3:]), places)
            still = network.encode_moving(maps, torch.zeros(1, 2, 224, 224))
        assert (still - places).abs().max() > 1e-5

    def test_swapped_sounds_and_frames_that_stand_still_change_the_map(
        self, network: HearTheFlowNetwork
    ) -> None:
        table = load_baseline("heartheflow").variant("collage").preprocessing
        model = HearTheFlow(network, HearTheFlowPreprocessing.model_validate(table))
        rng = np.random.default_rng(0)
        ground = rng.integers(0, 255, (120, 120, 3), np.uint8)
        moving = np.stack([np.roll(ground, 4 * number, axis=1) for number in range(3)])
        drawn = rng.normal(size=(2, 48000, 1)) * [[[900.0]], [[5000.0]]]
        heard = model.encode_audio([Waveform(each.astype(np.int16), 16000) for each in drawn])
        maps = model.localize(model.encode_image([moving, moving]), heard)
        assert maps.shape == (2, 7, 7)
        assert np.abs(maps[0] - maps[1]).max() > 1e-4
        still = model.encode_image([np.repeat(moving[1:2], 3, axis=0)])
        own = model.localize(still, {"audio": heard["audio"][:1]})
        assert np.abs(own - maps[:1]).max() > 1e-6
