"""A model's maps of each category, for trials that ask for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import ModelError
from ssl_bench.models.contract import AnnotationLocalizer, Features, Localizer
from ssl_bench.trials.trial import TrialSet


def asks_by_category(trials: TrialSet) -> bool:
    """Whether every trial asks for the source of one category."""
    return all(trial.asked is not None for trial in trials)


def no_class_maps(localizer: Localizer | AnnotationLocalizer, trials: TrialSet) -> str | None:
    """Why trials that ask by category share a map; None where they do not, or do not ask so."""
    if not asks_by_category(trials):
        return None
    if isinstance(localizer, AnnotationLocalizer):
        return f"{localizer.name} is told no category"
    return localizer.no_class_maps


@dataclass(frozen=True)
class AskedPair:
    """An image and a sound, and what a trial asks of them.

    Attributes
    ----------
    image, sound
        Their rows among the features; no sound for a model that hears none.
    category
        The category whose source it asks for; empty where it asks for none.
    """

    image: int
    sound: int | None
    category: str


def maps_of_categories(
    localizer: Localizer,
    images: Features,
    sounds: Features,
    asked: Sequence[AskedPair],
    categories: Sequence[str],
    batch_size: int,
) -> NDArray[np.float32]:
    """The map of each trial: that of its category among those of its image and sound.

    The maps of an image and a sound are made once, however many categories are asked for.

    Parameters
    ----------
    images, sounds
        Features.
    asked
        n trials.
    categories
        All that the protocol asks for.
    batch_size
        Pairs in one call of the localizer.

    Returns
    -------
    ndarray
        ``(n, h, w)`` float32.

    Raises
    ------
    ModelError
        If the localizer breaks its contract.
    """
    pairs = list(dict.fromkeys((each.image, each.sound) for each in asked))
    place = {name: number for number, name in enumerate(categories)}
    found: dict[tuple[int, int | None], NDArray[np.float32]] = {}
    for start in range(0, len(pairs), batch_size):
        chosen = pairs[start : start + batch_size]
        seen = rows_of(images, [image for image, _ in chosen])
        heard = rows_of(sounds, [sound for _, sound in chosen if sound is not None])
        maps = np.asarray(localizer.class_maps(seen, heard, categories))
        wanted = (len(chosen), len(categories))
        if maps.ndim != 4 or maps.shape[:2] != wanted or maps.dtype.kind != "f" or 0 in maps.shape:
            raise ModelError(
                f"{localizer.name} returned class maps of shape {maps.shape} and type "
                f"{maps.dtype} for {wanted[0]} trials and {wanted[1]} categories",
                remedy="return one float map (h, w) for each, as an array "
                "(trials, categories, h, w)",
            )
        found.update(zip(chosen, maps.astype(np.float32, copy=False), strict=True))
    return np.stack([found[each.image, each.sound][place[each.category]] for each in asked])


def rows_of(features: Features, rows: Sequence[int]) -> Features:
    """The features of some images or sounds."""
    return {name: values[np.asarray(rows, np.intp)] for name, values in features.items()}
