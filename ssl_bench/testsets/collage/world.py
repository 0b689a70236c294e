"""The scenes: each is a pure function of (recipe, sources, split, index)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.files import digest_of_code
from ssl_bench.media.video_input import VideoInput
from ssl_bench.testsets.base import Finding, corrupt
from ssl_bench.testsets.collage import motion, rendering, sounds
from ssl_bench.testsets.collage.layout import (
    PAIRED,
    SIZE,
    SPLITS,
    Placed,
    Shape,
    Stock,
    draw_things,
    with_sounds,
)
from ssl_bench.testsets.collage.materials import (
    RATE,
    Samples,
    read_cutout,
    read_photograph,
    read_sound,
)
from ssl_bench.testsets.collage.sources import Material, Sources
from ssl_bench.testsets.motion import path
from ssl_bench.testsets.rendered import ArrayCache, Arrays, cache_of
from ssl_bench.testsets.synth.exact import smooth_noise

RECIPE = 2
"""Raised whenever a pixel, a mask or a sound of any scene changes."""

_LAYOUT, _PICTURE, _SOUND, _MOTION = range(4)  # the last one plus the thing's number
# What decides how files are read and checked: what an earlier version kept is made again.
_CODE = ("testsets/collage", "testsets/synth/exact.py", "media")
_LIBRARIES = ("numpy", "pillow", "simplejpeg", "soundfile", "av")


@dataclass(frozen=True)
class Scene:
    """One scene: its split and index, and its things in the order of painting.

    `number` is that of the picture in its split: the index, except in the splits `PAIRED`.
    """

    split: str
    index: int
    number: int
    things: tuple[Placed, ...]

    @property
    def sounding(self) -> tuple[int, ...]:
        """Numbers of the things that sound."""
        return tuple(number for number, thing in enumerate(self.things) if thing.sounding)


class World:
    """All scenes of some sources; `seed` gives others."""

    chunk = 10

    def __init__(self, sources: Sources, seed: int = 0) -> None:
        self.sources = sources
        self.seed = seed
        self.capable = tuple(each.role in ("seen", "unseen") for each in sources.cutouts)
        self._kept: dict[str, NDArray[Any]] = {}

    @property
    def name(self) -> str:
        """Folder of what is rendered of this world, in the cache."""
        return f"{self.sources.digest[:16]}-seed{self.seed}-{_code()}"

    def scene(self, split: str, index: int) -> Scene:
        """Scene `index` >= 0 of one of `SPLITS`."""
        number, turn = divmod(index, 2) if split in PAIRED else (index, 0)
        things = draw_things(self._stream(split, number, _LAYOUT), split, self._stocks[split])
        return Scene(split, index, number, with_sounds(things, split, turn, self.capable))

    def labels(self, scene: Scene) -> NDArray[np.uint8]:
        """``(448, 448)`` uint8: 0 for the background, k + 1 where thing k is visible."""
        return self.label_map_of(scene.things)

    def label_map_of(self, things: Sequence[Placed]) -> NDArray[np.uint8]:
        """The same of some things."""
        return rendering.label_map(things, self._cutout)

    def image(self, scene: Scene) -> NDArray[np.uint8]:
        """Image ``(448, 448, 3)`` uint8 RGB of a scene."""
        image: NDArray[np.uint8] = self._painted(scene, np.zeros((len(scene.things), 1, 2)))[0]
        return image

    def frames(self, scene: Scene, video: VideoInput) -> NDArray[np.uint8]:
        """Frames ``(n, 448, 448, 3)`` uint8 RGB around the image of a scene, the middle one.

        Everything moves as far: see :mod:`ssl_bench.testsets.collage.motion`.
        """
        return self._painted(scene, self.paths(scene, video))

    def paths(self, scene: Scene, video: VideoInput) -> NDArray[np.float64]:
        """How far each thing is from its place in each frame, ``(things, n, 2)``: columns, rows."""
        _, sources = self._heard(scene)
        heard = {self._category(scene.things[number]) for number in sources}
        found = []
        for number, thing in enumerate(scene.things):
            rng = self._stream(scene.split, scene.number, _MOTION + number)
            turn = float(rng.random())
            if thing.sounding:
                signal = sources[number]
            else:
                chosen = motion.unheard(rng, self._category(thing), heard, self._recordings)
                signal = sounds.source(rng, self._prepared("sound", chosen, read_sound))
            found.append(path(signal, RATE, turn, video.moments, motion.REACH))
        return np.array(found)

    def sound(self, scene: Scene) -> NDArray[np.int16]:
        """Sound ``(48000,)`` int16 of what sounds in a scene, over noise."""
        rng, sources = self._heard(scene)
        return sounds.mixture(rng, list(sources.values())).astype(np.int16)

    def render(self, split: str, number: int, parts: Sequence[str]) -> dict[str, Arrays]:
        """Parts of one chunk: ``truth`` (label maps), ``images`` and ``sounds`` of ten scenes."""
        first = self.chunk * number
        scenes = [self.scene(split, first + offset) for offset in range(self.chunk)]
        making: Mapping[str, Callable[[Scene], NDArray[Any]]]
        making = {"truth": self.labels, "images": self.image, "sounds": self.sound}
        return {part: {part: np.stack([making[part](each) for each in scenes])} for part in parts}

    def unreadable(self) -> list[Finding]:
        """One finding for each file that cannot be used."""
        wanted: list[tuple[str, Material, Callable[[Path], NDArray[Any]]]] = [
            *(("cutout", each.file, read_cutout) for each in self.sources.cutouts),
            *(("sound", sound, read_sound) for _, sound in self.sources.sounds),
            *(("photograph", each, read_photograph) for _, each in self.sources.photographs),
        ]
        findings = []
        for kind, material, read in wanted:
            try:
                self._prepared(kind, material, read)
            except DataError as error:
                findings += corrupt(material.path.name, error)
        return findings

    def _painted(self, scene: Scene, ways: NDArray[np.float64]) -> NDArray[np.uint8]:
        rng = self._stream(scene.split, scene.number, _PICTURE)
        use = scene.split if scene.split in ("train", "validation") else "test"
        behind = [each for kind, each in self.sources.photographs if kind == use]
        if behind:
            chosen = behind[int(rng.integers(len(behind)))]
            photograph = self._prepared("photograph", chosen, read_photograph)
        else:
            photograph = _drawn(rng)
        places = ways.astype(np.int64)
        return rendering.paint_frames(rng, scene.things, self._cutout, photograph, places)

    def _heard(self, scene: Scene) -> tuple[np.random.Generator, dict[int, Samples]]:
        """What is heard of each thing that sounds, by its number, and what draws the noise."""
        # Samples that share a picture differ in what sounds, and in the noise.
        rng = self._stream(scene.split, scene.index, _SOUND)
        recordings = {}
        for number in scene.sounding:
            known = self._recordings[self._category(scene.things[number])]
            chosen = known[int(rng.integers(len(known)))]
            recordings[number] = self._prepared("sound", chosen, read_sound)
        return rng, {number: sounds.source(rng, each) for number, each in recordings.items()}

    def _category(self, thing: Placed) -> str:
        return self.sources.cutouts[thing.cutout].category

    def _cutout(self, number: int) -> NDArray[np.uint8]:
        return self._prepared("cutout", self.sources.cutouts[number].file, read_cutout)

    @cached_property
    def _recordings(self) -> dict[str, list[Material]]:
        found: dict[str, list[Material]] = {}
        for category, sound in self.sources.sounds:
            found.setdefault(category, []).append(sound)
        return found

    @cached_property
    def _shapes(self) -> tuple[Shape, ...]:
        """Shapes of all cut-outs, which opening needs: kept together in one file."""
        cache, name = _materials(), f"shapes-{self.sources.digest[:16]}-{_code()}"
        kept = cache.load(name)
        if kept is None:
            facts = []
            for number in range(len(self.sources.cutouts)):
                alpha = self._cutout(number)[..., 3]
                facts.append((alpha.shape[1], alpha.shape[0], np.count_nonzero(alpha)))
            kept = {"shapes": np.array(facts, np.int64)}
            cache.store(name, kept)
        return tuple(
            Shape(width, height, inside / (width * height))
            for width, height, inside in kept["shapes"].tolist()
        )

    @cached_property
    def _stocks(self) -> dict[str, Stock]:
        def numbers(role: str) -> list[int]:
            return [n for n, each in enumerate(self.sources.cutouts) if each.role == role]

        def by_category(role: str) -> dict[str, list[int]]:
            found: dict[str, list[int]] = {}
            for number in numbers(role):
                found.setdefault(self.sources.cutouts[number].category, []).append(number)
            return found

        rest = numbers("look-alike"), numbers("salient"), self._shapes
        return {
            split: Stock(by_category("unseen" if split == "unseen-cutouts" else "seen"), *rest)
            for split in SPLITS
        }

    def _prepared(
        self, kind: str, material: Material, read: Callable[[Any], NDArray[Any]]
    ) -> NDArray[Any]:
        name = f"{kind}-{material.digest}-{_code()}"
        if name not in self._kept:
            cache = _materials()
            arrays = cache.load(name)
            if arrays is None:
                arrays = {kind: read(material.path)}
                cache.store(name, arrays)
            self._kept[name] = arrays[kind]
        return self._kept[name]

    def _stream(self, split: str, number: int, purpose: int) -> np.random.Generator:
        key = [RECIPE, self.seed, SPLITS.index(split), number, purpose, 1]
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def _code() -> str:
    return digest_of_code(_CODE, libraries=_LIBRARIES)[:16]


def _materials() -> ArrayCache:
    return ArrayCache(cache_of("collage", RECIPE) / "materials")


def _drawn(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A background of smooth patches of colour, where there are no photographs."""
    coarse, fine = smooth_noise(rng, 3, SIZE, 3), smooth_noise(rng, 24, SIZE, 3)
    return np.floor(128.0 + 70.0 * coarse + 25.0 * fine).astype(np.uint8)
