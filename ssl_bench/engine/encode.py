"""Encoding each distinct image and sound of several protocols once, and pairing them into trials.

Images are distinguished by the files (or the world) that they are made of: their features are
dropped batch by batch, so what is equal has to be known before it is read. Sounds are distinguished
by their samples as well, since their features stay: the silences of a thousand clips are one sound.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from ssl_bench.engine.pairs import (
    Pair,
    asked_of,
    checked_maps,
    class_maps_of_pairs,
    maps_of_pairs,
    similarity_rows,
)
from ssl_bench.errors import DataError, ModelError, blamed
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.trials.trial import AudioRecipe, ImageRecipe, TrialSet

Progress = Callable[[str, int, int], None]

_Recipe = TypeVar("_Recipe", ImageRecipe, AudioRecipe)


@dataclass(frozen=True)
class EngineOptions:
    """Settings of the engine; none of them changes a number beyond rounding."""

    batch_size: int = 32  # Images, sounds or trials in one call of the localizer
    jobs: int = 1  # Threads that read images and sounds
    # Type in which maps are stored. float16 keeps 11 bits: neighbouring values of a map may become
    # equal, which moves cIoU by the few pixels at the threshold.
    dtype: Literal["float16", "float32"] = "float32"
    # Called with what is being done, how much is done and how much there is.
    progress: Progress = lambda _what, _done, _all: None
    compress: bool = True  # Whether files are compressed
    use_cache: bool = True  # Whether maps of priors are taken from the cache folder


@dataclass(frozen=True)
class LocalizedBatch:
    """Maps of all trials of a few images, or their similarities where a ranking is asked for."""

    trial_ids: list[str]
    maps: NDArray[np.float32] | None  # ``(b, h, w)`` float32, one per trial
    # ``(m, h, w)`` float32: the model's own audio-blind maps, one per image.
    blind_maps: NDArray[np.float32] | None
    blind_index: NDArray[np.intp]  # ``(b,)``: which of them belongs to each trial
    # ``(b, n)`` float32: of the trials' images with the sounds of all n trials, in the order in
    # which the batches bring them.
    similarity: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class _Distinct(Generic[_Recipe]):
    """One image or sound, however many protocols, splits and trials use it.

    Two are equal if what they are made of is; recipe and trials are those of the first use.
    """

    identity: Hashable
    recipe: _Recipe = field(compare=False)
    trials: TrialSet = field(compare=False, repr=False)

    def read(self) -> Any:
        if isinstance(self.recipe, ImageRecipe):
            return self.trials.image(self.recipe)
        return self.trials.waveform(self.recipe)


def by_category(trials: TrialSet) -> bool:
    """Whether every trial asks for the source of one category."""
    return all(trial.asked is not None for trial in trials)


def localize(
    localizer: Localizer,
    sets: Sequence[TrialSet],
    options: EngineOptions,
    *,
    vision_only: Sequence[bool],
) -> Iterator[tuple[int, LocalizedBatch]]:
    """Localize the trials of several protocols, a batch of images at a time.

    Sounds are encoded first (their features are small and stay in memory); images follow in
    batches, each with all its trials. `vision_only` says of which protocols the model's own
    audio-blind maps are made too. Yields the place of a protocol in `sets`, and maps of some of its
    trials.

    Raises
    ------
    DataError
        If an image or sound is missing or unreadable: no sample is replaced or skipped.
    ModelError
        If the localizer breaks its contract.
    """
    size = options.batch_size
    rows_of_image = _rows_by_image(sets)
    pictures = list(rows_of_image)
    sounds, sound_rows = _encode_sounds(localizer, sets, options)
    columns = {
        number: [
            sound_rows[number][row] for image in pictures for row in rows_of_image[image][number]
        ]
        for number, trials in enumerate(sets)
        if trials.protocol.answers == "retrieval"
    }
    categories = {
        number: sorted({trial.asked or "" for trial in trials.whole})
        for number, trials in enumerate(sets)
        if by_category(trials) and localizer.supports("class_maps")
    }
    for start in range(0, len(pictures), size):
        options.progress("images", start, len(pictures))
        chunk = pictures[start : start + size]
        images = _read_all(chunk, options.jobs)
        features = _encode(localizer.encode_image, images, chunk, localizer)
        blind = None
        if any(vision_only):
            blind = checked_maps(asked_of(localizer.vision_only, features), len(chunk), localizer)
        for number, trials in enumerate(sets):
            places = [
                (position, row)
                for position, image in enumerate(chunk)
                for row in rows_of_image[image][number]
            ]
            if not places:
                continue
            owners = [position for position, _ in places]
            chosen = [trials.trials[row] for _, row in places]
            ids = [trial.id for trial in chosen]
            if number in columns:
                ranked = similarity_rows(localizer, features, sounds, columns[number])[owners]
                yield number, LocalizedBatch(ids, None, None, np.array(owners), ranked)
                continue
            played = sound_rows[number]
            pairs = [Pair(position, played[row] if played else None) for position, row in places]
            if number in categories:
                asked = [trial.asked or "" for trial in chosen]
                maps = class_maps_of_pairs(
                    localizer, features, sounds, pairs, asked, categories[number], size
                )
            else:
                maps = maps_of_pairs(localizer, features, sounds, pairs, size)
            shown, index = np.unique(owners, return_inverse=True)
            own = blind[shown] if blind is not None and vision_only[number] else None
            yield number, LocalizedBatch(ids, maps, own, index)
    options.progress("images", len(pictures), len(pictures))


def _rows_by_image(sets: Sequence[TrialSet]) -> dict[_Distinct[ImageRecipe], list[list[int]]]:
    """Rows of each distinct image in each set, images in the order of their first trials."""
    found: dict[_Distinct[ImageRecipe], list[list[int]]] = {}
    for number, trials in enumerate(sets):
        for row, trial in enumerate(trials):
            image = _Distinct(trials.image_identity(trial.image), trial.image, trials)
            found.setdefault(image, [[] for _ in sets])[number].append(row)
    return found


def _encode_sounds(
    localizer: Localizer, sets: Sequence[TrialSet], options: EngineOptions
) -> tuple[Features, list[list[int]]]:
    """Features of each distinct sound, and for each set the row of each trial's sound in them."""
    if localizer.audio_blind:
        return {}, [[] for _ in sets]
    used = [
        [_Distinct(trials.sound_identity(trial.audio), trial.audio, trials) for trial in trials]
        for trials in sets
    ]
    sounds = list(dict.fromkeys(sound for of_set in used for sound in of_set))
    parts: list[Features] = []
    rows: dict[Hashable, int] = {}
    place: dict[_Distinct[AudioRecipe], int] = {}
    waiting: list[tuple[_Distinct[AudioRecipe], Waveform]] = []
    size = options.batch_size
    for start in range(0, len(sounds), size):
        options.progress("sounds", start, len(sounds))
        chunk = sounds[start : start + size]
        for sound, waveform in zip(chunk, _read_all(chunk, options.jobs), strict=True):
            content = content_of(waveform)
            if content not in rows:
                rows[content] = len(rows)
                waiting.append((sound, waveform))
            place[sound] = rows[content]
        while len(waiting) >= size or (waiting and start + size >= len(sounds)):
            made_of, waveforms = zip(*waiting[:size], strict=True)
            parts.append(_encode(localizer.encode_audio, list(waveforms), made_of, localizer))
            del waiting[:size]
    options.progress("sounds", len(sounds), len(sounds))
    forms = [{name: values.shape[1:] for name, values in part.items()} for part in parts]
    if any(form != forms[0] for form in forms):
        raise ModelError(
            f"{localizer.name} returned features of sounds of {forms[0]}, and of other forms",
            code="E_MODEL_FEATURES",
            remedy="return arrays of the same names and sizes for every batch",
        )
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return joined, [[place[sound] for sound in of_set] for of_set in used]


def content_of(sound: Waveform) -> Hashable:
    """Identity of a sound by what is played: rate, type and samples."""
    samples = np.ascontiguousarray(sound.samples)
    digest = hashlib.sha256(samples.data).digest()
    return sound.rate, samples.dtype.str, samples.shape, digest


def _read_all(chunk: Sequence[_Distinct[Any]], jobs: int) -> list[Any]:
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(lambda each: each.read(), chunk))


def _encode(
    encode: Callable[[list[Any]], Features],
    inputs: list[Any],
    made_of: Sequence[_Distinct[Any]],
    localizer: Localizer,
) -> Features:
    """Encode a batch, check its shape, and name the input where the model refuses one."""
    called = getattr(encode, "__qualname__", "the model")
    try:
        with blamed(called):
            features = encode(inputs)
    except DataError:
        for source, each in zip(made_of, inputs, strict=True):
            try:
                with blamed(called):
                    encode([each])
            except DataError as error:
                where = source.trials.source(source.recipe)
                raise DataError(
                    error.problem, code=error.code, where=where, remedy=error.remedy
                ) from error
        raise
    if not isinstance(features, Mapping):
        raise ModelError(
            f"{localizer.name} returned a {type(features).__name__} of features",
            code="E_MODEL_FEATURES",
            remedy="return a dictionary of arrays, such as {'visual': array}",
        )
    with blamed(f"{localizer.name}: making arrays of what it encoded"):
        features = {name: np.asarray(values) for name, values in features.items()}
    for name, values in features.items():
        if values.ndim == 0 or len(values) != len(inputs):
            raise ModelError(
                f"{localizer.name} was given {len(inputs)} inputs to encode and returned "
                f"{values.shape[:1] or 'no'} rows of {name!r}",
                code="E_MODEL_FEATURES",
                remedy="return one row per input, in order",
            )
    return features
