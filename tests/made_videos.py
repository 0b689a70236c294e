"""Small videos whose pictures say their number, made with PyAV."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from ssl_bench.models.contract import Localizer

_BITS = 8
_SIDE = 16
_WIDTH, _HEIGHT = _BITS * _SIDE, 80
_STEPS = 90_000


@dataclass(frozen=True)
class Made:
    """How a video is made; by default 3 s of 25 pictures in a second with mono sound."""

    count: int = 75
    rate: Fraction = Fraction(25)
    # Times of the pictures in seconds, where they are not evenly spaced.
    times: Sequence[float] | None = None
    b_frames: int = 0
    # Whether pictures before a key picture, as they are shown, may refer to it.
    open_groups: bool = False
    # Channels of the sound, as FFmpeg names them; empty for none.
    layout: str = "mono"
    sound_rate: int = 44_100
    sound_start: float = 0.0
    pictures: bool = True
    # Degrees by which a player turns the picture clockwise.
    turn: int = 0
    codec: str = "libx264"
    # Whether it is written as it is broadcast, so that its headers do not say how long it lasts.
    live: bool = False


def picture_of(number: int) -> NDArray[np.uint8]:
    """Its number in black and white columns, above a field that is red on the left."""
    bits = [255 * (number >> bit & 1) for bit in range(_BITS)]
    pixels = np.zeros((_HEIGHT, _WIDTH, 3), np.uint8)
    pixels[: _HEIGHT // 2] = np.repeat(bits, _SIDE)[None, :, None]
    pixels[_HEIGHT // 2 :, : _WIDTH // 2, 0] = 230
    return pixels


def number_of(pixels: NDArray[np.uint8]) -> int:
    """The number that a picture shows; it must be upright."""
    assert pixels.shape == (_HEIGHT, _WIDTH, 3)
    row = pixels[_HEIGHT // 4, _SIDE // 2 :: _SIDE].mean(axis=1)
    assert pixels[-4, 4, 0] > 150 > pixels[-4, -4, 0]
    return int(sum(1 << bit for bit, level in enumerate(row) if level > 127))


def make_video(path: Path, made: Made = Made()) -> Path:
    """Write a video; its sound is a tone, of another pitch in each channel."""
    # AVI files count in pictures.
    avi = path.suffix == ".avi"
    step = 1 / Fraction(made.rate) if avi else Fraction(1, _STEPS)
    with av.open(str(path), "w", options={"live": "1"} if made.live else {}) as container:
        picture = sound = None
        if made.pictures:
            options = {"bf": str(made.b_frames), "preset": "ultrafast", "threads": "1"}
            if made.codec != "libx264":
                options = {"bf": str(made.b_frames), "qmin": "2", "qmax": "3"}
            if made.open_groups:
                options["x264-params"] = "open-gop=1"
            picture = container.add_stream(made.codec, rate=made.rate, options=options)
            form = "yuvj420p" if made.codec == "mjpeg" else "yuv420p"
            picture.width, picture.height, picture.pix_fmt = _WIDTH, _HEIGHT, form
            picture.gop_size = 25
            picture.codec_context.time_base = step
        if made.layout:
            heard = "pcm_s16le" if avi else "aac"
            sound = container.add_stream(heard, rate=made.sound_rate, layout=made.layout)
        if picture is not None:
            for number in range(made.count):
                frame = av.VideoFrame.from_ndarray(picture_of(number), format="rgb24")
                at = number / made.rate if made.times is None else made.times[number]
                frame.pts, frame.time_base = round(at / step), step
                container.mux(picture.encode(frame))
            container.mux(picture.encode(None))
        if sound is not None:
            length = made.count / made.rate if made.times is None else max(made.times)
            channels = sound.codec_context.layout.nb_channels
            steps = np.arange(int(float(length) * made.sound_rate))[None] / made.sound_rate
            pitches = 200.0 * (1 + np.arange(channels))[:, None]
            wave = (0.3 * np.sin(2 * np.pi * pitches * steps)).astype(np.float32)
            for start in range(0, wave.shape[1], 1024):
                piece = np.ascontiguousarray(wave[:, start : start + 1024])
                frame = av.AudioFrame.from_ndarray(piece, "fltp", made.layout)
                frame.sample_rate, frame.time_base = made.sound_rate, Fraction(1, made.sound_rate)
                frame.pts = start + round(made.sound_start * made.sound_rate)
                container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
    if made.turn:
        _turn(path, made.turn)
    return path


def as_asked(
    localizer: Localizer, pictures: Sequence[NDArray[np.uint8]]
) -> list[NDArray[np.uint8]]:
    """Pictures, or clips in which they stand still where the model asks for video."""
    video = localizer.video_input
    if video is None:
        return list(pictures)
    return [np.stack([picture] * video.frames) for picture in pictures]


def _turn(path: Path, degrees: int) -> None:
    """Put a display matrix into the header of the first track, which the encoder leaves upright."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 40
    one = 1 << 16
    matrix = {90: (0, one, -one, 0), 180: (-one, 0, 0, -one), 270: (0, -one, one, 0)}[degrees]
    a, b, c, d = matrix
    struct.pack_into(">5i", content, place, a, b, 0, c, d)
    path.write_bytes(content)
