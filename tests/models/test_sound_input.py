"""Which sounds a model takes, and what converts the others."""

from __future__ import annotations

import numpy as np
import pytest
from refusals import refused

from ssl_bench.errors import ModelError
from ssl_bench.media.resampling import converted
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.provenance import describe
from ssl_bench.models.registry import load_localizer
from ssl_bench.models.sounds import FixedSamplesAudio, LogPowerAudio, SoundInput, WholeClipAudio
from ssl_bench.models.trained import TrainedLocalizer


def noise(rate: int, channels: int, seconds: float = 4.0) -> Waveform:
    generator = np.random.default_rng(0)
    samples = generator.integers(-9000, 9000, (round(rate * seconds), channels))
    return Waveform(samples.astype(np.int16), rate)


@pytest.mark.parametrize("name", ["ezvsl", "lvs", "icl", "oya"])
def test_a_model_says_what_it_takes_and_converts_when_asked(name: str) -> None:
    strict, lenient = load_localizer(name), load_localizer(name, options={"resample": True})
    assert isinstance(strict, TrainedLocalizer)
    assert isinstance(lenient, TrainedLocalizer)
    sound = noise(44100, 2)
    assert strict.sound_input is not None
    with refused("E_SOUND_RATE", where="44100 Hz"):
        strict.sound_input.taken(sound)
    with refused("E_SOUND_RATE"):
        strict.encode_audio([sound])
    rate = strict.sound_input.taken_rate
    assert rate is not None
    by_hand = strict.encode_audio([converted(sound, rate)])["audio"]
    np.testing.assert_array_equal(lenient.encode_audio([sound])["audio"], by_hand)
    own = noise(rate, 1)
    np.testing.assert_array_equal(
        lenient.encode_audio([own])["audio"], strict.encode_audio([own])["audio"]
    )
    assert describe(lenient)["options"] == {"resample": True}


def test_a_model_that_does_not_listen_takes_no_sound() -> None:
    prior = load_localizer("ogl-l1")
    assert isinstance(prior, TrainedLocalizer)
    assert prior.sound_input is None
    with refused("E_SCHEMA", kind=ModelError):
        load_localizer("ogl-l1", options={"resample": True})


def test_sounds_are_taken_as_they_are_or_converted_not_both() -> None:
    with refused("E_SCHEMA", kind=ModelError):
        load_localizer("ezvsl", options={"resample": True, "any_rate": True})


@pytest.mark.parametrize(
    ("front_end", "most"), [(LogPowerAudio, 2), (FixedSamplesAudio, 2), (WholeClipAudio, 1)]
)
def test_channels_beyond_those_that_are_taken_become_one(
    front_end: type[SoundInput], most: int
) -> None:
    six = noise(16000, 6)
    assert front_end().taken(noise(16000, most)).samples.shape[1] == most
    with refused("E_SOUND_CHANNELS", where="6 channels"):
        front_end().taken(six)
    taken = front_end(resample=True).taken(six)
    np.testing.assert_allclose(taken.samples[:, 0], six.as_float().mean(axis=1), atol=1e-7)
