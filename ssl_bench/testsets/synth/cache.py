"""Samples rendered in chunks of fifty, and a bounded folder of what was rendered.

A chunk has three parts that are rendered and stored apart: ``truth`` (label maps and facts),
``images`` and ``sounds``. Opening a test set needs the first only.

Any number of processes share the folder. Every file starts with the SHA-256 of the rest, so that a
damaged file is recognised and counts as absent. Files are written aside and renamed. The folder
never holds more than its limit: the files that were used least recently make room.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench import files
from ssl_bench.files import atomic_path
from ssl_bench.testsets.synth.streams import WORLD_VERSION
from ssl_bench.testsets.synth.world import MAX_OBJECTS, Scene, World, object_boxes

CHUNK = 50
"""Samples in a chunk."""

PARTS = ("truth", "images", "sounds")

Progress = Callable[[int, int], None]
"""Called with the number of samples done and the total."""

_IN_MEMORY = 24  # chunks of each part: about 60 MB of images and 53 MB of sounds

DEFAULT_LIMIT = 2 * 1024**3

Arrays = Mapping[str, NDArray[Any]]

_DIGEST_BYTES = 32


def cache_folder() -> Path:
    """Folder of this world's version, in the user's cache folder."""
    return files.cache_folder("synth", f"v{WORLD_VERSION}")


class ArrayCache:
    """Named groups of arrays on disk.

    The folder is created when something is stored; its files have `limit` bytes in all at most.

    Examples
    --------
    >>> import tempfile
    >>> cache = ArrayCache(Path(tempfile.mkdtemp()))
    >>> cache.load("a/b") is None
    True
    >>> cache.store("a/b", {"x": np.arange(3)})
    >>> cache.load("a/b")["x"].tolist()
    [0, 1, 2]
    """

    def __init__(self, folder: Path, limit: int = DEFAULT_LIMIT) -> None:
        self.folder = folder
        self.limit = limit

    def load(self, name: str) -> Arrays | None:
        """The arrays stored under `name`; None where there are none or the file is damaged."""
        path = self._path(name)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        body = memoryview(content)[_DIGEST_BYTES:]
        if hashlib.sha256(body).digest() != content[:_DIGEST_BYTES]:
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        with np.load(io.BytesIO(body), allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}

    def store(self, name: str, arrays: Arrays, *, compress: bool = False) -> None:
        """Store arrays under `name`; a folder that cannot be written only costs time later."""
        buffer = io.BytesIO()
        content: dict[str, Any] = dict(arrays)
        (np.savez_compressed if compress else np.savez)(buffer, **content)
        body = buffer.getbuffer()
        if len(body) + _DIGEST_BYTES > self.limit:
            return
        with contextlib.suppress(OSError):
            with atomic_path(self._path(name)) as temporary, temporary.open("wb") as stream:
                stream.write(hashlib.sha256(body).digest())
                stream.write(body)
            self._make_room()

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npz.sum"

    def _make_room(self) -> None:
        files: list[tuple[float, int, Path]] = []
        for path in self.folder.rglob("*"):
            # Another process may remove a file between the listing and the look at it.
            with contextlib.suppress(OSError):
                facts = path.stat()
                if path.is_file():
                    files.append((facts.st_mtime, facts.st_size, path))
        excess = sum(size for _, size, _ in files) - self.limit
        for _, size, path in sorted(files):
            if excess <= 0:
                break
            with contextlib.suppress(OSError):
                path.unlink()
            excess -= size


def render_chunk(world: World, split: str, number: int, parts: Sequence[str]) -> dict[str, Arrays]:
    """Render parts of one chunk: samples ``50 * number`` to ``50 * number + 49``.

    ``truth`` holds ``labels`` (50, 128, 128) uint8, ``category`` (50, 5) int8 (-1: no such object),
    ``sounding`` (50, 5) bool and ``boxes`` (50, 5, 4) int16; ``images`` holds ``images``
    (50, 128, 128, 3) uint8; ``sounds`` holds ``sounds`` (50, 22050) int16.
    """
    scenes = [world.scene(split, CHUNK * number + offset) for offset in range(CHUNK)]
    rendered: dict[str, Arrays] = {}
    if "truth" in parts:
        rendered["truth"] = _truth(scenes)
    if "images" in parts:
        rendered["images"] = {"images": np.stack([world.image(scene) for scene in scenes])}
    if "sounds" in parts:
        rendered["sounds"] = {"sounds": np.stack([world.sound(scene) for scene in scenes])}
    return rendered


def _truth(scenes: Sequence[Scene]) -> Arrays:
    category = np.full((CHUNK, MAX_OBJECTS), -1, np.int8)
    sounding = np.zeros((CHUNK, MAX_OBJECTS), np.bool_)
    boxes = np.zeros((CHUNK, MAX_OBJECTS, 4), np.int16)
    for row, scene in enumerate(scenes):
        count = len(scene.objects)
        category[row, :count] = [placed.category for placed in scene.objects]
        sounding[row, :count] = [placed.sounding for placed in scene.objects]
        boxes[row, :count] = object_boxes(scene.labels, count)
    labels = np.stack([scene.labels for scene in scenes])
    return {"labels": labels, "category": category, "sounding": sounding, "boxes": boxes}


def load_or_render(
    world: World, split: str, number: int, parts: Sequence[str], cache: ArrayCache
) -> dict[str, Arrays]:
    """Parts of one chunk, from the cache where it has them; the rest is rendered and stored."""
    found = {part: cache.load(_name(world, split, number, part)) for part in parts}
    missing = [part for part, arrays in found.items() if arrays is None]
    rendered = render_chunk(world, split, number, missing) if missing else {}
    for part, arrays in rendered.items():
        cache.store(_name(world, split, number, part), arrays, compress=part == "truth")
    present = {part: arrays for part, arrays in found.items() if arrays is not None}
    return {**present, **rendered}


def _name(world: World, split: str, number: int, part: str) -> str:
    which = f"set{world.category_set}-seed{world.seed}-{world.object_size}"
    return f"{which}/{split}/{part}-{number:05d}"


def iterate_chunks(
    world: World,
    split: str,
    count: int,
    parts: Sequence[str],
    cache: ArrayCache,
    progress: Progress | None = None,
) -> Iterator[dict[str, Arrays]]:
    """Parts of all chunks of the first `count` samples, in order; the last one is cut."""
    for number in range(-(-count // CHUNK)):
        chunk = load_or_render(world, split, number, parts, cache)
        rows = min(CHUNK, count - CHUNK * number)
        yield {
            part: {key: values[:rows] for key, values in arrays.items()}
            for part, arrays in chunk.items()
        }
        if progress is not None:
            progress(CHUNK * number + rows, count)


class ChunkReader:
    """Random access to single samples of a split, with the chunks used last in memory."""

    def __init__(self, world: World, split: str, cache: ArrayCache) -> None:
        self._world = world
        self._split = split
        self._cache = cache
        self._kept: dict[str, OrderedDict[int, Arrays]] = {part: OrderedDict() for part in PARTS}

    def row(self, part: str, index: int) -> Arrays:
        """Arrays of one sample's part; views that must not be written to."""
        number, row = divmod(index, CHUNK)
        kept = self._kept[part]
        if number not in kept:
            kept[number] = load_or_render(self._world, self._split, number, (part,), self._cache)[
                part
            ]
            if len(kept) > _IN_MEMORY:
                kept.popitem(last=False)
        kept.move_to_end(number)
        return {key: values[row] for key, values in kept[number].items()}
