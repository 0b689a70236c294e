"""What a figure shows, by its pixels and its bytes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

Pixels = np.ndarray[Any, Any]


def pixels_of(drawn: Path | Figure) -> Pixels:
    """A figure or a PNG file, ``(h, w, 3)`` uint8."""
    if isinstance(drawn, Figure):
        stream = io.BytesIO()
        drawn.savefig(stream, format="png")
        return np.asarray(Image.open(stream).convert("RGB"))
    return np.asarray(Image.open(io.BytesIO(drawn.read_bytes())).convert("RGB"))


def count_of(picture: Pixels, colour: tuple[int, int, int]) -> int:
    """How many pixels have a colour, or nearly."""
    return int((np.abs(picture.astype(int) - colour).max(axis=2) <= 2).sum())


def is_blank(picture: Pixels) -> bool:
    return len(np.unique(picture)) < 10


def is_cut_off(picture: Pixels) -> bool:
    """Whether anything reaches the edge, where nothing should."""
    edges = (picture[:3], picture[-3:], picture[:, :3], picture[:, -3:])
    return any((edge != 255).any() for edge in edges)
