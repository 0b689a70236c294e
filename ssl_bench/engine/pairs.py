"""From encoded images and sounds to the maps or similarities of trials.

All functions raise ModelError where the localizer breaks its contract.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import ModelError, blamed
from ssl_bench.models.contract import Features, Localizer

# Sounds in one call of a model's similarity.
_BLOCK = 1024


class Pair(NamedTuple):
    """Rows of an image and of a sound among the features; no sound for an audio-blind model."""

    image: int
    sound: int | None


def maps_of_pairs(
    localizer: Localizer, images: Features, sounds: Features, pairs: Sequence[Pair], batch_size: int
) -> NDArray[np.float32]:
    """The map ``(n, h, w)`` float32 of each of n pairs, `batch_size` of them in one call."""
    parts = [
        maps_from(localizer.localize, len(chosen), shown, played)
        for chosen, shown, played in _batches(images, sounds, pairs, batch_size)
    ]
    sizes = sorted({part.shape[1:] for part in parts})
    if len(sizes) > 1:
        raise ModelError(
            f"{name_of(localizer.localize)} returned maps of {sizes[0]} and of {sizes[1]} values "
            "for one batch of images",
            code="E_MODEL_MAPS",
            remedy="return maps of one size",
        )
    return np.concatenate(parts)


def class_maps_of_pairs(
    localizer: Localizer,
    images: Features,
    sounds: Features,
    pairs: Sequence[Pair],
    asked: Sequence[str],
    categories: Sequence[str],
    batch_size: int,
) -> NDArray[np.float32]:
    """The map ``(n, h, w)`` float32 of the category that each trial asks for.

    The maps of a pair are made once, for all `categories` of the protocol.
    """
    found: dict[Pair, NDArray[np.float32]] = {}
    distinct = list(dict.fromkeys(pairs))
    for chosen, shown, played in _batches(images, sounds, distinct, batch_size):
        maps = asked_of(localizer.class_maps, shown, played, categories)
        wanted = (len(chosen), len(categories))
        if maps.ndim != 4 or maps.shape[:2] != wanted or maps.dtype.kind != "f" or 0 in maps.shape:
            raise ModelError(
                f"{name_of(localizer.class_maps)} returned maps of shape {maps.shape} and type "
                f"{maps.dtype} for {wanted[0]} trials and {wanted[1]} categories",
                code="E_MODEL_MAPS",
                remedy="return one float map (h, w) for each, as an array "
                "(trials, categories, h, w)",
            )
        found.update(zip(chosen, maps.astype(np.float32, copy=False), strict=True))
    place = {name: number for number, name in enumerate(categories)}
    return np.stack(
        [found[pair][place[category]] for pair, category in zip(pairs, asked, strict=True)]
    )


def similarity_rows(
    localizer: Localizer,
    images: Features,
    sounds: Features,
    columns: NDArray[np.intp],
) -> NDArray[np.float32]:
    """Similarities ``(b, n)`` float32 of b images with the sound in the row that each column names.

    Each distinct sound is compared once.
    """
    used, place = np.unique(columns, return_inverse=True)
    count = len(next(iter(images.values())))
    blocks = []
    for start in range(0, len(used), _BLOCK):
        chosen = used[start : start + _BLOCK]
        block = asked_of(localizer.similarity, images, _rows_of(sounds, chosen))
        if block.shape != (count, len(chosen)) or block.dtype.kind != "f":
            raise ModelError(
                f"{name_of(localizer.similarity)} returned numbers of shape {block.shape} and type "
                f"{block.dtype} for {count} images and {len(chosen)} sounds",
                code="E_MODEL_SIMILARITY",
                remedy="return one float for each image and sound, as an array (images, sounds)",
            )
        blocks.append(block.astype(np.float32, copy=False))
    found: NDArray[np.float32] = np.concatenate(blocks, axis=1)[:, place]
    return found


def asked_of(method: Callable[..., Any], *given: Any) -> NDArray[Any]:
    """What a localizer's method returns, as an array; ModelError where either fails."""
    with blamed(name_of(method)):
        found = method(*given)
    if hasattr(found, "detach"):
        found = found.detach().cpu()
    try:
        return np.asarray(found)
    except (ValueError, TypeError, RuntimeError):  # such as a list of arrays of several sizes
        return np.empty(0, object)


def name_of(method: Callable[..., Any]) -> str:
    """A method of a model as messages name it, such as ``Bright.localize``."""
    return str(getattr(method, "__qualname__", "the model")).rpartition("<locals>.")[2]


def maps_from(method: Callable[..., Any], count: int, *given: Any) -> NDArray[np.float32]:
    """Maps ``(count, h, w)`` float32 that a method returns; ModelError for anything else."""
    return checked_maps(asked_of(method, *given), count, name_of(method))


def checked_maps(given: NDArray[Any], count: int, name: str) -> NDArray[np.float32]:
    """Maps ``(count, h, w)`` as float32; ModelError, with the method's name, for anything else."""
    if given.ndim != 3 or len(given) != count or given.dtype.kind != "f" or 0 in given.shape:
        raise ModelError(
            f"{name} returned maps of shape {given.shape} and type {given.dtype} "
            f"for {count} trials",
            code="E_MODEL_MAPS",
            remedy="return one float map (h, w) per trial, as an array (trials, h, w)",
        )
    maps = given.astype(np.float32, copy=False)
    if not np.isfinite(maps).all():
        row = int(np.argmin(np.isfinite(maps).all(axis=(1, 2))))
        raise ModelError(
            f"{name} returned maps with NaN or infinite values, the first as number {row} of "
            f"{count} at once",
            code="E_NOT_FINITE",
            remedy="return finite numbers: look for a division by zero or an overflow",
        )
    return maps


def _batches(
    images: Features, sounds: Features, pairs: Sequence[Pair], size: int
) -> Iterator[tuple[Sequence[Pair], Features, Features]]:
    for start in range(0, len(pairs), size):
        chosen = pairs[start : start + size]
        played = [pair.sound for pair in chosen if pair.sound is not None]
        shown = [pair.image for pair in chosen]
        yield chosen, _rows_of(images, shown), _rows_of(sounds, played)


def _rows_of(features: Features, rows: Sequence[int] | NDArray[np.intp]) -> Features:
    return {name: values[np.asarray(rows, np.intp)] for name, values in features.items()}
