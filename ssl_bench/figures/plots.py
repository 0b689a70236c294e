"""What all figures share: how one is made, and how it is written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_bench.errors import ResultError
from ssl_bench.files import atomic_path
from ssl_bench.media.image import SOURCE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(width: float, height: float, **settings: Any) -> Figure:
    """A figure of that many inches, without pyplot: that keeps figures, and may want a display."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), **settings)


# What would change from file to file, by format.
_CHANGING = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
}


def save_figure(figure: Figure, path: Path, source: str | None = None) -> None:
    """Write a figure, whole or not at all; equal figures give equal bytes.

    As PDF or SVG where the file is called so, else as PNG; `source` is the digest of what it shows,
    which a PNG file keeps for :func:`~ssl_bench.media.image.source_of`.
    """
    from matplotlib import rc_context

    ending = path.suffix[1:].lower()
    kind = ending if ending in _CHANGING else "png"
    metadata = _CHANGING[kind] | ({SOURCE: source} if kind == "png" else {})
    try:
        with atomic_path(path) as temporary, rc_context({"svg.hashsalt": "ssl-bench"}):
            figure.savefig(temporary, format=kind, metadata=metadata)
    except OSError as error:
        raise ResultError(
            f"the picture cannot be written ({error.strerror})",
            code="E_PICTURE_WRITE",
            where=path,
            remedy="choose a folder that you may write to",
        ) from error
