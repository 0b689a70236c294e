"""Weights from their official address, checked against a digest and kept in a cache folder."""

from __future__ import annotations

import http.client
import shutil
import urllib.request
from pathlib import Path

from ssl_bench.errors import WeightsError
from ssl_bench.files import atomic_path, cache_folder, sha256_of_file
from ssl_bench.models.recipes import OfficialWeights

_TIMEOUT = 30


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
        _check(target, weights, target, "delete it, and it is fetched again")
        return target
    try:
        with (
            urllib.request.build_opener().open(weights.url, timeout=_TIMEOUT) as answer,
            atomic_path(target) as temporary,
        ):
            with temporary.open("wb") as stream:
                shutil.copyfileobj(answer, stream)
            remedy = "try again; if it stays so, the file at that address has changed"
            _check(temporary, weights, weights.url, remedy)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise WeightsError(
            f"this file could not be fetched ({getattr(error, 'reason', error)})",
            code="E_WEIGHTS_DOWNLOAD",
            where=weights.url,
            remedy="check the network, or fetch the file elsewhere and give its path",
        ) from None
    return target


def _check(path: Path, weights: OfficialWeights, where: str | Path, remedy: str) -> None:
    found = sha256_of_file(path)[: len(weights.sha256)]
    if found != weights.sha256:
        raise WeightsError(
            f"this file has the digest {found}..., and the published one {weights.sha256}...",
            code="E_WEIGHTS_DIGEST",
            where=where,
            remedy=remedy,
        )
