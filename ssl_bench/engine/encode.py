"""Encoding distinct images and sounds once, and pairing them into trials."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from ssl_bench.errors import DataError, ModelError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.trials import ImageRecipe, TrialSet

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class LocalizedBatch:
    """Maps of all trials of a few images.

    Attributes
    ----------
    trial_ids
        Trials, image by image.
    maps
        ``(b, h, w)`` float32, one per trial.
    blind_maps
        ``(m, h, w)`` float32: the model's own audio-blind maps, one per image; None where the
        model has none.
    blind_index
        ``(b,)``: which of them belongs to each trial.
    """

    trial_ids: list[str]
    maps: NDArray[np.float32]
    blind_maps: NDArray[np.float32] | None
    blind_index: NDArray[np.intp]


def localize_trials(
    localizer: Localizer,
    trials: TrialSet,
    *,
    batch_size: int = 32,
    jobs: int = 1,
    vision_only: bool = False,
    progress: Progress = lambda _what, _done, _all: None,
) -> Iterator[LocalizedBatch]:
    """Localize all trials, a batch of images at a time.

    Sounds are encoded first (their features are small and stay in memory); images follow in
    batches, each with all its trials.

    Parameters
    ----------
    batch_size
        Images, sounds or trials in one call of the localizer.
    jobs
        Threads that read images and sounds.
    vision_only
        Also make the model's own audio-blind map of each image.
    progress
        Called with what is being done, how much is done and how much there is.

    Raises
    ------
    DataError
        If an image or sound is missing or unreadable: no sample is replaced or skipped.
    ModelError
        If the localizer breaks its contract.
    """
    by_image: dict[ImageRecipe, list[int]] = {}
    for row, trial in enumerate(trials):
        by_image.setdefault(trial.image, []).append(row)
    sounds, sound_row = _encode_sounds(localizer, trials, batch_size, jobs, progress)
    pictures = list(by_image)
    for start in range(0, len(pictures), batch_size):
        progress("images", start, len(pictures))
        chunk = pictures[start : start + batch_size]
        images = _in_parallel(trials.image, chunk, jobs)
        features = _encode(
            localizer.encode_image, images, [recipe.key for recipe in chunk], localizer
        )
        owners = [number for number, recipe in enumerate(chunk) for _ in by_image[recipe]]
        rows = [row for recipe in chunk for row in by_image[recipe]]
        heard = [sound_row[trials.trials[row].audio.key] for row in rows] if sound_row else None
        maps = [
            _checked_maps(
                localizer.localize(
                    _take(features, owners[begin : begin + batch_size]),
                    {} if heard is None else _take(sounds, heard[begin : begin + batch_size]),
                ),
                len(owners[begin : begin + batch_size]),
                localizer,
            )
            for begin in range(0, len(rows), batch_size)
        ]
        blind = None
        if vision_only:
            blind = _checked_maps(localizer.vision_only(features), len(chunk), localizer)
        ids = [trials.trials[row].id for row in rows]
        yield LocalizedBatch(ids, np.concatenate(maps), blind, np.array(owners, np.intp))
    progress("images", len(pictures), len(pictures))


def _encode_sounds(
    localizer: Localizer, trials: TrialSet, batch_size: int, jobs: int, progress: Progress
) -> tuple[Features, dict[str, int]]:
    """Features of each distinct sound, and the row of each sound in them."""
    if localizer.audio_blind:
        return {}, {}
    recipes = list(dict.fromkeys(trial.audio for trial in trials))
    parts: list[Features] = []
    for start in range(0, len(recipes), batch_size):
        progress("sounds", start, len(recipes))
        chunk = recipes[start : start + batch_size]
        waveforms: list[Waveform] = _in_parallel(trials.waveform, chunk, jobs)
        keys = [recipe.key for recipe in chunk]
        parts.append(_encode(localizer.encode_audio, waveforms, keys, localizer))
    progress("sounds", len(recipes), len(recipes))
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return joined, {recipe.key: row for row, recipe in enumerate(recipes)}


def _in_parallel(read: Callable[[Any], Any], recipes: Sequence[Any], jobs: int) -> list[Any]:
    read_all: list[Any] = Parallel(n_jobs=jobs, backend="threading")(
        delayed(read)(recipe) for recipe in recipes
    )
    return read_all


def _take(features: Features, rows: Sequence[int]) -> Features:
    return {name: values[np.asarray(rows, np.intp)] for name, values in features.items()}


def _encode(
    encode: Callable[[list[Any]], Features],
    inputs: list[Any],
    keys: Sequence[str],
    localizer: Localizer,
) -> Features:
    """Encode a batch, check its shape, and name the input where the model refuses one."""
    try:
        features = encode(inputs)
    except DataError:
        _name_culprit(encode, inputs, keys)
        raise
    for name, values in features.items():
        if len(values) != len(inputs):
            raise ModelError(
                f"{localizer.name} was given {len(inputs)} inputs to encode and returned "
                f"{len(values)} rows of {name!r}",
                remedy="return one row per input, in order",
            )
    return features


def _name_culprit(
    encode: Callable[[list[Any]], Features], inputs: Sequence[Any], keys: Sequence[str]
) -> None:
    """Encode the inputs one by one, and raise the error again with the id that causes it."""
    for key, each in zip(keys, inputs, strict=True):
        try:
            encode([each])
        except DataError as error:
            raise DataError(error.problem, where=key, remedy=error.remedy) from error


def _checked_maps(
    maps: NDArray[np.float32], count: int, localizer: Localizer
) -> NDArray[np.float32]:
    if np.ndim(maps) != 3 or len(maps) != count or maps.dtype.kind != "f" or 0 in maps.shape:
        raise ModelError(
            f"{localizer.name} returned maps of shape {np.shape(maps)} and type "
            f"{np.asarray(maps).dtype} for {count} trials",
            remedy="return one float map (h, w) per trial, as an array (trials, h, w)",
        )
    return np.asarray(maps, np.float32)
