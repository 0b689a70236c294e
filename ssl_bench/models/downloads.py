"""Weights from their official address, checked against a digest and kept in a cache folder."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from pathlib import Path

from ssl_bench.errors import WeightsError
from ssl_bench.files import atomic_path, cache_folder, sha256_of_file
from ssl_bench.models.recipes import OfficialWeights

_PIECE = 1 << 20
_SECONDS = 30


def fetch(weights: OfficialWeights, folder: Path | None = None) -> Path:
    """Path of a published file, which is fetched if it is not there yet.

    The file appears whole and checked, or not at all. One that is there already is checked, too.

    Parameters
    ----------
    weights
        The file.
    folder
        Where files are kept; None for the user's cache folder.

    Raises
    ------
    WeightsError
        If the address does not answer, the transfer breaks off, or the file has another digest.

    Examples
    --------
    >>> import tempfile
    >>> from ssl_bench.files import sha256_of_file
    >>> source = Path(tempfile.mkdtemp()) / "weights.pth"
    >>> _ = source.write_bytes(b"weights")
    >>> published = OfficialWeights(url=source.as_uri(), sha256=sha256_of_file(source)[:8])
    >>> fetch(published, source.parent / "cache").read_bytes()
    b'weights'
    """
    target = (folder or cache_folder()) / weights.file
    if target.is_file():
        _check(target, sha256_of_file(target), weights, "delete it, and it is fetched again")
        return target
    with atomic_path(target) as temporary:
        _check(
            weights.url,
            _transfer(weights.url, temporary),
            weights,
            "try again; if it stays so, the file at that address has changed",
        )
    return target


def _transfer(url: str, path: Path) -> str:
    """Copy what is at an address into a file; returns its digest."""
    digest = hashlib.sha256()
    try:
        opener = urllib.request.build_opener()
        with opener.open(url, timeout=_SECONDS) as answer, path.open("wb") as stream:
            expected = answer.headers.get("Content-Length")
            count = 0
            while piece := answer.read(_PIECE):
                digest.update(piece)
                stream.write(piece)
                count += len(piece)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise WeightsError(
            f"this file could not be fetched ({_reason(error)})",
            where=url,
            remedy="check the network, or fetch the file elsewhere and give its path",
        ) from None
    if expected is not None and count != int(expected):
        raise WeightsError(
            f"the transfer broke off after {count:,} of {int(expected):,} bytes",
            where=url,
            remedy="try again",
        )
    return digest.hexdigest()


def _check(where: str | Path, found: str, weights: OfficialWeights, remedy: str) -> None:
    if not found.startswith(weights.sha256):
        raise WeightsError(
            f"this file has the digest {found[: len(weights.sha256)]}..., and the published one "
            f"{weights.sha256}...",
            where=where,
            remedy=remedy,
        )


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", error))
