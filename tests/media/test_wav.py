from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from refusals import refused

from ssl_bench.media.audio import write_wav
from ssl_bench.media.waveform import Waveform


def read(path: Path) -> tuple[np.ndarray, int]:
    with wave.open(str(path)) as stream:
        samples = np.frombuffer(stream.readframes(stream.getnframes()), "<i2")
        return samples.reshape(-1, stream.getnchannels()), stream.getframerate()


def test_integers_are_written_as_they_are(tmp_path: Path) -> None:
    samples = np.array([[0, 1], [-32768, 32767], [5, -5]], np.int16)
    write_wav(tmp_path / "new" / "a.wav", Waveform(samples, 11025))
    found, rate = read(tmp_path / "new" / "a.wav")
    np.testing.assert_array_equal(found, samples)
    assert rate == 11025


def test_floats_are_rounded_to_the_steps_that_reading_divides_by(tmp_path: Path) -> None:
    samples = np.array([[0.0], [0.5], [-1.0], [1.0], [1.4 / 32768]], np.float64)
    write_wav(tmp_path / "a.wav", Waveform(samples, 8000))
    assert read(tmp_path / "a.wav")[0][:, 0].tolist() == [0, 16384, -32768, 32767, 1]


def test_nothing_to_write_or_nothing_finite_is_refused(tmp_path: Path) -> None:
    with refused("E_SOUND_EMPTY"):
        write_wav(tmp_path / "a.wav", Waveform(np.zeros((0, 1), np.int16), 8000))
    with refused("E_NOT_FINITE"):
        write_wav(tmp_path / "a.wav", Waveform(np.array([[np.nan]]), 8000))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with refused("E_FILE_UNWRITABLE"):
        write_wav(tmp_path / "file" / "a.wav", Waveform(np.zeros((1, 1), np.int16), 8000))
