"""A video with what models make of it over time, and its sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ssl_bench.analysis.localizing import locate
from ssl_bench.errors import DataError
from ssl_bench.figures.localized import Model, loaded
from ssl_bench.media.video import Video, open_video, write_video
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import AnnotationLocalizer, Localizer
from ssl_bench.panels import MAP_COLOURS

_RATE, _CHANNELS = 44_100, 2
_HEIGHT = 360
_MAP_SHARE = 0.65


@dataclass(frozen=True)
class VideoOptions:
    """How a video is localized.

    Attributes
    ----------
    maps
        How often in a second a map is made.
    window
        Seconds of sound around each map.
    rate
        Samples of sound in a second that models are given.
    progress
        Called with the seconds that are done and that there are.
    """

    maps: float = 4.0
    window: float = 3.0
    rate: int = 16_000
    progress: Callable[[int, int], object] = lambda _done, _all: None


def localize_video(
    video: Path,
    target: Path,
    models: Sequence[Model],
    options: VideoOptions | None = None,
) -> int:
    """Write a video with the map of each model over its pictures, side by side, and its sound.

    Each map is made of a picture and the sound around it, brought to one channel. Returns the
    number of pictures.

    Raises
    ------
    SslBenchError
        If the video, or what a model needs, cannot be used, or `target` is no .mp4.
    """
    if target.suffix.lower() != ".mp4":
        raise DataError(
            f"a video cannot be written as {target.suffix or 'a file without an ending'}",
            code="E_PICTURE_FORMAT",
            where=target,
            remedy="name a file that ends in .mp4",
        )
    localizers = [loaded(each) for each in models]
    asked = options or VideoOptions()
    # Pictures are read in turn, and frames around some of them by a second look at the file.
    with open_video(video) as opened, open_video(video) as around:
        heard, own = opened.sound(asked.rate), opened.sound(_RATE, _CHANNELS)
        return write_video(target, _overlaid(opened, around, heard, localizers, asked), own)


def _overlaid(
    video: Video,
    around: Video,
    heard: Waveform,
    localizers: Sequence[Localizer | AnnotationLocalizer],
    options: VideoOptions,
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    maps: list[Image.Image] = []
    due = 0.0
    for second, pixels in video.pictures():
        if not maps or second >= due:
            window = _around(heard, second, options.window)
            found = []
            for each in localizers:
                asked = None if isinstance(each, AnnotationLocalizer) else each.video_input
                shown = pixels if asked is None else around.frames(second, asked, pixels)
                found.append(locate(each, [shown], [window])[0])
            maps = [_coloured(each.heat) for each in found]
            due = (int(second * options.maps) + 1) / options.maps
        options.progress(int(second), max(1, round(video.seconds)))
        named = zip(localizers, maps, strict=True)
        panels = [_panel(pixels, colours, localizer.name) for localizer, colours in named]
        yield second, np.concatenate(panels, axis=1)


def _around(sound: Waveform, second: float, seconds: float) -> Waveform:
    """The part of a sound around a moment, moved inside at both ends."""
    length = round(seconds * sound.rate)
    first = round((second - seconds / 2) * sound.rate)
    first = max(0, min(first, len(sound.samples) - length))
    return Waveform(sound.samples[first : first + length], sound.rate)


def _coloured(heat: NDArray[np.float32]) -> Image.Image:
    from matplotlib import colormaps

    colours = colormaps[MAP_COLOURS](np.clip(heat, 0, 1), bytes=True)
    return Image.fromarray(colours[..., :3])


def _panel(pixels: NDArray[np.uint8], colours: Image.Image, name: str) -> NDArray[np.uint8]:
    """A picture, greyed, under its map, with a name; of even sides."""
    height = min(_HEIGHT, len(pixels)) // 2 * 2
    width = max(2, round(height * pixels.shape[1] / len(pixels) / 2) * 2)
    grey = Image.fromarray(pixels).convert("L").resize((width, height)).convert("RGB")
    stretched = colours.resize((width, height), Image.Resampling.BILINEAR)
    picture = Image.blend(grey, stretched, _MAP_SHARE)
    ImageDraw.Draw(picture).text((6, 4), name, "white", stroke_width=1, stroke_fill="black")
    return np.asarray(picture)
