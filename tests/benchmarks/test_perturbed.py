"""What the benchmark of changed inputs and maps does to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import perturbed
import pytest
from perturbed import CHANGES, FRAMES, MAPS, SOUNDS, Perturbed

import ssl_bench
from ssl_bench.media.video_input import VideoInput
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Localizer
from ssl_bench.models.registry import list_baselines, load_baseline

HEAT = np.array([[0.0, 16.0], [1.0, 81.0]])


class Recorder(Localizer):
    """Remembers what it was given."""

    name = "recorder"
    video_input = VideoInput(frames=3, rate=10)

    def encode_image(self, images):
        self.images = list(images)
        return {"map": np.stack([image[1, :, :, 0] for image in images]).astype(np.float32)}

    def encode_audio(self, sounds):
        self.sounds = list(sounds)
        return {"none": np.zeros((len(sounds), 0), np.float32)}

    def localize(self, image_features, audio_features):
        return image_features["map"]


def test_a_rolled_sound_begins_with_its_end_half_a_second_later() -> None:
    model = Recorder()
    sound = Waveform(np.arange(10, dtype=np.int16)[:, None], rate=4)
    Perturbed(model, "sounds-rolled").encode_audio([sound])
    assert model.sounds[0].samples[:, 0].tolist() == [8, 9, 0, 1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("change", "order"), [("frames-reversed", [2, 1, 0]), ("frames-still", [1, 1, 1])]
)
def test_frames_are_reversed_or_stand_still(change: str, order: list[int]) -> None:
    model = Recorder()
    frames = np.broadcast_to(np.arange(3, dtype=np.uint8)[:, None, None, None], (3, 2, 2, 3))
    sound = Waveform(np.zeros((4, 1), np.int16), 4)
    changed = Perturbed(model, change)
    changed.encode_audio([sound])
    changed.encode_image([frames])
    assert changed.video_input == model.video_input
    assert model.images[0][:, 0, 0, 0].tolist() == order
    assert model.sounds == [sound]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("maps-root", [[0, 4], [1, 9]]),
        ("maps-fourth-root", [[0, 2], [1, 3]]),
        ("maps-ranks", [[1, 3], [2, 4]]),
    ],
)
def test_maps_on_another_scale(change: str, expected: list[list[float]]) -> None:
    assert MAPS[change](HEAT).tolist() == expected


def test_a_logarithm_begins_at_the_smallest_value_and_refuses_negative_ones() -> None:
    assert MAPS["maps-log"](HEAT)[0, 0] == np.log(1e-12)
    with pytest.raises(SystemExit, match="negative"):
        MAPS["maps-log"](-HEAT)


def test_things_of_the_embedded_world_move_and_have_not_yet_moved_at_once() -> None:
    trials = ssl_bench.open_trials("synth")
    trials.test_set.count = 8
    assert all(0.5 < pixels < 5 for pixels in perturbed.moved(trials))
    assert max(perturbed.moved(trials, seconds=1e-6)) == 0


def test_every_change_that_a_card_names_is_one() -> None:
    named = 0
    for name in list_baselines():
        card = load_baseline(name).card
        for text in card.measured:
            for call in text.split("benchmarks/perturbed.py ")[1:]:
                model, *words = call.partition("'")[0].split()
                changes = words[words.index("--change") + 1 :] if "--change" in words else []
                assert model in list_baselines()
                assert set(changes) <= set(CHANGES), (name, Path(card.name), changes)
                named += 1
    assert named >= 3
    assert set(CHANGES) == {*SOUNDS, *FRAMES, *MAPS}
