"""Over a whole suite, there are as many passes as there are distinct images and sounds."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from PIL import Image
from standins import MemoryTestSet, protocol, sample

from ssl_bench.engine.encode import EngineOptions, localize
from ssl_bench.engine.plan import Plan
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.protocols.protocol import CompositionTable, load_protocol, protocol_names
from ssl_bench.testsets import definition
from ssl_bench.trials.compositions import compose, open_trials
from ssl_bench.trials.trial_set import TrialSet

CLIPS = [f"abcdefghij{letter}_000030" for letter in "uvwxyz"]
SPLITS = ("vggss", "vggss-heard", "vggss-unheard")
SOURCES = 40
"""Samples of a shortened test set: enough for a mosaic."""


class Counting(Localizer):
    """Keeps what it was given to encode; its maps tell image and sound."""

    name = "counting"

    def __init__(self) -> None:
        self.images: list[tuple[object, ...]] = []
        self.sounds: list[tuple[object, ...]] = []

    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        self.images += [content_of_image(image) for image in images]
        return {"level": np.array([image.mean() for image in images])}

    def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
        self.sounds += [content_of_sound(sound) for sound in sounds]
        return {"level": np.array([np.abs(sound.as_float()).mean() for sound in sounds])}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        levels = np.stack([image_features["level"], audio_features["level"]], axis=1)
        return levels[:, None, :].astype(np.float32)

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        product = np.outer(image_features["level"], audio_features["level"])
        return product.astype(np.float32)


def content_of_image(image: NDArray[np.uint8]) -> tuple[object, ...]:
    return image.shape, image.tobytes()


def content_of_sound(sound: Waveform) -> tuple[object, ...]:
    samples = sound.samples
    return sound.rate, samples.dtype.str, samples.shape, samples.tobytes()


def assert_one_pass_each(sets: Sequence[TrialSet]) -> Counting:
    """Run a suite, and compare what was encoded with what the trials are made of."""
    model = Counting()
    for number, batch in localize(
        model, Plan(sets, [False] * len(sets), listens=True), EngineOptions()
    ):
        if batch.maps is None:
            continue
        for name, heat in zip(batch.trial_ids, batch.maps, strict=True):
            trial = sets[number].trials[sets[number].index[name]]
            sound = sets[number].waveform(trial.audio).as_float()
            expected = [sets[number].image(trial.image).mean(), np.abs(sound).mean()]
            np.testing.assert_allclose(heat[0], expected, rtol=1e-6)
    images = {content_of_image(each.image(trial.image)) for each in sets for trial in each}
    sounds = {content_of_sound(each.waveform(trial.audio)) for each in sets for trial in each}
    assert (len(model.images), len(model.sounds)) == (len(images), len(sounds))
    assert set(model.images) == images
    assert set(model.sounds) == sounds
    return model


def shortened(name: str) -> TrialSet:
    """A protocol that ships, on the first samples of its test set."""
    whole = load_protocol(name)
    options = {**whole.test_set.options, "count": SOURCES}
    table = whole.test_set.model_copy(update={"options": options})
    return open_trials(whole.model_copy(update={"test_set": table}))


@pytest.fixture
def vggss(tmp_path: Path, write_media: Callable[[Path, Sequence[str]], None]) -> Path:
    """Six invented clips of VGG-SS, two of them unheard."""
    folder = tmp_path / "vggss"
    write_media(folder, CLIPS)
    entries = [
        {"file": clip, "class": f"class {number}", "bbox": [[0, 0, 0.5, 1]]}
        for number, clip in enumerate(CLIPS)
    ]
    (folder / "vggss.json").write_text(json.dumps(entries))
    (folder / "vggss_heard_test.txt").write_text("\n".join(CLIPS[:4]) + "\n")
    (folder / "vggss_unheard_test.txt").write_text("\n".join(CLIPS[4:]) + "\n")
    return tmp_path


def embedded_protocols() -> list[str]:
    return [
        name for name in protocol_names() if definition(load_protocol(name).test_set.name).embedded
    ]


@pytest.mark.slow
def test_all_embedded_protocols_and_the_splits_of_a_folder_together(vggss: Path) -> None:
    assert len(embedded_protocols()) > 6
    sets = [shortened(name) for name in embedded_protocols()]
    sets += [open_trials(load_protocol(name), vggss) for name in SPLITS]
    assert_one_pass_each(sets)


def test_splits_of_one_folder_share_their_clips(vggss: Path) -> None:
    sets = [open_trials(load_protocol(name), vggss) for name in SPLITS]
    assert len({trials.test_set.digest for trials in sets}) == 3
    model = assert_one_pass_each(sets)
    assert len(model.images) == len(model.sounds) == len(CLIPS)


def test_lengths_of_one_embedded_world_share_their_scenes() -> None:
    few = load_protocol("synth").test_set
    sets = [
        open_trials(
            load_protocol("synth").model_copy(
                update={"test_set": few.model_copy(update={"options": options})}
            )
        )
        for options in ({"count": 6}, {"count": 4}, {"count": 4, "seed": 1})
    ]
    model = assert_one_pass_each(sets)
    assert len(model.images) == len(model.sounds) == 6 + 4


def test_silence_is_one_sound_for_each_length_and_rate() -> None:
    samples = [sample(f"s{number}", category=f"c{number}") for number in range(12)]
    trials = compose(protocol("negative_audio"), MemoryTestSet(samples))
    assert len({trial.audio for trial in trials if trial.role == "silence"}) == 12
    model = assert_one_pass_each([trials])
    assert len(model.sounds) == 12 + 12 + 1  # own, noise, silence


def test_a_picture_of_several_samples_is_one_image(tmp_path: Path) -> None:
    folder = tmp_path / "is3"
    for name in ("frames", "audio"):
        (folder / name).mkdir(parents=True)
    lines = ["id,image,category,xmin,ymin,xmax,ymax"]
    for number, category in enumerate(("dog", "harp")):
        identifier = f"dog_harp_1_{category}"
        lines.append(
            f"{identifier},dog_harp_1,{category},{112 * number},0,{112 * number + 112},224"
        )
        Image.fromarray(np.full((8, 8, 3), 9, np.uint8)).save(
            folder / "frames" / f"{identifier}.png"
        )
        soundfile.write(folder / "audio" / f"{identifier}.wav", np.full(90, 0.1 + number / 4), 8000)
    (folder / "is3.csv").write_text("\n".join(lines) + "\n")
    sets = [open_trials(load_protocol(name), tmp_path) for name in ("interactive@is3", "synth@is3")]
    model = assert_one_pass_each(sets)
    assert (len(model.images), len(model.sounds)) == (1, 2)


def test_test_sets_of_one_name_but_other_contents_are_kept_apart() -> None:
    names = (["a", "b"], ["a", "c"])
    sets = [
        compose(
            protocol(composition=CompositionTable(kind="single")),
            MemoryTestSet(
                [sample(name) for name in each],
                picture=lambda _, level=level: np.full((4, 4, 3), level, np.uint8),
            ),
        )
        for level, each in enumerate(names)
    ]
    model = Counting()
    list(localize(model, Plan(sets, [False, False], listens=True), EngineOptions()))
    assert len(model.images) == 4
    assert len(model.sounds) == 3  # equal samples are one sound, wherever they come from
