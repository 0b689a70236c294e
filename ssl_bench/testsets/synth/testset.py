"""The embedded world as a test set."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError, one_of
from ssl_bench.files import sha256_of_json
from ssl_bench.media.waveform import Waveform
from ssl_bench.testsets.annotations import Boxes, Mask
from ssl_bench.testsets.base import Finding, Sample, SilentPair, TestSet, TestSetDefinition
from ssl_bench.testsets.silent import off_screen_partners
from ssl_bench.testsets.synth import mixing
from ssl_bench.testsets.synth.arrays import sounding_pixels
from ssl_bench.testsets.synth.cache import ArrayCache, cache_folder
from ssl_bench.testsets.synth.categories import Category
from ssl_bench.testsets.synth.chunks import ChunkReader, Progress, iterate_chunks
from ssl_bench.testsets.synth.layout import SIZE
from ssl_bench.testsets.synth.pinned import check_pinned
from ssl_bench.testsets.synth.sounds import RATE
from ssl_bench.testsets.synth.streams import WORLD_VERSION
from ssl_bench.testsets.synth.world import PAIRED, SPLITS, Scene, World

DEFAULT_COUNTS = {
    "standard": 500,
    "two-source": 500,
    "interactive": 500,
    "type-ab": 1000,
    "train": 4000,
    "val": 500,
}
_LARGEST_COUNT = 1_000_000


class SynthTestSet(TestSet):
    """The first samples of one split of a world.

    Parameters
    ----------
    world
        Seed, category set and object sizes.
    split
        One of :data:`.world.SPLITS`.
    count
        Number of samples; a sample does not depend on it.

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
        self._cache = ArrayCache(cache_folder())
        self._reader = ChunkReader(world, split, self._cache)

    @property
    def kinds(self) -> tuple[Category, ...]:
        """The 22 categories, the 16 that can sound first."""
        return self.world.kinds

    @cached_property
    def samples(self) -> Sequence[Sample]:
        """All samples, in the order of their indices."""
        samples: list[Sample] = []
        for chunk in iterate_chunks(self.world, self.split, self.count, ("truth",), self._cache):
            truth = chunk["truth"]
            pixels = sounding_pixels(truth["labels"], truth["sounding"])
            for row in range(len(pixels)):
                samples.append(
                    _sample(
                        self.split,
                        len(samples),
                        self.kinds,
                        pixels[row],
                        {key: truth[key][row] for key in ("category", "sounding", "boxes")},
                    )
                )
        return tuple(samples)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over world version, seed, split and count, and over ids, boxes and masks."""
        identity = {
            "version": WORLD_VERSION,
            "seed": self.world.seed,
            "category_set": self.world.category_set,
            "object_size": self.world.object_size,
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
        world = self.world
        return self.name, WORLD_VERSION, world.seed, world.category_set, world.object_size

    def image(self, sample_id: str) -> NDArray[np.uint8]:
        """Image ``(128, 128, 3)`` uint8 RGB of one sample."""
        row: NDArray[np.uint8] = self._reader.row("images", self._index(sample_id))["images"]
        return row.copy()

    def waveform(self, sample_id: str) -> Waveform:
        """Sound of one sample: what sounds in it, over ambient noise; two seconds, one channel."""
        row: NDArray[np.int16] = self._reader.row("sounds", self._index(sample_id))["sounds"]
        return _waveform(row.copy())

    @cached_property
    def _silent_pairs(self) -> tuple[SilentPair, ...]:
        partners = off_screen_partners(self.samples, seed=self.world.seed)
        return tuple(
            SilentPair(sample.id, partner.id, sample.group, partner.category, False)
            for sample, partner in zip(self.samples, partners, strict=True)
        )

    def silent_pairs(self) -> Sequence[SilentPair]:
        """Each image with the sound of a scene of which it shows nothing, by the world's seed."""
        return self._silent_pairs

    def scene(self, sample_id: str) -> Scene:
        """All that is known of one sample's scene."""
        return self.world.scene(self.split, self._index(sample_id))

    def object_masks(self, sample_id: str) -> NDArray[np.bool_]:
        """Visible pixels ``(objects, 128, 128)`` bool of every object, sounding or not.

        The objects are numbered as in the sample's ``objects`` attribute.
        """
        labels = self._reader.row("truth", self._index(sample_id))["labels"]
        count = len(self[sample_id].attributes["objects"])
        masks: NDArray[np.bool_] = labels[None] == np.arange(1, count + 1)[:, None, None]
        return masks

    def waveform_of(self, sample_id: str, objects: Sequence[int]) -> Waveform:
        """Sound of some of a scene's objects, as if they and no others sounded.

        Parameters
        ----------
        sample_id
            The sample.
        objects
            Numbers of capable objects in its ``objects`` attribute; none for ambient noise alone.

        Raises
        ------
        DataError
            If an object does not exist or cannot sound.
        """
        return _waveform(self.world.sound(self.scene(sample_id), objects))

    def silence(self) -> Waveform:
        """Two seconds of digital silence."""
        return _waveform(mixing.silence())

    def white_noise(self, index: int) -> Waveform:
        """Two seconds of white noise; another for every index >= 0."""
        return _waveform(self.world.white_noise(index))

    def prepare(self, *, n_jobs: int = 1, progress: Progress | None = None) -> None:
        """Render all images and sounds into the cache ahead of their use.

        Parameters
        ----------
        n_jobs
            Processes; what is rendered does not depend on it.
        progress
            Called with the samples done and their number.
        """
        parts = ("truth", "images", "sounds")
        for _ in iterate_chunks(
            self.world,
            self.split,
            self.count,
            parts,
            self._cache,
            n_jobs=n_jobs,
            progress=progress,
        ):
            pass

    def _index(self, sample_id: str) -> int:
        prefix, _, digits = sample_id.rpartition("-")
        if prefix == self.split and len(digits) == 6 and digits.isdecimal():
            index = int(digits)
            if index < self.count and sample_id == _identifier(self.split, index):
                return index
        raise DataError(f"no sample has the id {sample_id!r}", where=self.name)


class SynthDefinition(TestSetDefinition):
    """The embedded world: textured objects, synthesised sounds, exact masks.

    Options: ``count`` (samples), ``seed``, ``category_set`` (0 is the set that shipped models are
    trained on) and ``object_size`` (``normal`` or ``small``).
    """

    name = "synth"
    title = "the embedded world synth"
    splits = SPLITS
    embedded = True
    truth_convention = "union"

    def open(self, folder: Path | None, split: str, options: Mapping[str, Any]) -> SynthTestSet:
        """Open one split; `folder` is not used.

        Raises
        ------
        DataError
            If the split or an option is unknown, or an option's value is out of range.
        """
        del folder
        if split not in SPLITS:
            raise DataError(f"{self.title} has no split {split!r}", remedy=one_of(SPLITS, split))
        known = ("count", "seed", "category_set", "object_size")
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise DataError(
                f"{', '.join(unknown)} is not an option of {self.title}",
                remedy=one_of(known, unknown[0]),
            )
        numbers = {
            "count": DEFAULT_COUNTS[split],
            "seed": 0,
            "category_set": 0,
            **{key: value for key, value in options.items() if key != "object_size"},
        }
        for key, value in numbers.items():
            if isinstance(value, bool) or not isinstance(value, int):
                raise DataError(
                    f"{key} is {value!r}", where=self.name, remedy="give a whole number"
                )
        count = numbers["count"]
        if not 1 <= count <= _LARGEST_COUNT:
            raise DataError(
                f"count is {count}",
                where=self.name,
                remedy=f"give a whole number from 1 to {_LARGEST_COUNT}",
            )
        if split in PAIRED and count % 2:
            raise DataError(
                f"count is {count}, and {split} samples come in pairs",
                where=self.name,
                remedy="give an even number",
            )
        world = World(
            seed=numbers["seed"],
            category_set=numbers["category_set"],
            object_size=options.get("object_size", "normal"),
        )
        return SynthTestSet(world, split, count)

    def layout(self) -> str:
        """That there is nothing to put into a folder."""
        return (
            "synth needs no data folder: its images, sounds and masks are made by code,\n"
            f"the same on every machine (world version {WORLD_VERSION}).\n"
            f"Splits: {', '.join(SPLITS)}.\n"
            f"What was rendered is kept in {cache_folder()}, which may be deleted at any time."
        )

    def verify(self, folder: Path | None) -> list[Finding]:
        """Render the pinned samples afresh and compare their digests; `folder` is not used."""
        del folder
        return [
            Finding(
                "ok" if agrees else "corrupt",
                item,
                "renders as pinned"
                if agrees
                else f"renders differently from world version {WORLD_VERSION}; "
                f"numpy is {np.__version__}, install the version in constraints.txt",
            )
            for item, agrees in check_pinned()
        ]


def _identifier(split: str, index: int) -> str:
    return f"{split}-{index:06d}"


def _waveform(samples: NDArray[np.int16]) -> Waveform:
    return Waveform(samples[:, None], RATE)


def _sample(
    split: str,
    index: int,
    kinds: Sequence[Category],
    pixels: NDArray[np.bool_],
    facts: Mapping[str, NDArray[Any]],
) -> Sample:
    present = range(int((facts["category"] >= 0).sum()))
    objects = [
        {
            "category": kinds[facts["category"][number]].name,
            "box": facts["boxes"][number].tolist(),
            "capable": kinds[facts["category"][number]].capable,
            "sounding": bool(facts["sounding"][number]),
        }
        for number in present
    ]
    sounding = [entry["category"] for entry in objects if entry["sounding"]]
    capable = [entry["category"] for entry in objects if entry["capable"]]
    boxes = facts["boxes"][facts["sounding"]].astype(np.float64)
    number = index // 2 if split in PAIRED else index
    shared = {"image": f"{split}-scene-{number:06d}"} if split in PAIRED else {}
    return Sample(
        id=_identifier(split, index),
        group=f"{split}-scene-{number:06d}",
        category="+".join(sorted(sounding)),
        annotation=Mask(pixels, Boxes(boxes, (float(SIZE), float(SIZE)))),
        categories=tuple(sorted(capable)),
        attributes={
            **shared,
            "type": "A" if len(sounding) == len(capable) else "B",
            "n_objects": len(objects),
            "n_capable": len(capable),
            "n_sounding": len(sounding),
            "n_silent": len(objects) - len(capable),
            "objects": objects,
        },
    )


TEST_SET = SynthDefinition()
