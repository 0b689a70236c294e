"""Samples that are made by code, rendered in chunks, and a bounded folder of what was rendered.

A chunk has three parts that are rendered and stored apart: ``truth`` (label maps and facts),
``images`` and ``sounds``. Opening a test set needs the first at most.

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
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ssl_bench import files
from ssl_bench.files import atomic_path

PARTS = ("truth", "images", "sounds")

Progress = Callable[[int, int], None]
"""Called with the number of samples done and the total."""

_IN_MEMORY = 24  # chunks of each part: of synth, about 60 MB of images and 53 MB of sounds

DEFAULT_LIMIT = 2 * 1024**3

Arrays = Mapping[str, NDArray[Any]]

_DIGEST_BYTES = 32


class Renderer(Protocol):
    """A world that renders samples, `chunk` of them at a time."""

    @property
    def chunk(self) -> int:
        """Samples in a chunk."""

    @property
    def name(self) -> str:
        """Name of a folder for what it renders: another world has another."""

    def render(self, split: str, number: int, parts: Sequence[str]) -> dict[str, Arrays]:
        """Parts of one chunk of a split; arrays have a row for each sample."""


def cache_of(test_set: str, version: int) -> Path:
    """Folder of one version of a test set, in the user's cache folder."""
    return files.cache_folder(test_set, f"v{version}")


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


def load_or_render(
    world: Renderer, split: str, number: int, parts: Sequence[str], cache: ArrayCache
) -> dict[str, Arrays]:
    """Parts of one chunk, from the cache where it has them; the rest is rendered and stored."""
    found = {part: cache.load(_name(world, split, number, part)) for part in parts}
    missing = [part for part, arrays in found.items() if arrays is None]
    rendered = world.render(split, number, missing) if missing else {}
    for part, arrays in rendered.items():
        cache.store(_name(world, split, number, part), arrays, compress=part == "truth")
    present = {part: arrays for part, arrays in found.items() if arrays is not None}
    return {**present, **rendered}


def _name(world: Renderer, split: str, number: int, part: str) -> str:
    return f"{world.name}/{split}/{part}-{number:05d}"


def iterate_chunks(
    world: Renderer,
    split: str,
    count: int,
    parts: Sequence[str],
    cache: ArrayCache,
    progress: Progress | None = None,
) -> Iterator[dict[str, Arrays]]:
    """Parts of all chunks of the first `count` samples, in order; the last one is cut."""
    for number in range(-(-count // world.chunk)):
        chunk = load_or_render(world, split, number, parts, cache)
        rows = min(world.chunk, count - world.chunk * number)
        yield {
            part: {key: values[:rows] for key, values in arrays.items()}
            for part, arrays in chunk.items()
        }
        if progress is not None:
            progress(world.chunk * number + rows, count)


class ChunkReader:
    """Random access to single samples of a split, with the chunks used last in memory."""

    def __init__(self, world: Renderer, split: str, cache: ArrayCache) -> None:
        self._world = world
        self._split = split
        self._cache = cache
        self._kept: dict[str, OrderedDict[int, Arrays]] = {part: OrderedDict() for part in PARTS}

    def row(self, part: str, index: int) -> Arrays:
        """Arrays of one sample's part; views that must not be written to."""
        number, row = divmod(index, self._world.chunk)
        kept = self._kept[part]
        if number not in kept:
            kept[number] = load_or_render(self._world, self._split, number, (part,), self._cache)[
                part
            ]
            if len(kept) > _IN_MEMORY:
                kept.popitem(last=False)
        kept.move_to_end(number)
        return {key: values[row] for key, values in kept[number].items()}
