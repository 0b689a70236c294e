"""A bounded folder of rendered arrays, shared by any number of processes.

Every file starts with the SHA-256 of the rest, so that a damaged file is recognised, whatever
happened to it, and counts as absent. Files are written aside and renamed. The folder never holds
more than its limit: the files that were used least recently make room.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench import files
from ssl_bench.files import atomic_path
from ssl_bench.testsets.synth.streams import WORLD_VERSION

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
