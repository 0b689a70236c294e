"""Reading and writing sounds.

The type of the samples is how they were stored, because models differ in how they round:

===========  =====================================================================================
``int16``    integers of up to 16 bits, untouched
``float64``  integers of 24 or 32 bits, divided by 2**23 or 2**31, which is exact: the 16-bit value
             that an arithmetic shift gives is ``floor(32768 * sample)``
``float32``  anything stored as floating point or compressed with loss
===========  =====================================================================================

Channels are kept and nothing is resampled: both are decisions of a model's preprocessing.
"""

from __future__ import annotations

import struct
import wave
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.files import atomic_path
from ssl_bench.media.find import require_content
from ssl_bench.media.waveform import Waveform

_PLAIN_SUFFIXES = (".wav", ".flac", ".ogg")
_CONTAINER_SUFFIXES = (".m4a", ".mp3", ".aac", ".opus", ".mp4", ".mkv", ".webm")

AUDIO_SUFFIXES = _PLAIN_SUFFIXES + _CONTAINER_SUFFIXES
"""File names that are looked for, in this order."""

MAX_SAMPLES = 2**28
"""Samples (over all channels) that are decoded at most: a small file can claim any length."""

_SUBTYPES_INT16 = {"PCM_16", "PCM_S8", "PCM_U8", "ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM"}
_SUBTYPES_WIDE = {"PCM_24", "PCM_32"}


def read_audio(path: Path) -> Waveform:
    """Read a sound file whole: ``(n, channels)`` samples, n >= 1, with a type as listed above.

    WAV, FLAC or Ogg; or a compressed file or video with a sound track (MP4, M4A, MP3, WebM and
    others), whose first sound track is decoded by FFmpeg.

    Raises
    ------
    DataError
        If the file is missing, empty, truncated, damaged, of another format, without sound, or
        has values that are not finite.

    Examples
    --------
    >>> import tempfile, soundfile
    >>> path = Path(tempfile.mkdtemp()) / "click.wav"
    >>> soundfile.write(path, np.array([0, 1000], np.int16), 16000)
    >>> sound = read_audio(path)
    >>> sound.samples.tolist(), sound.rate
    ([[0], [1000]], 16000)
    """
    require_content(path)
    if path.suffix.lower() in _CONTAINER_SUFFIXES:
        samples, rate = _decode_container(path)
    else:
        samples, rate = _read_plain(path)
    if len(samples) == 0:
        raise _refusal(path, "E_SOUND_EMPTY", "has no samples")
    if samples.dtype != np.int16 and not np.isfinite(samples).all():
        raise _refusal(path, "E_NOT_FINITE", "has values that are not finite")
    return Waveform(samples, rate)


def probe_audio(path: Path) -> float:
    """Duration in seconds of a sound file that opens and claims samples; nothing is decoded.

    Raises
    ------
    DataError
        If the file is missing, empty, or its header is unusable; a WAV file also where it is
        shorter than its header announces.
    """
    require_content(path)
    if path.suffix.lower() in _CONTAINER_SUFFIXES:
        import av

        try:
            with av.open(str(path)) as container:
                return _announced_seconds(container, _sound_track(path, container))
        except (av.error.FFmpegError, ValueError) as error:
            raise _damaged(path) from error
    import soundfile

    try:
        info = soundfile.info(str(path))
    except (soundfile.SoundFileError, TypeError) as error:
        raise _damaged(path) from error
    _require_whole_wav(path)
    if info.frames < 1:
        raise _refusal(path, "E_SOUND_EMPTY", "has no samples")
    return float(info.frames / info.samplerate)


def write_wav(path: Path, waveform: Waveform) -> None:
    """Write `waveform` as 16-bit PCM WAV, whole or not at all; its folder is created.

    int16 samples are written as they are; float samples in [-1, 1] are rounded to steps of 1/32768
    (the inverse of reading int16 as float) and clipped at the largest step.

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
        raise DataError("the sound to write has no sample", code="E_SOUND_EMPTY", where=path)
    if samples.dtype != np.int16:
        if not np.isfinite(samples).all():
            message = "the sound to write has samples that are not finite"
            raise DataError(message, code="E_NOT_FINITE", where=path)
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
            code="E_FILE_UNWRITABLE",
            where=path,
            remedy="choose a folder that can be written to",
        ) from error


def _refusal(path: Path, code: str, problem: str) -> DataError:
    remedy = "extract or download this sound again"
    return DataError(f"this sound file {problem}", code=code, where=path, remedy=remedy)


def _damaged(path: Path) -> DataError:
    return _refusal(path, "E_SOUND_DAMAGED", "is damaged or in no known format")


def _truncated(path: Path) -> DataError:
    return _refusal(path, "E_SOUND_TRUNCATED", "is truncated")


def _require_bounded(path: Path, samples: int) -> None:
    if samples > MAX_SAMPLES:
        raise DataError(
            f"this sound file claims {samples} samples, more than the {MAX_SAMPLES} allowed",
            code="E_SOUND_TOO_LONG",
            where=path,
            remedy="cut it to the clip",
        )


def _read_plain(path: Path) -> tuple[NDArray[Any], int]:
    import soundfile

    try:
        with soundfile.SoundFile(str(path)) as file:
            _require_bounded(path, file.frames * file.channels)
            if file.subtype in _SUBTYPES_INT16:
                dtype = "int16"
            else:
                dtype = "float64" if file.subtype in _SUBTYPES_WIDE else "float32"
            samples = file.read(dtype=dtype, always_2d=True)
            frames, rate = file.frames, file.samplerate
    except (soundfile.SoundFileError, TypeError) as error:
        raise _damaged(path) from error
    _require_whole_wav(path)
    if len(samples) < frames:
        raise _truncated(path)
    return samples, int(rate)


def _require_whole_wav(path: Path) -> None:
    """Raise DataError where a WAV file ends before its data do, which the library ignores."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return
        while len(chunk := stream.read(8)) == 8:
            name, length = struct.unpack("<4sI", chunk)
            if name == b"data":
                # programs that write to a pipe leave the length at its largest value
                if length != 0xFFFFFFFF and stream.tell() + length > size:
                    raise _truncated(path)
                return
            stream.seek(length + length % 2, 1)
    raise _truncated(path)


def _decode_container(path: Path) -> tuple[NDArray[np.float32], int]:
    import av

    pieces: list[NDArray[np.float32]] = []
    total = 0
    try:
        with av.open(str(path)) as container:
            track = _sound_track(path, container)
            rate = int(track.rate)
            announced = _announced_seconds(container, track)
            converter = av.AudioResampler(format="fltp", layout=track.layout, rate=rate)
            for frame in container.decode(track):
                for piece in converter.resample(frame):
                    pieces.append(piece.to_ndarray().astype(np.float32, copy=False))
                    total += pieces[-1].size
                    _require_bounded(path, total)
    except (av.error.FFmpegError, ValueError) as error:
        raise _damaged(path) from error
    if not pieces:
        return np.zeros((0, 1), np.float32), rate
    samples = np.ascontiguousarray(np.concatenate(pieces, axis=1).T)
    # encoders pad and trim at both ends, by less than a fifth of a second
    if len(samples) / rate < announced - 0.2:
        raise _truncated(path)
    return samples, rate


def _sound_track(path: Path, container: Any) -> Any:
    if not container.streams.audio:
        raise _refusal(path, "E_SOUND_TRACK", "has no sound track")
    return container.streams.audio[0]


def _announced_seconds(container: Any, track: Any) -> float:
    """Duration that a header gives for the sound; 0 where it gives none."""
    if track.duration:
        return float(track.duration * track.time_base)
    # Matroska and WebM give one for the whole file, which may be that of the pictures.
    if container.duration and not container.streams.video:
        return float(container.duration) / 1_000_000
    return 0.0
