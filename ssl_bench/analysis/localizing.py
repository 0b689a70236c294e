"""Maps of pictures and sounds that belong to no test set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl_bench.engine.pairs import (
    Pair,
    asked_of,
    checked_maps,
    maps_from,
    maps_of_pairs,
    name_of,
)
from ssl_bench.errors import ModelError, blamed
from ssl_bench.measures.interpolation import normalise, upsample
from ssl_bench.measures.localization import binarize
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import AnnotationLocalizer, Localizer
from ssl_bench.protocols.conventions import MapTable, ThresholdTable

# As the canonical protocols have them: 224 x 224 pixels, min-maxed, half of them predicted.
_MAP, _THRESHOLD = MapTable(), ThresholdTable()


@dataclass(frozen=True, eq=False)
class Located:
    """Where a model says that a sound comes from.

    Attributes
    ----------
    model
        Its name.
    raw
        The map as the model gave it, ``(h, w)`` float32.
    heat
        The map on the grid of the canonical protocols, ``(224, 224)`` float32 in [0, 1].
    predicted
        The pixels that their threshold rule takes, ``(224, 224)`` bool: the upper half.
    peak
        Where the map is highest, as shares of width and height from the upper left corner.
    blind
        The model's own audio-blind map, like `heat`; None where it has none.
    blind_note
        Why it has none; empty where it has one.
    """

    model: str
    raw: NDArray[np.float32]
    heat: NDArray[np.float32]
    predicted: NDArray[np.bool_]
    peak: tuple[float, float]
    blind: NDArray[np.float32] | None = None
    blind_note: str = ""


def locate(
    localizer: Localizer | AnnotationLocalizer,
    images: Sequence[NDArray[np.uint8]],
    sounds: Sequence[Waveform],
) -> list[Located]:
    """Localize the sound of each pair of an image ``(h, w, 3)`` uint8 RGB and a sound.

    A model with a `video_input` takes the frames ``(n, h, w, 3)`` around each image.

    Raises
    ------
    ModelError
        If the model breaks its contract, would need the truth, or needs video in place of pictures.
    DataError
        If it does not take a sound.

    Examples
    --------
    >>> from ssl_bench.models.registry import load_localizer
    >>> silence = Waveform(np.zeros((99, 1), np.int16), 16000)
    >>> [found] = locate(load_localizer("center"), [np.zeros((60, 80, 3), np.uint8)], [silence])
    >>> found.heat.shape, [round(share, 2) for share in found.peak]
    ((224, 224), [0.5, 0.5])
    """
    count = len(images)
    blind: NDArray[np.float32] | None = None
    if isinstance(localizer, AnnotationLocalizer):
        if localizer.needs_truth:
            raise ModelError(
                f"{localizer.name} draws the truth, and a picture alone has none",
                code="E_MODEL_TRUTH",
                remedy="name a model that looks and listens, such as ezvsl",
            )
        nothing = np.zeros((0, 0), np.float32)
        found = [asked_of(localizer.map_for, str(row), nothing) for row in range(count)]
        called = name_of(localizer.map_for)
        maps = [checked_maps(each[None], 1, called)[0] for each in found]
        note = f"{localizer.name} does not listen itself"
    else:
        _require_frames(localizer, images)
        with blamed(f"{localizer.name}"):
            seen = localizer.encode_image(images)
            heard = {} if localizer.audio_blind else localizer.encode_audio(sounds)
        pairs = [Pair(row, None if localizer.audio_blind else row) for row in range(count)]
        maps = list(maps_of_pairs(localizer, seen, heard, pairs, count))
        note = f"{localizer.name} does not listen itself" if localizer.audio_blind else ""
        if not note and localizer.supports("vision_only"):
            blind = maps_from(localizer.vision_only, count, seen)
        elif not note:
            note = localizer.missing_reason("vision_only")
    return [
        _located(localizer.name, each, None if blind is None else blind[row], note)
        for row, each in enumerate(maps)
    ]


def _require_frames(localizer: Localizer, images: Sequence[NDArray[np.uint8]]) -> None:
    video = localizer.video_input
    if video is not None and any(image.ndim != 4 for image in images):
        raise ModelError(
            f"{localizer.name} needs {video.described()}, and a picture stands still",
            code="E_MODEL_VIDEO",
            remedy="localize a video: ssl-bench localize VIDEO.mp4",
        )


def _located(
    name: str, raw: NDArray[np.float32], blind: NDArray[np.float32] | None, note: str
) -> Located:
    heat = _on_grid(raw)
    row, column = divmod(int(heat.argmax()), len(heat))
    peak = (column + 0.5) / len(heat), (row + 0.5) / len(heat)
    predicted = binarize(heat, np.zeros_like(heat), _THRESHOLD)
    own = None if blind is None else _on_grid(blind)
    return Located(name, raw, heat, predicted, peak, own, note)


def _on_grid(raw: NDArray[np.float32]) -> NDArray[np.float32]:
    return normalise(upsample(raw, _MAP.size, _MAP.interpolation), _MAP.normalisation)
