"""Finding media files by the id of a sample."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ssl_bench.errors import DataError


def find_media(folder: Path, stem: str, suffixes: Sequence[str]) -> Path | None:
    """The file of that name with the first of the suffixes that exists; None where none does.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "clip.png").touch()
    >>> find_media(folder, "clip", [".jpg", ".png"]).name
    'clip.png'
    """
    for suffix in suffixes:
        path = folder / f"{stem}{suffix}"
        if path.is_file():
            return path
    return None


def require_media(folder: Path, stem: str, suffixes: Sequence[str]) -> Path:
    """As :func:`find_media`; raises DataError where there is no file."""
    path = find_media(folder, stem, suffixes)
    if path is None:
        raise DataError(
            f"there is no file for {stem!r} here",
            code="E_FILE_MISSING",
            where=folder,
            remedy=f"add {stem} with one of the endings {', '.join(suffixes)}",
        )
    return path


def require_content(path: Path) -> None:
    """Raise DataError where a file is missing or empty."""
    if not path.is_file():
        raise DataError("this file does not exist", code="E_FILE_MISSING", where=path)
    if path.stat().st_size == 0:
        remedy = "extract or download it again"
        raise DataError("this file is empty", code="E_FILE_EMPTY", where=path, remedy=remedy)
