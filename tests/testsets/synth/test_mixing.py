from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ssl_bench.testsets.synth import sounds
from ssl_bench.testsets.synth.sounds import FAMILIES, LENGTH
from ssl_bench.testsets.synth.streams import stream


def power(signal: np.ndarray) -> float:
    return float(np.mean(np.asarray(signal, np.float64) ** 2))


def spectrogram(sound: np.ndarray) -> np.ndarray:
    frames = np.lib.stride_tricks.sliding_window_view(sound / 32768.0, 512)[::128]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(512), axis=1)) ** 2
    edges = np.unique(np.geomspace(2, 256, 40).astype(int))
    bands = [spectrum[:, a:b].mean(axis=1) for a, b in pairwise(edges)]
    return np.log(np.stack(bands, axis=1) + 1e-6)


def describe(sound: np.ndarray) -> np.ndarray:
    """Mean and spread of each band, and which modulation rates occur."""
    bands = spectrogram(sound)
    level = bands.mean(axis=1)
    modulation = np.abs(np.fft.rfft(level - level.mean()))[1:60] / 10
    change = np.abs(np.diff(bands, axis=0)).mean(axis=0)
    return np.concatenate([bands.mean(axis=0), bands.std(axis=0), change, modulation])


def test_there_are_twenty_families() -> None:
    assert len(FAMILIES) == 20


@pytest.mark.parametrize("family", FAMILIES)
def test_a_source_lies_between_minus_four_and_zero_decibels(family: str) -> None:
    for index in range(5):
        signal = sounds.source(stream(1, index), family, 0.0)
        assert signal.shape == (LENGTH,)
        assert -4.001 < 10 * np.log10(power(signal)) < 0.001


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_varies_between_instances(family: str) -> None:
    first, second = (sounds.source(stream(2, index), family, 0.0) for index in range(2))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.9


@pytest.mark.slow
def test_families_are_told_apart_by_their_spectrum_in_ambient_noise() -> None:
    descriptions, families = [], []
    for number, family in enumerate(FAMILIES):
        for index in range(16):
            signal = sounds.source(stream(3, number, index), family, 0.0)
            noise, ratio = sounds.ambience(stream(4, number, index))
            descriptions.append(describe(sounds.mixture([signal], noise, ratio)))
            families.append(number)
    table, labels = np.array(descriptions), np.array(families)
    known = np.arange(len(labels)) % 16 < 12
    table = (table - table[known].mean(axis=0)) / (table[known].std(axis=0) + 1e-9)
    distance = ((table[~known][:, None] - table[known][None]) ** 2).sum(axis=2)
    found = labels[known][distance.argmin(axis=1)]
    # Chirps up and down differ in time order alone, which this description does not hold.
    assert (found == labels[~known]).mean() > 0.7


def test_rising_and_falling_chirps_are_mirror_images_in_time() -> None:
    def drift(family: str) -> float:
        bands = spectrogram(sounds.at_unit_peak(sounds.source(stream(5), family, 0.0)))
        centre = (np.exp(bands) * np.arange(bands.shape[1])).sum(axis=1) / np.exp(bands).sum(axis=1)
        return float(np.median(np.diff(centre)))

    assert drift("chirp-up") > 0.02
    assert drift("chirp-down") < -0.02


def test_larger_objects_sound_lower() -> None:
    def pitch(size_score: float, index: int) -> float:
        signal = sounds.source(stream(6, index), "beep", size_score)
        return float(np.abs(np.fft.rfft(signal)).argmax()) / 2.0  # a bin is half a hertz

    scores = np.linspace(-2, 2, 60)
    semitones = 12 * np.log2([pitch(score, index) for index, score in enumerate(scores)])
    # Over scores of unit spread the correlation is 0.7; these spread a little wider.
    assert -0.9 < np.corrcoef(scores, semitones)[0, 1] < -0.55


def test_a_mixture_has_unit_peak() -> None:
    for index in range(10):
        noise, ratio = sounds.ambience(stream(7, index))
        sources = [sounds.source(stream(8, index, k), "bell", 0.0) for k in range(1 + index % 3)]
        sound = sounds.mixture(sources, noise, ratio)
        assert sound.dtype == np.int16
        assert np.abs(sound.astype(int)).max() == 32767


def test_ambient_noise_lies_five_to_twenty_five_decibels_below() -> None:
    ratios = []
    for index in range(60):
        noise, ratio = sounds.ambience(stream(9, index))
        assert abs(power(noise) - 1.0) < 1e-9
        ratios.append(ratio)
        signal = sounds.source(stream(10, index), "harmonic", 0.0)
        sound = sounds.mixture([signal], noise, ratio).astype(np.float64)
        # Least squares finds how much of each is in the mixture.
        parts = np.stack([signal, noise], axis=1)
        share = np.linalg.lstsq(parts, sound, rcond=None)[0]
        measured = 10 * np.log10(power(signal * share[0]) / power(noise * share[1]))
        assert abs(measured - ratio) < 0.5
    assert 5 <= min(ratios) < 8
    assert 22 < max(ratios) <= 25
