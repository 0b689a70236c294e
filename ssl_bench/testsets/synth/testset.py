"""The embedded world as a test set."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ssl_bench.errors import DataError
from ssl_bench.files import sha256_of_json
from ssl_bench.media.video_input import VideoInput
from ssl_bench.media.waveform import Waveform
from ssl_bench.schemas import Strict, checked
from ssl_bench.testsets.annotations import Boxes, Mask
from ssl_bench.testsets.base import Finding, Sample, SilentPair, TestSet, TestSetDefinition
from ssl_bench.testsets.rendered import (
    ArrayCache,
    ChunkReader,
    Progress,
    iterate_chunks,
    load_or_render,
)
from ssl_bench.testsets.silent import off_screen_pairs
from ssl_bench.testsets.synth.categories import Category
from ssl_bench.testsets.synth.layout import SIZE
from ssl_bench.testsets.synth.pinned import check_pinned
from ssl_bench.testsets.synth.sounds import RATE
from ssl_bench.testsets.synth.streams import MAX_SEED, WORLD_VERSION
from ssl_bench.testsets.synth.world import PAIRED, SPLITS, World, cache_folder

_DEFAULT_COUNTS = {
    "standard": 500,
    "two-source": 500,
    "interactive": 500,
    "type-ab": 1000,
    "train": 4000,
    "val": 500,
    "heard": 500,
    "unheard": 500,
}

# Splits of the open set: samples of the split `standard` whose sounds are all of heard categories,
# or all of others.
_OPEN_SET = {"heard": True, "unheard": False}

# Masks of so many samples take 16 MB.
_FEW = 1000

_Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]


class _Options(Strict):
    count: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    seed: _Seed = 0
    category_set: _Seed = 0
    object_size: Literal["normal", "small"] = "normal"


class SynthTestSet(TestSet):
    """The first `count` samples of one split of a world; a sample does not depend on the count.

    The splits ``heard`` and ``unheard`` hold samples of ``standard``, under the same ids: those
    whose sounds are all of categories that open-set training hears, or all of others.

    Examples
    --------
    >>> test_set = SynthTestSet(World(), "two-source", 2)
    >>> sample = test_set.samples[1]
    >>> sample.id, sample.attributes["type"], sample.attributes["n_sounding"]
    ('two-source-000001', 'B', 1)
    """

    name = "synth"
    truth_convention = "union"
    revision: str | None = f"world {WORLD_VERSION}"

    def __init__(self, world: World, split: str, count: int) -> None:
        self.world = world
        self.split = split
        self.count = count
        self._drawn = "standard" if split in _OPEN_SET else split
        self._cache = ArrayCache(cache_folder())
        self._reader = ChunkReader(world, self._drawn, self._cache)

    @cached_property
    def samples(self) -> Sequence[Sample]:
        """All samples, in the order of their indices."""
        make = _samples if self.count <= _FEW else _samples.__wrapped__
        return make(self.world, self.split, self.count, self._cache.folder)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over world version, seed, split and count, and over ids, boxes and masks."""
        identity = {
            "version": WORLD_VERSION,
            **asdict(self.world),
            "split": self.split,
            "count": self.count,
        }
        sha = hashlib.sha256(sha256_of_json(identity).encode())
        for sample in self.samples:
            sha.update(sample.id.encode())
            if isinstance(sample.annotation, Mask) and sample.annotation.boxes is not None:
                sha.update(sample.annotation.boxes.corners.astype("<f8").tobytes())
                sha.update(np.packbits(sample.annotation.pixels).tobytes())
        return sha.hexdigest()

    @property
    def media(self) -> Hashable:
        """The world: what is rendered depends neither on the split nor on the count."""
        return self.name, WORLD_VERSION, self.world

    def image(self, sample_id: str) -> NDArray[np.uint8]:
        """Image ``(128, 128, 3)`` uint8 RGB of one sample."""
        row: NDArray[np.uint8] = self._reader.row("images", self._index(sample_id))["images"]
        return row.copy()

    def waveform(self, sample_id: str) -> Waveform:
        """Sound of one sample: what sounds in it, over ambient noise; two seconds, one channel."""
        row: NDArray[np.int16] = self._reader.row("sounds", self._index(sample_id))["sounds"]
        return Waveform(row[:, None].copy(), RATE)

    def require_video(self) -> None:
        """Nothing: everything of this world moves."""

    def frames(self, sample_id: str, video: VideoInput) -> NDArray[np.uint8]:
        """Frames ``(n, 128, 128, 3)`` uint8 RGB around one sample's image, rendered when asked."""
        return self.world.frames(self.world.scene(self._drawn, self._index(sample_id)), video)

    def silent_pairs(self) -> Sequence[SilentPair]:
        """Each image with the sound of a scene of which it shows nothing, by the world's seed."""
        return off_screen_pairs(self.samples, seed=self.world.seed)

    def prepare(self, progress: Progress | None = None) -> None:
        """Render everything into the cache; `progress` gets the samples done and their number."""
        parts = ("truth", "images", "sounds")
        number = self.count if self._chosen is None else max(self._chosen.values()) + 1
        for _ in iterate_chunks(self.world, self._drawn, number, parts, self._cache, progress):
            pass

    @cached_property
    def _chosen(self) -> Mapping[str, int] | None:
        """Indices of samples, by id, where the split does not hold all that are drawn."""
        if self.split not in _OPEN_SET:
            return None
        return {sample.id: int(sample.id.rpartition("-")[2]) for sample in self.samples}

    def _index(self, sample_id: str) -> int:
        prefix, _, digits = sample_id.rpartition("-")
        if self._chosen is not None:
            if sample_id in self._chosen:
                return self._chosen[sample_id]
        elif prefix == self.split and len(digits) == 6 and digits.isdecimal():
            index = int(digits)
            if index < self.count and sample_id == _identifier(self.split, index):
                return index
        raise DataError(f"no sample has the id {sample_id!r}", code="E_SAMPLE_ID", where=self.name)


class SynthDefinition(TestSetDefinition):
    """The embedded world: textured objects, synthesised sounds, exact masks.

    Options: ``count`` (samples), ``seed``, ``category_set`` (0 is the set that shipped models are
    trained on) and ``object_size`` (``normal`` or ``small``).
    """

    name = "synth"
    title = "the embedded world synth"
    splits = (*SPLITS, *_OPEN_SET)
    embedded = True

    def open(self, folder: Path | None, split: str, options: Mapping[str, Any]) -> SynthTestSet:
        """Open one split, without a folder; raises DataError for an unknown or invalid option."""
        del folder
        asked = checked(dict(options), _Options, self.name, error=DataError)
        count = _DEFAULT_COUNTS[split] if asked.count is None else asked.count
        if split in PAIRED and count % 2:
            raise DataError(
                f"count is {count}, and {split} samples come in pairs",
                code="E_COUNT_ODD",
                where=self.name,
                remedy="give an even number",
            )
        world = World(asked.seed, asked.category_set, asked.object_size)
        return SynthTestSet(world, split, count)

    def layout(self) -> str:
        """That there is nothing to put into a folder."""
        return (
            "synth needs no data folder: its images, sounds and masks are made by code,\n"
            f"the same on every machine (world version {WORLD_VERSION}).\n"
            f"Splits: {', '.join(self.splits)}.\n"
            f"What was rendered is kept in {cache_folder()}, which may be deleted at any time."
        )

    def verify(self, folder: Path | None) -> list[Finding]:
        """Render the pinned samples again and compare their digests, without a folder."""
        del folder
        differs = (
            f"renders differently from world version {WORLD_VERSION}; "
            f"numpy is {np.__version__}, install the version in constraints.txt"
        )
        return [
            Finding("ok", item, "renders as pinned")
            if agrees
            else Finding("corrupt", item, differs)
            for item, agrees in check_pinned()
        ]


@lru_cache(maxsize=4)
def _samples(world: World, split: str, count: int, cache: Path) -> tuple[Sample, ...]:
    """Samples of a split; protocols of one process ask for the same few again and again."""
    if split not in _OPEN_SET:
        return tuple(itertools.islice(_drawn(world, split, cache), count))
    heard = {kind.name: kind.heard for kind in world.kinds}

    def fits(sample: Sample) -> bool:
        return all(heard[name] is _OPEN_SET[split] for name in sample.category.split("+"))

    return tuple(itertools.islice(filter(fits, _drawn(world, "standard", cache)), count))


def _drawn(world: World, split: str, cache: Path) -> Iterator[Sample]:
    """The samples of a split that is drawn, without end."""
    for index in itertools.count():
        number, row = divmod(index, world.chunk)
        if row == 0:
            truth = load_or_render(world, split, number, ("truth",), ArrayCache(cache))["truth"]
        facts = {key: values[row] for key, values in truth.items()}
        yield _sample(split, index, world.kinds, facts)


def _identifier(split: str, index: int) -> str:
    return f"{split}-{index:06d}"


def _sample(
    split: str, index: int, kinds: Sequence[Category], facts: Mapping[str, NDArray[Any]]
) -> Sample:
    sounds, boxes = facts["sounding"], facts["boxes"]
    objects = [
        {
            "category": kinds[category].name,
            "box": boxes[number].tolist(),
            "capable": kinds[category].capable,
            "sounding": bool(sounds[number]),
        }
        for number, category in enumerate(facts["category"].tolist())
        if category >= 0
    ]
    sounding = [entry["category"] for entry in objects if entry["sounding"]]
    capable = [entry["category"] for entry in objects if entry["capable"]]
    paired = split in PAIRED
    scene = f"{split}-scene-{index // 2 if paired else index:06d}"
    pixels = np.concatenate([[False], sounds])[facts["labels"]]
    frame = float(SIZE), float(SIZE)
    return Sample(
        id=_identifier(split, index),
        group=scene,
        category="+".join(sorted(sounding)),
        annotation=Mask(pixels, Boxes(boxes[sounds].astype(np.float64), frame)),
        categories=tuple(sorted(capable)),
        attributes={
            **({"image": scene} if paired else {}),
            "type": "A" if len(sounding) == len(capable) else "B",
            "n_objects": len(objects),
            "n_capable": len(capable),
            "n_sounding": len(sounding),
            "n_silent": len(objects) - len(capable),
            "objects": objects,
        },
    )


TEST_SET = SynthDefinition()
