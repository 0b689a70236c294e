"""Writing a sound as a WAV file."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from ssl_bench.errors import DataError
from ssl_bench.files import atomic_path
from ssl_bench.media.waveform import Waveform


def write_wav(path: Path, waveform: Waveform) -> None:
    """Write `waveform` as 16-bit PCM, whole or not at all.

    Parameters
    ----------
    path
        Target; its folder is created, an existing file is replaced.
    waveform
        int16 samples are written as they are; float samples in [-1, 1] are rounded to steps of
        1/32768 (the inverse of reading int16 as float) and clipped at the largest step.

    Raises
    ------
    DataError
        If the sound has no sample, or one that is not finite, or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "second.wav"
    >>> write_wav(target, Waveform(np.zeros((8000, 1), np.int16), 8000))
    >>> target.stat().st_size
    16044
    """
    samples = waveform.samples
    if not len(samples):
        raise DataError("the sound to write has no sample", where=path)
    if samples.dtype != np.int16:
        if not np.isfinite(samples).all():
            raise DataError("the sound to write has samples that are not finite", where=path)
        steps = np.rint(samples.astype(np.float64) * 32768.0)
        samples = np.clip(steps, -32768.0, 32767.0).astype(np.int16)
    try:
        with atomic_path(path) as temporary, wave.open(str(temporary), "wb") as stream:
            stream.setnchannels(samples.shape[1])
            stream.setsampwidth(samples.dtype.itemsize)
            stream.setframerate(waveform.rate)
            stream.writeframes(np.ascontiguousarray(samples, dtype="<i2").tobytes())
    except OSError as error:
        raise DataError(
            f"the sound cannot be written ({error.strerror})",
            where=path,
            remedy="choose a folder that can be written to",
        ) from error
