"""AVObject: the authors' numbers, frames and sounds that are swapped, and files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_trunk import use_made_trunk
from numpy.typing import NDArray
from recipe_weights import recipe_tensor, seeded_state
from refusals import refused
from torch import Tensor

from ssl_bench.errors import WeightsError
from ssl_bench.media.video_input import VideoInput
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.avobject import (
    AVObject,
    AVObjectArchitecture,
    AVObjectAudio,
    AVObjectNetwork,
    AVObjectPreprocessing,
    attention,
    middle_map,
)
from ssl_bench.models.checkpoints import save_checkpoint
from ssl_bench.models.images import ImagePreprocessing, resize_image
from ssl_bench.models.optical_flow import speeds
from ssl_bench.models.registry import load_baseline, load_localizer
from ssl_bench.models.sounds import prepare_sound

SEED = "avobject"


def seeded_input(key: str, shape: tuple[int, ...], largest: float) -> Tensor:
    scale = math.sqrt(math.prod(shape[1:]) / 6) * largest
    return recipe_tensor(SEED, f"{key}.input", shape) * scale


def architecture(variant: str) -> AVObjectArchitecture:
    table = load_baseline("avobject").variant(variant).architecture
    return AVObjectArchitecture.model_validate(table)


@pytest.fixture(scope="module")
def vectors() -> dict[str, NDArray[Any]]:
    with np.load(Path(__file__).parent / "vectors" / "avobject.npz") as content:
        return dict(content)


@pytest.fixture(scope="module")
def full() -> AVObjectNetwork:
    network = AVObjectNetwork(architecture("full"))
    state = seeded_state(network, SEED)
    state["logits_scale.weight"] = torch.full((1, 1), 10.0)
    network.load_state_dict(state)
    return network.eval()


@pytest.fixture(scope="module")
def small() -> AVObject:
    network = AVObjectNetwork(architecture("synth"))
    network.load_state_dict(seeded_state(network))
    table = load_baseline("avobject").variant("synth").preprocessing
    return AVObject(network, AVObjectPreprocessing.model_validate(table))


@pytest.fixture(scope="module")
def clips() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (2, 9, 60, 70, 3), np.uint8)


@pytest.fixture(scope="module")
def sounds() -> list[Waveform]:
    drawn = np.random.default_rng(1).normal(size=(2, 22050, 1)) * [[[900.0]], [[5000.0]]]
    return [Waveform(each.astype(np.int16), 11025) for each in drawn]


class TestAuthorsCode:
    def test_their_file_has_the_entries_of_the_network_and_those_of_separation(
        self, vectors: dict[str, NDArray[Any]], full: AVObjectNetwork
    ) -> None:
        theirs = dict(str(each).split(" ", 1) for each in vectors["keys"])
        ours = {key: str(tuple(value.shape)) for key, value in full.state_dict().items()}
        assert ours.items() <= theirs.items()
        assert {key.split(".")[0] for key in theirs.keys() - ours.keys()} == {"sepnet", "phasenet"}

    def test_maps_and_scores_are_theirs(
        self, vectors: dict[str, NDArray[Any]], full: AVObjectNetwork
    ) -> None:
        frames = seeded_input("video", (2, 3, 9, 48, 64), 1.0).add(1).mul(127.5)
        waves = seeded_input("wave", (2, 16000), 8000.0).numpy() / 32768
        # The picture that the third of their five times is about is shown at 7,680 samples.
        tables = [
            prepare_sound(Waveform(wave[:15360, None], 16000), AVObjectAudio()) for wave in waves
        ]
        mel = np.stack(tables)[:, 0]
        # Theirs are columns 32 to 68 of the whole sound; these begin at column 16.
        assert np.abs(mel[:, ::4, 16:52:3] - vectors["mel"]).max() < 2e-3
        with torch.inference_mode():
            places = full.encode_images(frames)
            heard = full.encode_sounds(torch.from_numpy(np.stack(tables)))
        steps = heard.unflatten(1, (1024, 5))
        assert (places[:, ::64, :, 0, ::2] - torch.from_numpy(vectors["places"])).abs().max() < 1e-5
        assert (steps[:, ::64] - torch.from_numpy(vectors["sounds"])).abs().max() < 1e-5
        for name, order in (("own", [0, 1]), ("swapped", [1, 0])):
            cosines = attention(places, steps[order]) * full.scale()
            logged = torch.log_softmax(cosines.flatten(2), dim=2).view_as(cosines)
            expected = torch.from_numpy(vectors[f"{name}_maps"])
            assert (middle_map(logged) - expected).abs().max() < 1e-4
            best = cosines.flatten(2).amax(dim=2).mean(dim=1)
            assert (best - torch.from_numpy(vectors[f"{name}_scores"])).abs().max() < 1e-4
            # What softmax takes off is the same everywhere: maps are equal but for a constant.
            apart = middle_map(cosines) - expected
            assert (apart.amax(dim=(1, 2)) - apart.amin(dim=(1, 2))).max() < 1e-4


def test_it_asks_for_nine_frames(small: AVObject) -> None:
    assert small.video_input == VideoInput(9, 8.75)
    assert load_baseline("avobject").variant("full").weights_at is not None


def test_swapped_sounds_and_frames_in_reverse_change_the_map(
    small: AVObject, clips: NDArray[np.uint8], sounds: list[Waveform]
) -> None:
    seen = small.encode_image(list(clips))
    own = small.localize(seen, small.encode_audio(sounds))
    assert own.shape == (2, 10, 10)
    assert own.dtype == np.float32
    swapped = small.localize(seen, small.encode_audio(sounds[::-1]))
    assert np.abs(own - swapped).max() > 1e-3
    back = small.encode_image([clip[::-1] for clip in clips])
    assert np.abs(small.localize(back, small.encode_audio(sounds)) - own).max() > 1e-3


def test_the_similarity_is_the_mean_over_times_of_the_best_place(
    small: AVObject, clips: NDArray[np.uint8], sounds: list[Waveform]
) -> None:
    seen, heard = small.encode_image(list(clips)), small.encode_audio(sounds)
    table = small.similarity(seen, heard)
    assert table.shape == (2, 2)
    steps = heard["audio"].reshape(2, 64, 5)
    cosines = np.einsum("ndthw,mdt->nmthw", seen["visual"], steps)
    expected = cosines.max(axis=(3, 4)).mean(axis=2)
    ratio = table / expected
    assert np.allclose(ratio, ratio[0, 0], rtol=1e-4)


def test_a_silent_half_of_a_sound_is_at_the_floor() -> None:
    front_end = AVObjectAudio()
    samples = np.concatenate([np.zeros(8000), np.sin(np.arange(8000))])
    table = front_end.table(Waveform(samples[:, None], 16000))
    assert table.shape == (80, 64)
    assert (table[:, :20] < -40).all()
    assert table[:, 36:].max() > 5


def test_the_largest_over_a_bank_of_sounds_is_the_map_without_hearing(
    small: AVObject, clips: NDArray[np.uint8], sounds: list[Waveform]
) -> None:
    assert not small.supports("vision_only")
    bank = small.encode_audio(sounds)["audio"]
    banked = AVObject(small._network, small._preprocessing, sound_bank=bank)
    seen = banked.encode_image(list(clips[:1]))
    both = [banked.localize(seen, {"audio": row[None]}) for row in bank]
    assert np.allclose(banked.vision_only(seen), np.maximum(*both), atol=1e-5)


class TestFrozenTrunk:
    """The variant for collage: a frozen trunk looks, and speeds of places tell what moves."""

    @pytest.fixture
    def model(self, monkeypatch: pytest.MonkeyPatch) -> AVObject:
        use_made_trunk(monkeypatch)
        network = AVObjectNetwork(architecture("collage"))
        network.load_state_dict(seeded_state(network))
        table = load_baseline("avobject").variant("collage").preprocessing
        return AVObject(network, AVObjectPreprocessing.model_validate(table))

    @pytest.fixture
    def moving(self) -> NDArray[np.uint8]:
        """A bright square before grey, which moves to the right faster and faster."""
        frames = np.full((9, 112, 112, 3), 60, np.uint8)
        for number, frame in enumerate(frames):
            left = 20 + number * number // 2
            frame[40:72, left : left + 32] = 200
        return frames

    @pytest.fixture
    def heard(self) -> list[Waveform]:
        drawn = np.random.default_rng(1).normal(size=(2, 48000, 1)) * [[[900.0]], [[5000.0]]]
        return [Waveform(each.astype(np.int16), 16000) for each in drawn]

    def test_swapped_sounds_and_frames_that_stand_still_change_the_map(
        self, model: AVObject, moving: NDArray[np.uint8], heard: list[Waveform]
    ) -> None:
        seen = model.encode_image([moving, moving])
        maps = model.localize(seen, model.encode_audio(heard))
        assert maps.shape == (2, 7, 7)
        assert np.abs(maps[0] - maps[1]).max() > 1e-4
        still = model.encode_image([np.repeat(moving[4:5], 9, axis=0), moving[::-1]])
        for row in range(2):
            changed = {"visual": still["visual"][row : row + 1]}
            own = model.localize(changed, model.encode_audio(heard[:1]))
            assert np.abs(own - maps[:1]).max() > 1e-5

    def test_the_picture_comes_first_and_then_how_fast_each_place_moves(
        self, model: AVObject, moving: NDArray[np.uint8]
    ) -> None:
        prepared = model.prepare_image(moving)
        assert prepared.shape == (224, 224, 11)
        assert (prepared[..., :3] == resize_image(moving[4], ImagePreprocessing())).all()
        assert (prepared[::16, ::16, 3:] == speeds(moving, 14).transpose(1, 2, 0)).all()
        fastest = prepared[..., 3:].max(axis=(0, 1)).astype(int)
        assert fastest[-1] > 2 * fastest[1]

    def test_it_may_be_given_maps_of_the_trunk_with_speeds(
        self, model: AVObject, moving: NDArray[np.uint8]
    ) -> None:
        network = model._network
        assert network.imgnet is not None
        pixels = model._pixels([model.prepare_image(moving)])
        assert pixels.shape == (1, 11, 224, 224)
        with torch.inference_mode():
            maps = network.imgnet.maps(pixels[:, :3])
            given = network.encode_moving(maps, torch.from_numpy(speeds(moving, 14))[None])
            torch.testing.assert_close(given, network.encode_images(pixels))

    def test_the_first_kernel_takes_in_the_steps_between_five_frames(self) -> None:
        table = load_baseline("avobject").variant("collage").architecture
        with pytest.raises(ValueError, match="takes in 5 frames"):
            AVObjectArchitecture.model_validate({**table, "image_trunk": None})
        small = load_baseline("avobject").variant("synth").architecture
        with pytest.raises(ValueError, match="takes in 4 steps"):
            AVObjectArchitecture.model_validate({**small, "image_trunk": table["image_trunk"]})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"frames": 8}, "odd"),
        ({"frames": 3}, "odd"),
        ({"sound": [{"channels": 1, "kernel": [3], "stride": [1], "padding": [0]}]}, "axes"),
        (
            {
                "video": [
                    {"channels": 1, "kernel": [3, 3, 3], "stride": [1] * 3, "padding": [0] * 3}
                ]
            },
            "takes in 5",
        ),
    ],
)
def test_shapes_that_cannot_be_are_refused(changes: dict[str, Any], told: str) -> None:
    table = load_baseline("avobject").variant("synth").architecture
    with pytest.raises(ValueError, match=told):
        AVObjectArchitecture.model_validate({**table, **changes})


def test_windows_of_sound_have_the_length_of_frames() -> None:
    with pytest.raises(ValueError, match="multiple of 8 hops"):
        AVObjectAudio(seconds=0.5)


def test_a_file_of_their_form_is_read_and_one_of_another_shape_is_refused(tmp_path: Path) -> None:
    network = AVObjectNetwork(architecture("synth"))
    state = seeded_state(network)
    theirs = tmp_path / "theirs.pt"
    torch.save({**{f"module.{key}": each for key, each in state.items()}}, theirs)
    model = load_localizer("avobject", weights=theirs)
    assert isinstance(model, AVObject)
    with_separation = tmp_path / "separating.pt"
    torch.save({**state, "sepnet.fc.weight": torch.zeros(2)}, with_separation)
    load_localizer("avobject", weights=with_separation)
    narrow = tmp_path / "narrow.safetensors"
    save_checkpoint(narrow, {**state, "ff_lip.fc8.weight": torch.zeros(3, 64, 1, 1, 1)})
    with refused("E_WEIGHTS_MISFIT", kind=WeightsError):
        load_localizer("avobject", weights=narrow)
