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


def save_figure(figure: Figure, path: Path, source: str | None = None) -> None:
    """Write a figure as PNG, whole or not at all; equal figures give equal bytes.

    `source` is the digest of what it shows, which the file keeps for
    :func:`~ssl_bench.media.image.source_of`.
    """
    try:
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format="png", metadata={"Software": None, SOURCE: source})
    except OSError as error:
        raise ResultError(
            f"the picture cannot be written ({error.strerror})",
            code="E_PICTURE_WRITE",
            where=path,
            remedy="choose a folder that you may write to",
        ) from error
