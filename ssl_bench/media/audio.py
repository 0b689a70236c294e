"""Reading and writing sounds.

The type of the samples is how they were stored, because models differ in how they round:

===========  =====================================================================================
``int16``    what decodes to integers of up to 16 bits, untouched
``float64``  integers of 24 or 32 bits, divided by 2**23 or 2**31, which is exact: the 16-bit value
             that an arithmetic shift gives is ``floor(32768 * sample)``
``float32``  what decodes to floating point, such as most of what is compressed with loss
===========  =====================================================================================

Channels are kept and nothing is resampled here: both are decisions of a model's preprocessing.
"""

from __future__ import annotations

import io
import os
import struct
import sys
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError, Problem
from ssl_bench.files import atomic_path
from ssl_bench.media.containers import Contents, contents_of, other_format
from ssl_bench.media.find import require_content
from ssl_bench.media.waveform import Waveform

_PLAIN_SUFFIXES = (".wav", ".flac", ".ogg")
_CONTAINER_SUFFIXES = (".m4a", ".mp3", ".aac", ".opus", ".mp4", ".mkv", ".webm")

AUDIO_SUFFIXES = _PLAIN_SUFFIXES + _CONTAINER_SUFFIXES
"""File names that are looked for, in this order."""

MAX_SAMPLES = 3600 * 44100
"""Samples (over all channels) that are decoded at most: a small file can claim any length."""

SHORT = 0.1
"""Seconds below which a sound is remarked on."""

_SUBTYPES_INT16 = {"PCM_16", "PCM_S8", "PCM_U8", "ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM"}
_SUBTYPES_WIDE = {"PCM_24", "PCM_32"}
# Left to FFmpeg: libsndfile estimates the length of MP3 in WAV, and changes the rate of Opus.
_SUBTYPES_OF_FFMPEG = {"MPEG_LAYER_III", "OPUS"}
_PLAIN = ("wav", "w64", "aiff", "au", "flac", "ogg")
# Endings of the names of each kind of content.
_NAMES = {
    "wav": (".wav",),
    "flac": (".flac",),
    "ogg": (".ogg", ".opus"),
    "matroska": (".mkv", ".webm"),
    "mp4": (".mp4", ".m4a"),
    "other": (".mp3", ".aac"),
}
# Demuxers that may open a file: no playlist, whose entries would be opened as well.
_DEMUXERS = "mov,matroska,mp3,aac,ogg,flac,wav,w64,aiff,au,avi"
# Formats of decoded samples that are integers; what is not here becomes single precision.
_FORMATS = {"u8": "s16", "s16": "s16", "s32": "s32"}
_TYPES: dict[str, np.dtype[Any]] = {
    "s16": np.dtype(np.int16),
    "s32": np.dtype(np.int32),
    "flt": np.dtype(np.float32),
}
# Decoded frames, which are short, are put into an array together, about as many samples at a time.
_TOGETHER = 65536
# Fewer frames than libsndfile gives for FLAC of unknown length, which it cannot read.
_LENGTH_UNKNOWN = 2**62
# Encoders pad and trim at both ends, by less than this, in seconds.
_PADDING = 0.2
# Samples of MP3 files that are no sound of their own, at most, where the encoder does not say.
_PADDED = 3 * 1152
_DECODER_DELAY = 529
# Flags of the first frame of an MP3 file, and the lengths of the fields that they announce.
_INFO = ((2, 4), (4, 100), (8, 4))
# Seconds that damage inside may cost: a few frames.
_MOST_LOST = 0.25
# Peak of floating-point sound that is remarked on.
_LOUD = 8.0
# Bytes behind a sound that are remarked on; tags of other programs are shorter.
_SPARE = 1024
_NO_LENGTH = Problem(
    "it does not say its length, or a wrong one, and was read to its end", "N_SOUND_LENGTH"
)


def read_audio(path: Path) -> Waveform:
    """Read a sound file whole: ``(n, channels)`` samples, n >= 1, with a type as listed above.

    WAV, FLAC, Ogg and others of libsndfile; or a compressed file or video with a sound track (MP4,
    M4A, MP3, WebM and others), whose first sound track is decoded by FFmpeg. The content decides
    which, not the name.

    Raises
    ------
    DataError
        If the file is missing, empty, truncated, damaged, too long, of another format, without
        sound, or has values that are not finite.

    Examples
    --------
    >>> import tempfile, soundfile
    >>> path = Path(tempfile.mkdtemp()) / "click.wav"
    >>> soundfile.write(path, np.array([0, 1000], np.int16), 16000)
    >>> sound = read_audio(path)
    >>> sound.samples.tolist(), sound.rate
    ([[0], [1000]], 16000)
    """
    return examine_audio(path)[0]


def examine_audio(path: Path) -> tuple[Waveform, tuple[Problem, ...]]:
    """Read a sound file as :func:`read_audio` does, and remark on what is unusual about it.

    The codes of the remarks begin with ``N_SOUND_``: a silent or very short sound, one that is far
    louder than [-1, 1], a header with no length or a wrong one, bytes behind the sound, damage that
    costs a few frames, a name that says another format.

    Examples
    --------
    >>> import tempfile, soundfile
    >>> path = Path(tempfile.mkdtemp()) / "muted.wav"
    >>> soundfile.write(path, np.zeros(16000, np.int16), 16000)
    >>> examine_audio(path)[1]
    ('every sample of it is 0',)
    """
    require_content(path)
    contents = _whole(path)
    decode = _read_plain if contents.kind in _PLAIN else _decode_container
    samples, rate, notes = decode(path, contents)
    if len(samples) == 0:
        raise _refusal(path, "E_SOUND_EMPTY", "has no samples")
    if samples.dtype != np.int16:
        peak = float(np.abs([samples.min(), samples.max()]).max())
        if not np.isfinite(peak):
            raise _refusal(path, "E_NOT_FINITE", "has values that are not finite")
        if peak > _LOUD:
            text = f"its samples reach {peak:,.0f}, where 1 is full scale"
            notes.append(Problem(text, "N_SOUND_SCALE"))
    sound = Waveform(samples, rate)
    if sound.seconds < SHORT:
        notes.append(Problem(f"it lasts {sound.seconds:.3g} s", "N_SOUND_SHORT"))
    if not samples[:4096].any() and not samples.any():  # few samples tell of most sounds
        notes.append(Problem("every sample of it is 0", "N_SOUND_SILENT"))
    if contents.odd_length:
        notes.append(_NO_LENGTH)
    if contents.spare > _SPARE:
        text = f"{contents.spare:,} bytes lie behind the sound that its header tells of, unread"
        notes.append(Problem(text, "N_SOUND_REST"))
    suffix = path.suffix.lower()
    if suffix in AUDIO_SUFFIXES and suffix not in _NAMES.get(contents.kind, ()):
        kind = "of another kind" if contents.kind == "other" else contents.kind.upper()
        notes.append(Problem(f"its content is {kind}, despite its name", "N_SOUND_FORMAT"))
    return sound, tuple(notes)


def probe_audio(path: Path) -> float:
    """Duration in seconds that a sound file claims that opens and is whole by its headers.

    Nothing is decoded, so damage inside is not seen; 0 where the headers do not say.

    Raises
    ------
    DataError
        If the file is missing, empty, shorter than its headers say, or they are unusable.
    """
    require_content(path)
    contents = _whole(path)
    if contents.kind in _PLAIN:
        with _opened(path, contents) as file:
            if file is not None:
                if file.frames < 1:
                    raise _refusal(path, "E_SOUND_EMPTY", "has no samples")
                return file.frames / file.samplerate if file.frames < _LENGTH_UNKNOWN else 0.0
    with _container(path) as container:
        return _announced_seconds(path, container, _sound_track(path, container))


def write_wav(path: Path, waveform: Waveform, comment: str = "") -> None:
    """Write `waveform` as 16-bit PCM WAV, whole or not at all; its folder is created.

    int16 samples are written as they are; float samples in [-1, 1] are rounded to steps of 1/32768
    (the inverse of reading int16 as float) and clipped at the largest step. A comment stands behind
    the samples.

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
        with atomic_path(path) as temporary:
            with wave.open(str(temporary), "wb") as stream:
                stream.setnchannels(samples.shape[1])
                stream.setsampwidth(samples.dtype.itemsize)
                stream.setframerate(waveform.rate)
                stream.writeframes(np.ascontiguousarray(samples, dtype="<i2").tobytes())
            if comment:
                _add_comment(temporary, comment)
    except OSError as error:
        raise DataError(
            f"the sound cannot be written ({error.strerror})",
            code="E_FILE_UNWRITABLE",
            where=path,
            remedy="choose a folder that can be written to",
        ) from error


def _add_comment(path: Path, comment: str) -> None:
    """Put a comment behind the last chunk of a WAV file, as RIFF has it: a list of facts."""
    text = comment.encode() + b"\0"
    fact = b"INFOICMT" + struct.pack("<I", len(text)) + text + b"\0" * (len(text) % 2)
    with path.open("r+b") as stream:
        stream.seek(0, os.SEEK_END)
        stream.write(b"LIST" + struct.pack("<I", len(fact)) + fact)
        size = stream.tell() - 8
        stream.seek(4)
        stream.write(struct.pack("<I", size))


def _refusal(path: Path, code: str, problem: str) -> DataError:
    remedy = "extract or download this sound again"
    return DataError(f"this sound file {problem}", code=code, where=path, remedy=remedy)


def _damaged(path: Path) -> DataError:
    found = other_format(path)
    if found is not None:
        return DataError(
            f"this sound file is in the format {found}, which is not read",
            code="E_SOUND_FORMAT",
            where=path,
            remedy="convert it to WAV or FLAC; Ogg, Opus, MP3, AAC, M4A, MP4, MKV, WebM, AVI, "
            "AIFF, AU and W64 are read too",
        )
    return _refusal(path, "E_SOUND_DAMAGED", "is damaged or in no known format")


def _truncated(path: Path) -> DataError:
    return _refusal(path, "E_SOUND_TRUNCATED", "is truncated")


def _require_bounded(path: Path, samples: int) -> None:
    if samples > MAX_SAMPLES:
        raise DataError(
            f"this sound file has {samples:,} samples or more, over the {MAX_SAMPLES:,} allowed "
            "(an hour of one channel)",
            code="E_SOUND_TOO_LONG",
            where=path,
            remedy="cut it to the clip",
        )


def _whole(path: Path) -> Contents:
    """What lies there; DataError where parts of it are missing."""
    contents = contents_of(path)
    if contents.damage == "truncated":
        raise _truncated(path)
    if contents.damage == "gap":
        raise _refusal(path, "E_SOUND_DAMAGED", "lacks parts")
    if contents.damage == "several":
        raise _refusal(path, "E_SOUND_DAMAGED", "holds several sounds, one behind the other")
    return contents


@contextmanager
def _opened(path: Path, contents: Contents) -> Iterator[Any]:
    """The file, open; None where libsndfile does not know its codec."""
    import soundfile

    source: Any = os.fsencode(path)  # as a name need not be text
    if contents.mended is not None:
        source = io.BytesIO(contents.mended)
    elif sys.platform == "win32":
        source = str(path)
    try:
        file = soundfile.SoundFile(source)
    except (soundfile.SoundFileError, TypeError):
        yield None
        return
    try:
        with file:
            yield file
    except (soundfile.SoundFileError, TypeError) as error:
        raise _damaged(path) from error


def _read_plain(path: Path, contents: Contents) -> tuple[NDArray[Any], int, list[Problem]]:
    with _opened(path, contents) as file:
        known = file is not None and file.frames < _LENGTH_UNKNOWN
        if known and file.subtype not in _SUBTYPES_OF_FFMPEG:
            _require_bounded(path, file.frames * file.channels)
            if file.subtype in _SUBTYPES_INT16:
                dtype = "int16"
            else:
                dtype = "float64" if file.subtype in _SUBTYPES_WIDE else "float32"
            samples = file.read(file.frames, dtype=dtype, always_2d=True)
            if len(samples) < file.frames:
                raise _truncated(path)
            return samples, int(file.samplerate), []
    samples, rate, notes = _decode_container(path, contents)
    unknown = file is not None and file.frames >= _LENGTH_UNKNOWN
    return samples, rate, [*notes, _NO_LENGTH] if unknown else notes


@contextmanager
def _container(path: Path) -> Iterator[Any]:
    import av

    # A name with a colon is no address of FFmpeg's.
    name, options = f"file:{os.fspath(path)}", {"format_whitelist": _DEMUXERS}
    try:
        with av.open(name, options=options, metadata_errors="ignore") as container:
            yield container
    except (av.error.FFmpegError, ValueError) as error:
        raise _damaged(path) from error


class _Samples:
    """Decoded frames as one array, in the rate, the channels and the type of the first."""

    def __init__(self, path: Path) -> None:
        self._path, self._bytes = path, bytearray()
        self._wanted: tuple[str, str, int] = ("flt", "mono", 0)
        self._given: tuple[str, str, int] | None = None
        self._converter: Any = None
        self._waiting: Any = None
        self.channels, self.joined = 1, False

    @property
    def rate(self) -> int:
        """Samples per second; 0 before the first frame."""
        return self._wanted[2]

    def add(self, frame: Any) -> None:
        import av

        given = frame.format.name, frame.layout.name, frame.sample_rate
        if given != self._given:
            if self._given is None:
                kind = _FORMATS.get(given[0].removesuffix("p"), "flt")
                self._wanted = kind, *given[1:]
                self.channels = frame.layout.nb_channels
            else:
                self._take(None)
                self.joined |= given[1:] != self._given[1:]
            kind, layout, rate = self._wanted
            self._converter = av.AudioResampler(format=f"{kind}p", layout=layout, rate=rate)
            self._waiting, self._given = av.AudioFifo(), given
        frame.pts = None
        self._take(frame)

    def _take(self, frame: Any) -> None:
        for piece in self._converter.resample(frame):
            piece.pts = None
            self._waiting.write(piece)
        if frame is None or self._waiting.samples >= _TOGETHER:
            pieces = self._waiting.read_many(_TOGETHER, partial=True)
            for planes in (piece.to_ndarray() for piece in pieces):
                samples = np.empty(planes.shape[::-1], planes.dtype)
                for channel, plane in enumerate(planes):
                    samples[:, channel] = plane
                self._bytes += samples.data
            _require_bounded(self._path, len(self._bytes) // _TYPES[self._wanted[0]].itemsize)

    def array(self) -> NDArray[Any]:
        """All samples, ``(n, channels)``."""
        if self._converter is not None:
            self._take(None)
        kind = self._wanted[0]
        samples: NDArray[Any] = np.frombuffer(self._bytes, _TYPES[kind])
        samples = samples.reshape(-1, self.channels)
        return samples / 2.0**31 if kind == "s32" else samples


def _decode_container(path: Path, contents: Contents) -> tuple[NDArray[Any], int, list[Problem]]:
    """Decode the first sound track; damage that costs a few frames is skipped, as FFmpeg does."""
    import av

    samples, notes = _Samples(path), []
    # How much failed, and whether the last that did looks like the beginning of a frame.
    lost, failed, cut_off = 0.0, False, False
    with _container(path) as container:
        track = _sound_track(path, container)
        announced = _announced_seconds(path, container, track)
        packets = container.demux(track)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except av.error.FFmpegError:
                failed = True
                break
            try:
                for frame in packet.decode():
                    samples.add(frame)
                    cut_off = False
            except av.error.EOFError:
                continue
            except av.error.FFmpegError:
                failed, cut_off = True, bytes(packet)[:1] == b"\xff"
                lost += float((packet.duration or 0) * track.time_base)
        decoded = samples.array()
    if not samples.rate:
        return np.zeros((0, 1), np.float32), 1, []
    seconds = len(decoded) / samples.rate
    if seconds < announced - _PADDING - lost or (cut_off and not announced):
        raise _truncated(path)
    if lost > _MOST_LOST:
        raise _damaged(path)
    if contents.kind == "other" and (not announced or seconds < announced - lost):
        notes.append(_NO_LENGTH)
    if failed:
        text = f"{lost:.2f} s of it cannot be decoded and were skipped, as FFmpeg does"
        notes.append(Problem(text, "N_SOUND_DAMAGE"))
    if samples.joined:
        text = "its rate or its channels change inside; all of it was brought to the first"
        notes.append(Problem(text, "N_SOUND_DAMAGE"))
    return decoded, samples.rate, notes


def _sound_track(path: Path, container: Any) -> Any:
    if not container.streams.audio:
        raise _refusal(path, "E_SOUND_TRACK", "has no sound track")
    track = container.streams.audio[0]
    if track.codec_context is None:
        raise DataError(
            "FFmpeg has no decoder for the sound track of this file",
            code="E_SOUND_CODEC",
            where=path,
            remedy="convert it to WAV or FLAC",
        )
    return track


def _announced_seconds(path: Path, container: Any, track: Any) -> float:
    """Duration that a header gives for the sound; 0 where it gives none."""
    if container.format.name in ("aac", "mp3"):  # whose own duration is guessed from the bit rate
        return _counted_samples(path) / track.rate if container.format.name == "mp3" else 0.0
    if track.duration:
        return float(track.duration * track.time_base)
    # Matroska and WebM give one for the whole file, which may be that of the pictures.
    if container.duration and not container.streams.video:
        return float(container.duration) / 1_000_000
    return 0.0


def _counted_samples(path: Path) -> int:
    """Samples that the first frame of an MP3 file counts, less what encoders pad; 0 for none."""
    with path.open("rb") as stream:
        head = stream.read(10)
        if head[:3] == b"ID3":
            bits = zip(head[6:], (21, 14, 7, 0), strict=False)
            stream.seek(10 + sum((byte & 127) << shift for byte, shift in bits))
        else:
            stream.seek(0)
        first = stream.read(400)
    place = max(first.find(b"Xing"), first.find(b"Info"))
    if place < 0 or len(first) < place + 12 or not first[place + 7] & 1:
        return 0
    frames = int.from_bytes(first[place + 8 : place + 12], "big")
    # The encoder's own tag stands behind the other fields that the flags name.
    tag = first[place + 12 + sum(size for bit, size in _INFO if first[place + 7] & bit) :][:24]
    padded = _PADDED
    if tag[:4] in (b"LAME", b"Lavf", b"Lavc") and len(tag) == 24:
        both = int.from_bytes(tag[21:], "big")
        padded = (both >> 12) + max(both & 4095, _DECODER_DELAY)
    return max(0, frames * (1152 if first[1] & 8 else 576) - padded)
