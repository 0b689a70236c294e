"""Finished parts at an address that all machines share, such as ``s3://bucket/parts``."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssl_bench.errors import SslBenchError, shortened
from ssl_bench.extras import extra_needed
from ssl_bench.files import NO_SPACE, atomic_path


def is_address(text: str) -> bool:
    """Whether a text is an address of fsspec, and not the path of a folder."""
    return "://" in text


@dataclass(frozen=True)
class Store:
    """A folder of files at an address; each is there whole or not at all.

    Each method raises SslBenchError if the address cannot be reached.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "part"
    >>> _ = file.write_text("whole")
    >>> store = Store("memory://parts")
    >>> store.put(file)
    >>> file.unlink()
    >>> store.fetch(file), file.read_text()
    (True, 'whole')
    """

    address: str

    def require(self) -> None:
        """Refuse an address that nothing can be put at."""
        with self._reached() as (files, root):
            files.makedirs(root, exist_ok=True)
            # Storage without folders finds out only now whether it can be reached.
            probe = f"{root}/.{secrets.token_hex(8)}"
            files.pipe_file(probe, b"probe")
            files.rm_file(probe)

    def fetch(self, target: Path) -> bool:
        """Write a file of that name to `target`; False if there is none."""
        with self._reached() as (files, root):
            try:
                with atomic_path(target) as temporary:
                    files.get_file(f"{root}/{target.name}", str(temporary))
            except FileNotFoundError:
                return False
        return True

    def put(self, path: Path) -> None:
        """Put a file there, under its name."""
        with self._reached() as (files, root):
            files.makedirs(root, exist_ok=True)
            temporary = f"{root}/.{path.name}.{secrets.token_hex(8)}"
            files.put_file(str(path), temporary)
            files.mv(temporary, f"{root}/{path.name}")

    def remove(self, name: str | None = None) -> None:
        """Remove a file of that name, if there is one; None for all of them."""
        with self._reached() as (files, root):
            path = root if name is None else f"{root}/{name}"
            if files.exists(path):
                files.rm(path, recursive=name is None)

    @contextmanager
    def _reached(self) -> Iterator[tuple[Any, str]]:
        with extra_needed(f"--parts {self.address}"):
            from fsspec.core import url_to_fs
        try:
            yield url_to_fs(self.address)
        except Exception as error:  # Each kind of storage has its own.
            if isinstance(error, OSError) and error.errno in NO_SPACE:
                raise
            reason = " ".join(str(error).split()) or type(error).__name__
            raise SslBenchError(
                f"parts cannot be kept at this address ({shortened(reason, 200)})",
                code="E_PARTS_ADDRESS",
                where=self.address,
                remedy="give an address of fsspec such as s3://BUCKET/FOLDER, with the library and "
                "the credentials that it needs, or a folder",
            ) from error
