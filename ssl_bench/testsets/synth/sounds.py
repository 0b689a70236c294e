"""The twenty families of sounds, and how single sources become the sound of a scene.

Each family is a function of a random stream (phases and noise), a pitch factor and a rate factor,
and gives two seconds at any level; :func:`source` sets the level, :func:`mixture` adds the noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ssl_bench.testsets.synth.exact import quantised

RATE = 11_025
"""Samples per second, in Hz."""

LENGTH = 2 * RATE
"""Samples of every sound: two seconds."""

Signal = NDArray[np.float64]
Family = Callable[[np.random.Generator, float, float], Signal]

_TIME = np.arange(LENGTH) / RATE
_BINS = np.fft.rfftfreq(LENGTH, 1.0 / RATE)
_NYQUIST = RATE / 2.0
_PITCH_DEVIATION = 3.0  # semitones
_PITCH_SIZE_CORRELATION = 0.7
_PEAK = 32_767


def _turns(rng: np.random.Generator, frequency: float | Signal) -> Signal:
    """Phase in turns of a constant or changing frequency in Hz, from a random start."""
    if isinstance(frequency, float):
        return _TIME * frequency + rng.random()
    return np.cumsum(frequency) / RATE + rng.random()


def _sine(turns: Signal) -> Signal:
    return np.sin(2.0 * np.pi * turns)


def _partials(turns: Signal, weights: Sequence[float], fundamental: float) -> Signal:
    """Weighted sum of harmonics 1, 2, ... below the Nyquist frequency.

    Harmonics follow from the first by sin((k+1)x) = 2 cos(x) sin(kx) - sin((k-1)x).
    """
    current = np.sin(2.0 * np.pi * turns)
    twice_cosine = 2.0 * np.cos(2.0 * np.pi * turns)
    previous = np.zeros_like(current)
    total = np.zeros_like(current)
    for number, weight in enumerate(weights, start=1):
        if number * fundamental >= 0.95 * _NYQUIST:
            break
        if weight:
            total += weight * current
        previous, current = current, twice_cosine * current - previous
    return total


def _swelling_noise(rng: np.random.Generator, low: float, high: float, rate: float) -> Signal:
    swell = 1.0 + 0.3 * _sine(_turns(rng, 1.2 * rate))
    return swell * _noise(rng, low, high)


def _noise(rng: np.random.Generator, low: float, high: float) -> Signal:
    """Gaussian noise between two frequencies in Hz, with soft flanks."""
    spectrum = rng.standard_normal(len(_BINS)) + 1j * rng.standard_normal(len(_BINS))
    ratio = _BINS / max(low, 1.0)
    spectrum *= ratio**4 / (1.0 + ratio**4) / (1.0 + (_BINS / high) ** 8)
    return np.fft.irfft(spectrum, LENGTH)


def _cycle(rng: np.random.Generator, rate: float) -> Signal:
    """Position in [0, 1) within a cycle that repeats `rate` times a second."""
    turns = _turns(rng, rate)
    return turns - np.floor(turns)


def _harmonic(rng: np.random.Generator, pitch: float, rate: float) -> Signal:
    fundamental = 220.0 * pitch
    swell = 1.0 + 0.2 * _sine(_turns(rng, 1.5 * rate))
    return swell * _partials(_turns(rng, fundamental), [1 / k for k in range(1, 9)], fundamental)


def _odd_harmonic(rng: np.random.Generator, pitch: float, rate: float) -> Signal:
    fundamental = 330.0 * pitch
    weights = [1.0, 0.0, 0.75, 0.0, 0.55, 0.0, 0.4, 0.0, 0.3]
    swell = 1.0 + 0.2 * _sine(_turns(rng, 1.1 * rate))
    return swell * _partials(_turns(rng, fundamental), weights, fundamental)


def _bell(rng: np.random.Generator, pitch: float, rate: float) -> Signal:
    seconds = _cycle(rng, 1.3 * rate) / (1.3 * rate)
    total = np.zeros(LENGTH)
    for ratio, weight, decay in (
        (1.0, 1.0, 3.0),
        (2.0, 0.6, 4.0),
        (2.76, 0.7, 6.0),
        (5.4, 0.5, 9.0),
    ):
        total += weight * np.exp(-decay * seconds) * _sine(_turns(rng, 480.0 * pitch * ratio))
    return total


def _tremolo(rng: np.random.Generator, pitch: float, rate: float) -> Signal:
    fundamental = 620.0 * pitch
    depth = 0.5 + 0.5 * _sine(_turns(rng, 7.0 * rate))
    return depth * _partials(_turns(rng, fundamental), [1.0, 0.35, 0.15], fundamental)


def _vibrato(rng: np.random.Generator, pitch: float, rate: float) -> Signal:
    fundamental = 470.0 * pitch
    bent = fundamental * (1.0 + 0.09 * _sine(_turns(rng, 5.5 * rate)))
    return _partials(_turns(rng, bent), [1.0, 0.5, 0.4, 0.25, 0.15], fundamental)


def _siren(rng: np.random.Generator, pitch: float, rate: float) -> Signal:
    bent = 900.0 * pitch * (1.0 + 0.42 * _sine(_turns(rng, 0.9 * rate)))
    return _partials(_turns(rng, bent), [1.0, 0.3], 900.0 * pitch)


def _chirp_up(rng: np.random.Generator, pitch: float, rate: float) -> Signal:
    part = _cycle(rng, 2.2 * rate)
    return (1.0 - 0.7 * part) * _sine(_turns(rng, pitch * (350.0 + 1900.0 * part * part)))


def _chirp_down(rng: np.random.Generator, pitch: float, rate: float) -> Signal:
    part = _cycle(rng, 2.2 * rate)
    return (1.0 - 0.7 * part) * _sine(
        _turns(rng, pitch * (350.0 + 1900.0 * (1.0 - part) * (1.0 - part)))
    )


def _noise_bursts(rng: np.random.Generator, pitch: float, rate: float) -> Signal:
    part = _cycle(rng, 3.5 * rate)
    gate = np.clip((0.4 - part) * 20.0, 0.0, 1.0) * np.clip(part * 40.0, 0.0, 1.0)
    return gate * _noise(rng, 600.0 * pitch, 2400.0 * pitch)


def _clicks(rng: np.random.Generator, frequency: float, rate: float, decay: float) -> Signal:
    seconds = _cycle(rng, rate) / rate
    return np.exp(-decay * seconds) * np.sin(2.0 * np.pi * frequency * seconds)


def _growl(rng: np.random.Generator, pitch: float, rate: float) -> Signal:
    fundamental = 75.0 * pitch
    rough = 0.55 + 0.45 * _sine(_turns(rng, 24.0 * rate))
    voice = _partials(_turns(rng, fundamental), [k**-0.6 for k in range(1, 15)], fundamental)
    return rough * voice


def _whistle(rng: np.random.Generator, pitch: float, rate: float) -> Signal:
    bent = 2300.0 * pitch * (1.0 + 0.02 * _sine(_turns(rng, 1.4 * rate)))
    return _sine(_turns(rng, bent)) + 6.0 * _noise(rng, 1900.0 * pitch, 2800.0 * pitch)


def _rain(rng: np.random.Generator, pitch: float, rate: float) -> Signal:
    drops = np.zeros(LENGTH)
    count = int(110.0 * rate)
    drops[rng.integers(0, LENGTH, count)] = rng.uniform(0.3, 1.0, count)
    seconds = _TIME[:400]
    splash = np.exp(-300.0 * seconds) * np.sin(2.0 * np.pi * 3100.0 * pitch * seconds)
    return np.fft.irfft(np.fft.rfft(drops) * np.fft.rfft(splash, LENGTH), LENGTH)


def _fm_buzz(rng: np.random.Generator, pitch: float, rate: float) -> Signal:
    index = 3.2 + 1.3 * _sine(_turns(rng, 1.8 * rate))
    modulator = _sine(_turns(rng, 212.0 * pitch))
    return _sine(_turns(rng, 150.0 * pitch) + index / (2.0 * np.pi) * modulator)


def _pluck(rng: np.random.Generator, pitch: float, rate: float) -> Signal:
    fundamental = 280.0 * pitch
    seconds = _cycle(rng, 2.6 * rate) / (2.6 * rate)
    turns = _turns(rng, fundamental)
    body = _partials(turns, [1.0, 0.6], fundamental) * np.exp(-5.0 * seconds)
    bright = _partials(turns, [0.0, 0.0, 0.7, 0.6, 0.5, 0.4, 0.3], fundamental)
    return body + bright * np.exp(-16.0 * seconds)


def _wind(rng: np.random.Generator, pitch: float, rate: float) -> Signal:
    drift = 0.5 + 0.5 * _sine(_turns(rng, 0.8 * rate))
    calm = _noise(rng, 350.0 * pitch, 700.0 * pitch)
    gust = _noise(rng, 900.0 * pitch, 1500.0 * pitch)
    return (1.2 - drift) * calm + drift * gust


def _beep(rng: np.random.Generator, pitch: float, rate: float) -> Signal:
    part = _cycle(rng, 2.6 * rate)
    gate = np.clip((0.45 - part) * 60.0, 0.0, 1.0) * np.clip(part * 60.0, 0.0, 1.0)
    return gate * _sine(_turns(rng, 1250.0 * pitch))


FAMILIES: Mapping[str, Family] = {
    "harmonic": _harmonic,
    "odd-harmonic": _odd_harmonic,
    "bell": _bell,
    "tremolo": _tremolo,
    "vibrato": _vibrato,
    "siren": _siren,
    "chirp-up": _chirp_up,
    "chirp-down": _chirp_down,
    "low-noise": lambda rng, pitch, rate: _swelling_noise(rng, 50.0, 330.0 * pitch, rate),
    "high-noise": lambda rng, pitch, rate: _swelling_noise(rng, 2900.0 * pitch, 5400.0, rate),
    "noise-bursts": _noise_bursts,
    "slow-clicks": lambda rng, pitch, rate: _clicks(rng, 1500.0 * pitch, 3.0 * rate, 110.0),
    "fast-clicks": lambda rng, pitch, rate: _clicks(rng, 1000.0 * pitch, 15.0 * rate, 160.0),
    "growl": _growl,
    "whistle": _whistle,
    "rain": _rain,
    "fm-buzz": _fm_buzz,
    "pluck": _pluck,
    "wind": _wind,
    "beep": _beep,
}
"""Families by name, in the order in which categories refer to them."""


def source(rng: np.random.Generator, family: str, size_score: float) -> Signal:
    """Sound of one object, ``(22050,)`` float64 of power between -4 dB and 0 dB (relative to 1).

    `size_score` is how large the object is for its kind, in standard deviations; larger objects
    sound lower.
    """
    own = float(rng.standard_normal()) * (1.0 - _PITCH_SIZE_CORRELATION**2) ** 0.5
    semitones = _PITCH_DEVIATION * (own - _PITCH_SIZE_CORRELATION * size_score)
    semitones = min(max(semitones, -2.5 * _PITCH_DEVIATION), 2.5 * _PITCH_DEVIATION)
    rate = float(rng.uniform(0.75, 1.25))
    decibels = float(rng.uniform(-4.0, 0.0))
    slow = float(rng.uniform(0.2, 0.6)), float(rng.random())
    signal = FAMILIES[family](rng, quantised(2.0 ** (semitones / 12.0)), rate)
    times = np.arange(LENGTH) / RATE
    swell: Signal = 0.85 + 0.15 * np.sin(2.0 * np.pi * (slow[0] * times + slow[1]))
    signal = signal * swell
    gain: float = 10.0 ** (decibels / 20.0) / _effective(signal)
    return signal * gain


def ambience(rng: np.random.Generator) -> tuple[Signal, float]:
    """Coloured noise ``(22050,)`` of unit power around a scene, and the ratio to it in dB."""
    ratio = float(rng.uniform(5.0, 25.0))
    slope = float(rng.uniform(0.0, 1.0))
    bins = LENGTH // 2 + 1
    spectrum = rng.standard_normal(bins) + 1j * rng.standard_normal(bins)
    spectrum[1:] /= np.arange(1, bins) ** slope
    spectrum[0] = 0.0
    noise = np.fft.irfft(spectrum, LENGTH)
    return noise / _effective(noise), ratio


def mixture(sources: Sequence[Signal], noise: Signal, ratio: float) -> NDArray[np.int16]:
    """Sum of sources over noise of unit power, at unit peak; `ratio` between them in dB."""
    total = np.zeros(LENGTH)
    for signal in sources:
        total += signal
    return at_unit_peak(total + noise * (_effective(total) * 10.0 ** (-ratio / 20.0)))


def at_unit_peak(signal: Signal) -> NDArray[np.int16]:
    """16-bit samples of `signal`, scaled so that the largest magnitude is 32767."""
    scale = _PEAK / max(float(np.max(np.abs(signal))), 1e-12)
    return np.floor(signal * scale + 0.5).astype(np.int16)


def _effective(signal: Signal) -> float:
    """Root mean square."""
    return max(float(np.sqrt(np.mean(signal * signal))), 1e-9)
