"""Encoding distinct images and sounds once, and pairing them into trials."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from ssl_bench.engine.class_maps import AskedPair, asks_by_category, maps_of_categories, rows_of
from ssl_bench.engine.distinct import Distinct, content_of, distinct_image, distinct_sound
from ssl_bench.engine.retrieve import similarity_rows
from ssl_bench.errors import DataError, ModelError
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.trials.trial import AudioRecipe, ImageRecipe, TrialSet

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class LocalizedBatch:
    """Maps of all trials of a few images.

    Attributes
    ----------
    trial_ids
        Trials, image by image.
    maps
        ``(b, h, w)`` float32, one per trial; None where the protocol asks for a ranking.
    blind_maps
        ``(m, h, w)`` float32: the model's own audio-blind maps, one per image; None where the
        model has none.
    blind_index
        ``(b,)``: which of them belongs to each trial.
    similarity
        ``(b, n)`` float32: of the trials' images with the sounds of all n trials, in the order in
        which the batches bring them; None where the protocol asks for maps.
    """

    trial_ids: list[str]
    maps: NDArray[np.float32] | None
    blind_maps: NDArray[np.float32] | None
    blind_index: NDArray[np.intp]
    similarity: NDArray[np.float32] | None = None


def localize_trials(
    localizer: Localizer,
    trials: TrialSet,
    *,
    batch_size: int = 32,
    jobs: int = 1,
    vision_only: bool = False,
    progress: Progress = lambda _what, _done, _all: None,
) -> Iterator[LocalizedBatch]:
    """Localize the trials of one protocol; see :func:`localize_suite`."""
    for _, batch in localize_suite(
        localizer,
        [trials],
        batch_size=batch_size,
        jobs=jobs,
        vision_only=[vision_only],
        progress=progress,
    ):
        yield batch


def localize_suite(
    localizer: Localizer,
    sets: Sequence[TrialSet],
    *,
    batch_size: int = 32,
    jobs: int = 1,
    vision_only: Sequence[bool],
    progress: Progress = lambda _what, _done, _all: None,
) -> Iterator[tuple[int, LocalizedBatch]]:
    """Localize the trials of several protocols, a batch of images at a time.

    Sounds are encoded first (their features are small and stay in memory); images follow in
    batches, each with all its trials. An image or sound that several protocols or splits share is
    encoded once; see :mod:`ssl_bench.engine.distinct`.

    Parameters
    ----------
    batch_size
        Images, sounds or trials in one call of the localizer.
    jobs
        Threads that read images and sounds.
    vision_only
        For each protocol: also make the model's own audio-blind map of each image.
    progress
        Called with what is being done, how much is done and how much there is.

    Yields
    ------
    number
        Which of `sets` the batch belongs to.
    batch
        Maps of some of its trials.

    Raises
    ------
    DataError
        If an image or sound is missing or unreadable: no sample is replaced or skipped.
    ModelError
        If the localizer breaks its contract.
    """
    by_image = _rows_by_image(sets)
    pictures = list(by_image)
    sounds, heard = _encode_sounds(localizer, sets, batch_size, jobs, progress)
    columns = {
        number: [heard[number][row] for image in pictures for row in by_image[image][number]]
        for number, trials in enumerate(sets)
        if trials.protocol.answers == "retrieval"
    }
    categories = {
        number: sorted({trial.asked or "" for trial in trials})
        for number, trials in enumerate(sets)
        if asks_by_category(trials) and localizer.no_class_maps is None
    }
    for start in range(0, len(pictures), batch_size):
        progress("images", start, len(pictures))
        chunk = pictures[start : start + batch_size]
        images = _in_parallel(_read_image, chunk, jobs)
        features = _encode(localizer.encode_image, images, chunk, localizer)
        blind = None
        if any(vision_only):
            blind = _checked_maps(localizer.vision_only(features), len(chunk), localizer)
        for number, trials in enumerate(sets):
            places = [
                (position, row)
                for position, image in enumerate(chunk)
                for row in by_image[image][number]
            ]
            if not places:
                continue
            owners = [position for position, _ in places]
            ids = [trials.trials[row].id for _, row in places]
            if number in columns:
                ranked = similarity_rows(localizer, features, sounds, columns[number])[owners]
                yield number, LocalizedBatch(ids, None, None, np.array(owners), ranked)
                continue
            pairs = [
                AskedPair(
                    position,
                    heard[number][row] if heard[number] else None,
                    trials.trials[row].asked or "",
                )
                for position, row in places
            ]
            found = (
                maps_of_categories(
                    localizer, features, sounds, pairs, categories[number], batch_size
                )
                if number in categories
                else _maps_of_pairs(localizer, features, sounds, pairs, batch_size)
            )
            shown, index = np.unique(owners, return_inverse=True)
            own = blind[shown] if blind is not None and vision_only[number] else None
            yield number, LocalizedBatch(ids, found, own, index)
    progress("images", len(pictures), len(pictures))


def _rows_by_image(sets: Sequence[TrialSet]) -> dict[Distinct[ImageRecipe], list[list[int]]]:
    """Rows of each distinct image in each set, images in the order of their first trials."""
    found: dict[Distinct[ImageRecipe], list[list[int]]] = {}
    for number, trials in enumerate(sets):
        for row, trial in enumerate(trials):
            image = distinct_image(trials, trial.image)
            found.setdefault(image, [[] for _ in sets])[number].append(row)
    return found


def _maps_of_pairs(
    localizer: Localizer,
    features: Features,
    sounds: Features,
    pairs: Sequence[AskedPair],
    batch_size: int,
) -> NDArray[np.float32]:
    """The map of each trial, whatever it asks for."""
    parts = []
    for start in range(0, len(pairs), batch_size):
        chosen = pairs[start : start + batch_size]
        seen = rows_of(features, [pair.image for pair in chosen])
        heard = rows_of(sounds, [pair.sound for pair in chosen if pair.sound is not None])
        parts.append(_checked_maps(localizer.localize(seen, heard), len(chosen), localizer))
    return np.concatenate(parts)


def _encode_sounds(
    localizer: Localizer,
    sets: Sequence[TrialSet],
    batch_size: int,
    jobs: int,
    progress: Progress,
) -> tuple[Features, list[list[int]]]:
    """Features of each distinct sound, and for each set the row of each trial's sound in them."""
    if localizer.audio_blind:
        return {}, [[] for _ in sets]
    used = [[distinct_sound(trials, trial.audio) for trial in trials] for trials in sets]
    sounds = list(dict.fromkeys(sound for of_set in used for sound in of_set))
    parts: list[Features] = []
    rows: dict[Hashable, int] = {}
    place: dict[Distinct[AudioRecipe], int] = {}
    waiting: list[tuple[Distinct[AudioRecipe], Waveform]] = []

    def encode_waiting() -> None:
        made_of, waveforms = zip(*waiting[:batch_size], strict=True)
        parts.append(_encode(localizer.encode_audio, list(waveforms), made_of, localizer))
        del waiting[:batch_size]

    for start in range(0, len(sounds), batch_size):
        progress("sounds", start, len(sounds))
        chunk = sounds[start : start + batch_size]
        for sound, waveform in zip(chunk, _in_parallel(_read_sound, chunk, jobs), strict=True):
            content = content_of(waveform)
            if content not in rows:
                rows[content] = len(rows)
                waiting.append((sound, waveform))
            place[sound] = rows[content]
        if len(waiting) >= batch_size:
            encode_waiting()
    if waiting:
        encode_waiting()
    progress("sounds", len(sounds), len(sounds))
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return joined, [[place[sound] for sound in of_set] for of_set in used]


def _read_image(image: Distinct[ImageRecipe]) -> NDArray[np.uint8]:
    return image.trials.image(image.recipe)


def _read_sound(sound: Distinct[AudioRecipe]) -> Waveform:
    return sound.trials.waveform(sound.recipe)


def _in_parallel(read: Callable[[Any], Any], recipes: Sequence[Any], jobs: int) -> list[Any]:
    read_all: list[Any] = Parallel(n_jobs=jobs, backend="threading")(
        delayed(read)(recipe) for recipe in recipes
    )
    return read_all


def _encode(
    encode: Callable[[list[Any]], Features],
    inputs: list[Any],
    made_of: Sequence[Distinct[Any]],
    localizer: Localizer,
) -> Features:
    """Encode a batch, check its shape, and name the input where the model refuses one."""
    try:
        features = encode(inputs)
    except DataError:
        _name_culprit(encode, inputs, made_of)
        raise
    if not isinstance(features, Mapping):
        raise ModelError(
            f"{localizer.name} returned a {type(features).__name__} of features",
            remedy="return a dictionary of arrays, such as {'visual': array}",
        )
    for name, values in features.items():
        if np.ndim(values) == 0 or len(values) != len(inputs):
            raise ModelError(
                f"{localizer.name} was given {len(inputs)} inputs to encode and returned "
                f"{np.shape(values)[:1] or 'no'} rows of {name!r}",
                remedy="return one row per input, in order",
            )
    return {name: np.asarray(values) for name, values in features.items()}


def _name_culprit(
    encode: Callable[[list[Any]], Features],
    inputs: Sequence[Any],
    made_of: Sequence[Distinct[Any]],
) -> None:
    """Encode the inputs one by one, and raise the error again with id and file of its cause."""
    for source, each in zip(made_of, inputs, strict=True):
        try:
            encode([each])
        except DataError as error:
            where = source.trials.source(source.recipe)
            raise DataError(error.problem, where=where, remedy=error.remedy) from error


def _checked_maps(maps: Any, count: int, localizer: Localizer) -> NDArray[np.float32]:
    try:
        given = np.asarray(maps)
    except ValueError:  # maps of several sizes in one list
        given = np.empty(0, object)
    if given.ndim != 3 or len(given) != count or given.dtype.kind != "f" or 0 in given.shape:
        raise ModelError(
            f"{localizer.name} returned maps of shape {given.shape} and type {given.dtype} "
            f"for {count} trials",
            remedy="return one float map (h, w) per trial, as an array (trials, h, w)",
        )
    return given.astype(np.float32, copy=False)
