"""Encoding each distinct image and sound of several protocols once, and pairing them into trials.

Sounds are distinguished by their samples as well as by what they are made of, since their features
stay: the silences of a thousand clips are one sound.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench.engine.batches import FittingBatches
from ssl_bench.engine.pairs import (
    Pair,
    class_maps_of_pairs,
    maps_from,
    maps_of_pairs,
    name_of,
    similarity_rows,
)
from ssl_bench.engine.plan import Distinct, Plan
from ssl_bench.errors import DataError, ModelError, blamed
from ssl_bench.executors import HERE, Executor
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.trials.recipes import AudioRecipe
from ssl_bench.trials.trial_set import TrialSet

Progress = Callable[[str, int, int], None]

# Batches that are read while the model has one.
_AHEAD = 1


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
    executor: Executor = HERE  # Who works on parts
    # Distinct images, or sounds, of one part; brought to a multiple of the batch size.
    part_size: int = 128
    # Folder of finished parts, or an address of fsspec; None for a folder in the cache folder.
    parts: Path | str | None = None
    # Called with what a user should know, as a sentence.
    notify: Callable[[str], None] = lambda _what: None


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


def by_category(trials: TrialSet) -> bool:
    """Whether every trial asks for the source of one category."""
    return all(trial.asked is not None for trial in trials)


def localize(
    localizer: Localizer, plan: Plan, options: EngineOptions
) -> Generator[tuple[int, LocalizedBatch]]:
    """Localize the trials of several protocols, a batch of images at a time.

    Sounds are encoded first (their features are small and stay in memory); images follow in
    batches, each with all its trials. Yields the place of a protocol in the plan, and maps of some
    of its trials.

    Raises
    ------
    DataError
        If an image or sound is missing or unreadable: no sample is replaced or skipped.
    ModelError
        If the localizer breaks its contract.
    """
    sounds = encode_sounds(localizer, plan.sounds, options)
    yield from answer(localizer, plan, range(len(plan.images)), sounds, options)


@dataclass(frozen=True)
class EncodedSounds:
    """Features of sounds, each of which is encoded once: the silences of many clips are one."""

    features: Features
    rows: NDArray[np.intp]  # ``(n,)``: which of them each of n sounds has


def encode_sounds(
    localizer: Localizer, sounds: Sequence[Distinct[AudioRecipe]], options: EngineOptions
) -> EncodedSounds:
    """Encode sounds, a batch at a time; errors as for :func:`localize`."""
    parts: list[Features] = []
    rows: dict[str, int] = {}
    place: list[int] = []
    waiting: list[tuple[Distinct[AudioRecipe], Any]] = []
    fitting = FittingBatches(options.notify)
    size = options.batch_size
    done = 0

    def prepare(waveform: Waveform) -> tuple[str, Any]:
        return content_of(waveform), localizer.prepare_sound(waveform)

    for chunk, prepared in _read_ahead(sounds, prepare, options):
        options.progress("sounds", done, len(sounds))
        done += len(chunk)
        for sound, (content, ready) in zip(chunk, prepared, strict=True):
            if content not in rows:
                rows[content] = len(rows)
                waiting.append((sound, ready))
            place.append(rows[content])
        while len(waiting) >= size or (waiting and done == len(sounds)):
            made_of, batch = zip(*waiting[:size], strict=True)
            encode = localizer.encode_prepared_sounds
            parts.append(_encode(encode, list(batch), made_of, localizer, fitting))
            del waiting[:size]
    options.progress("sounds", len(sounds), len(sounds))
    forms = [{name: values.shape[1:] for name, values in part.items()} for part in parts]
    if any(form != forms[0] for form in forms):
        raise ModelError(
            f"{name_of(localizer.encode_audio)} returned features of {forms[0]}, and of "
            "other forms",
            code="E_MODEL_FEATURES",
            remedy="return arrays of the same names and sizes for every batch",
        )
    names = forms[0] if forms else ()
    features = {name: np.concatenate([part[name] for part in parts]) for name in names}
    return EncodedSounds(features, np.array(place, np.intp))


def answer(
    localizer: Localizer,
    plan: Plan,
    chosen: range,
    sounds: EncodedSounds,
    options: EngineOptions,
) -> Iterator[tuple[int, LocalizedBatch]]:
    """Localize all trials of the images in `chosen`, as :func:`localize` does.

    `sounds` are all those of the plan, in its order.
    """
    size = options.batch_size
    columns = {
        number: sounds.rows[plan.sounds.of_set(number)[plan.images.rows(number)]]
        for number, trials in enumerate(plan.sets)
        if trials.protocol.answers == "retrieval"
    }
    categories = {
        number: sorted({trial.asked or "" for trial in trials.whole})
        for number, trials in enumerate(plan.sets)
        if by_category(trials) and localizer.supports("class_maps")
    }
    done = chosen.start
    fitting = FittingBatches(options.notify)
    images = plan.images[chosen.start : chosen.stop]
    for chunk, prepared in _read_ahead(images, localizer.prepare_image, options):
        options.progress("images", done, len(plan.images))
        places = range(done, done + len(chunk))
        done += len(chunk)
        encode = localizer.encode_prepared_images
        features = _encode(encode, prepared, chunk, localizer, fitting)
        blind = None
        if any(plan.vision_only):
            blind = maps_from(localizer.vision_only, len(chunk), features)
        for number, trials in enumerate(plan.sets):
            rows = plan.images.rows(number, places)
            if not len(rows):
                continue
            owners = plan.images.of_set(number)[rows].astype(np.intp) - places.start
            asked = [trials.trials[row] for row in rows.tolist()]
            ids = [trial.id for trial in asked]
            if number in columns:
                ranked = similarity_rows(localizer, features, sounds.features, columns[number])
                yield number, LocalizedBatch(ids, None, None, owners, ranked[owners])
                continue
            played: Iterable[int | None] = itertools.repeat(None)
            if plan.listens:
                played = sounds.rows[plan.sounds.of_set(number)[rows]].tolist()
            pairs = list(map(Pair, owners.tolist(), played))
            if number in categories:
                maps = class_maps_of_pairs(
                    localizer,
                    features,
                    sounds.features,
                    pairs,
                    [trial.asked or "" for trial in asked],
                    categories[number],
                    size,
                )
            else:
                maps = maps_of_pairs(localizer, features, sounds.features, pairs, size)
            shown, index = np.unique(owners, return_inverse=True)
            own = blind[shown] if blind is not None and plan.vision_only[number] else None
            yield number, LocalizedBatch(ids, maps, own, index)
    options.progress("images", done, len(plan.images))


def content_of(sound: Waveform) -> str:
    """Identity of a sound by what is played: rate, type and samples."""
    samples = np.ascontiguousarray(sound.samples)
    digest = hashlib.sha256(samples.data).hexdigest()
    return f"{sound.rate} {samples.dtype.str} {samples.shape} {digest}"


def _read_ahead(
    sources: Sequence[Distinct[Any]], prepare: Callable[[Any], Any], options: EngineOptions
) -> Iterator[tuple[Sequence[Distinct[Any]], list[Any]]]:
    """Batches of prepared images or sounds; threads make the next ones while a model has one."""

    def ready(source: Distinct[Any]) -> Any:
        read = source.read()
        try:
            with blamed(name_of(prepare)):
                return prepare(read)
        except DataError as error:
            raise _named(error, source) from error

    size = options.batch_size
    chunks = [sources[start : start + size] for start in range(0, len(sources), size)]
    with ThreadPoolExecutor(options.jobs) as pool:
        reading: deque[list[Future[Any]]] = deque()
        try:
            for number, chunk in enumerate(chunks):
                for each in chunks[number + len(reading) : number + 1 + _AHEAD]:
                    reading.append([pool.submit(ready, source) for source in each])
                yield chunk, [future.result() for future in reading.popleft()]
        finally:
            for future in itertools.chain(*reading):
                future.cancel()


def _named(error: DataError, source: Distinct[Any]) -> DataError:
    """The same error, with the image or sound that it is about."""
    where = source.trials.source(source.recipe)
    return DataError(error.problem, code=error.code, where=where, remedy=error.remedy)


def _encode(
    encode: Callable[[Sequence[Any]], Features],
    inputs: list[Any],
    made_of: Sequence[Distinct[Any]],
    localizer: Localizer,
    fitting: FittingBatches,
) -> Features:
    """Encode a batch, check its shape, and name the input where the model refuses one."""
    # Without preparation of its own, a model has its encode_image and encode_audio alone.
    own: dict[str, Callable[..., Any]] = {"encode_prepared_images": localizer.encode_image}
    own["encode_prepared_sounds"] = localizer.encode_audio
    plain = name_of(encode).partition(".")[0] == Localizer.__name__
    called = name_of(own.get(encode.__name__, encode) if plain else encode)
    try:
        with blamed(called):
            features = fitting.encode(encode, inputs)
    except DataError:
        for source, each in zip(made_of, inputs, strict=True):
            try:
                with blamed(called):
                    encode([each])
            except DataError as error:
                raise _named(error, source) from error
        raise
    if not isinstance(features, Mapping):
        raise ModelError(
            f"{called} returned a {type(features).__name__}",
            code="E_MODEL_FEATURES",
            remedy="return a dictionary of arrays, such as {'visual': array}",
        )
    with blamed(f"{called}: making arrays of what it returned"):
        features = {
            name: np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
            for name, values in features.items()
        }
    for name, values in features.items():
        if values.ndim == 0 or len(values) != len(inputs):
            raise ModelError(
                f"{called} was given {len(inputs)} inputs and returned "
                f"{values.shape[:1] or 'no'} rows of {name!r}",
                code="E_MODEL_FEATURES",
                remedy="return one row per input, in order",
            )
    return features
