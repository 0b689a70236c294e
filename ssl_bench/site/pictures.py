"""Maps and truth as a page shows them: a tiny PNG, and an outline.

Both are the same bytes on every machine: the PNG is stored without compression, for compressors
differ.
"""

from __future__ import annotations

import base64
import struct
import zlib
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ssl_bench.leaderboard.entry import ShownMap, TruthMask
from ssl_bench.testsets.truth import decode_rle

_LEVELS = 64
_COLOURS = "cividis"


def map_address(shown: ShownMap) -> str:
    """A map from its own minimum to its own maximum as a ``data:`` address of a PNG.

    Colours are those of cividis, which people with and without colour vision deficiency read alike.

    Examples
    --------
    >>> map_address(ShownMap.of(np.array([[0.0, 0.5]])))[:32]
    'data:image/png;base64,iVBORw0KGg'
    """
    values = shown.array().astype(np.float64)
    low, high = float(values.min()), float(values.max())
    spread = high - low
    share = (values - low) / spread if spread > 0 else np.zeros_like(values)
    levels = np.minimum((share * _LEVELS).astype(np.uint8), _LEVELS - 1)
    return "data:image/png;base64," + base64.b64encode(indexed_png(levels, _palette())).decode()


def indexed_png(levels: NDArray[np.uint8], palette: bytes) -> bytes:
    r"""A PNG whose pixels are places in a palette, not compressed.

    Parameters
    ----------
    levels
        ``(h, w)``, each below the number of colours; at most 65,000 bytes with a byte for each row.
    palette
        Three bytes for each colour.

    Examples
    --------
    >>> indexed_png(np.zeros((1, 1), np.uint8), b"\x00\x00\x00")[:4]
    b'\x89PNG'
    """
    height, width = levels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in levels)
    block = struct.pack("<BHH", 1, len(rows), 0xFFFF ^ len(rows)) + rows
    stream = b"\x78\x01" + block + struct.pack(">I", zlib.adler32(rows))
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, content)
        for kind, content in (
            (b"IHDR", header),
            (b"PLTE", palette),
            (b"IDAT", stream),
            (b"IEND", b""),
        )
    )


def outline(truth: TruthMask) -> str:
    """The border of a mask as the path of an SVG, in pixels of the mask.

    Raises
    ------
    DataError
        If the code does not fit its size.
    """
    mask = decode_rle({"size": list(truth.size), "counts": truth.counts})
    return "".join(f"M{column} {row}" + "".join(steps) + "z" for row, column, steps in _loops(mask))


def _loops(mask: NDArray[np.bool_]) -> list[tuple[int, int, list[str]]]:
    """Closed borders: where each starts, and its steps; pixels of the mask lie on the right."""
    padded = np.pad(mask, 1)
    # Edges by the corner that they start from; the inside is on the right of each.
    following: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for (down, right), (start_down, start_right), (row_step, column_step) in (
        ((-1, 0), (0, 0), (0, 1)),
        ((0, 1), (0, 1), (1, 0)),
        ((1, 0), (1, 1), (0, -1)),
        ((0, -1), (1, 0), (-1, 0)),
    ):
        beside = np.roll(padded, (-down, -right), (0, 1))
        for row, column in np.argwhere(padded & ~beside).tolist():
            start = (row - 1 + start_down, column - 1 + start_right)
            following.setdefault(start, []).append((row_step, column_step))
    found = []
    for start in sorted(following):
        while following[start]:
            found.append((*start, _walk(following, start)))
    return found


def _walk(
    following: dict[tuple[int, int], list[tuple[int, int]]], start: tuple[int, int]
) -> list[str]:
    """Steps of one border, straight ones joined, until it is back where it started."""
    steps: list[tuple[int, int]] = []
    here = start
    while True:
        step = following[here].pop()
        if steps and (steps[-1][0] == 0) == (step[0] == 0):
            steps[-1] = (steps[-1][0] + step[0], steps[-1][1] + step[1])
        else:
            steps.append(step)
        here = (here[0] + step[0], here[1] + step[1])
        if here == start:
            # The last step is drawn by closing the path.
            return [f"v{down}" if down else f"h{right}" for down, right in steps[:-1]]


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


@cache
def _palette() -> bytes:
    from matplotlib import colormaps

    # Rounded here, for versions of matplotlib differ in how they make bytes.
    shares = np.asarray(colormaps[_COLOURS](np.linspace(0, 1, _LEVELS)))[:, :3]
    return bytes(np.rint(255 * shares).astype(np.uint8).tobytes())
