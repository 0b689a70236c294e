"""What all figures share: how one is made and written, and how much room a text takes."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_bench.errors import ResultError
from ssl_bench.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "Source"
"""Key of the digest of what a PNG picture shows."""

# What would change from file to file, by format.
_CHANGING: dict[str, dict[str, str | None]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
}
# Equal files from equal figures, in which a text can be searched, edited and read aloud.
_WRITING: Any = {"svg.hashsalt": "ssl-bench", "svg.fonttype": "none", "pdf.fonttype": 42}

FORMATS = tuple(_CHANGING)
"""Endings of files that a figure can be written to, without the dot."""

FONT = "DejaVu Sans"
_POINTS = 72
# By how much letters may be wider in pixels, to whose edges they are moved.
_HINTED = 1.05
# Between words, and where names and lists of them are joined.
_ENDS = " |+/,_-"
_MOST_LETTERS = 600


def new_figure(width: float, height: float, **settings: Any) -> Figure:
    """A figure of that many inches, without pyplot: that keeps figures, and may want a display."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), **settings)


def format_of(path: Path) -> str:
    """The format that a file's ending stands for; ResultError where it is no figure's.

    Examples
    --------
    >>> format_of(Path("curve.PDF"))
    'pdf'
    """
    ending = path.suffix[1:].lower()
    if ending not in FORMATS:
        raise ResultError(
            f"a figure cannot be written as {path.suffix or 'a file without an ending'}",
            code="E_PICTURE_FORMAT",
            where=path,
            remedy=f"name a file that ends in .{', .'.join(FORMATS)}",
        )
    return ending


def save_figure(figure: Figure, path: Path, source: str | None = None) -> None:
    """Write a figure as PNG, PDF or SVG, whole or not at all; equal figures give equal bytes.

    `source` is the digest of what it shows, which a PNG file keeps for
    :func:`~ssl_bench.media.image.source_of`.

    Raises
    ------
    ResultError
        If the file's ending is that of another format, or it cannot be written.
    """
    from matplotlib import rc_context

    kind = format_of(path)
    metadata = _CHANGING[kind] | ({SOURCE: source} if kind == "png" else {})
    try:
        with atomic_path(path) as temporary, rc_context(_WRITING):
            figure.savefig(temporary, format=kind, metadata=metadata)
    except OSError as error:
        raise ResultError(
            f"the picture cannot be written ({error.strerror})",
            code="E_PICTURE_WRITE",
            where=path,
            remedy="choose a folder that you may write to",
        ) from error


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Inches that one line takes, at most, in a font of `size` points."""
    return size * sum(_advance(letter, bold) for letter in text)


@lru_cache(maxsize=4096)
def _advance(letter: str, bold: bool) -> float:
    """Inches from one letter to the next, in a font of one point."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties(family=FONT, weight="bold" if bold else "normal")))
    if not font.get_char_index(ord(letter)):
        return 1 / _POINTS  # Drawn in another font, at most as wide as high.
    font.set_size(_POINTS, _POINTS)
    advance: int = font.load_char(ord(letter)).linearHoriAdvance
    return _HINTED * advance / 65536 / _POINTS / _POINTS


def fitted(text: str, width: float, size: float, *, lines: int = 1, bold: bool = False) -> str:
    r"""A text in at most so many lines of `width` inches, its middle left out where it is longer.

    Lines end where words do, if they can; what cannot be printed becomes a blank.

    Examples
    --------
    >>> fitted("a name and another", 0.9, 9, lines=2)
    'a name and\nanother'
    >>> fitted("a name and another", 0.9, 9)
    'a nam…other'
    """
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    letters = min(len(plain), _MOST_LETTERS)
    while True:
        found = _broken(_shortened(plain, letters), width, size, bold)
        if len(found) <= lines or letters <= lines:
            return "\n".join(found)
        letters -= 1


def _broken(text: str, width: float, size: float, bold: bool) -> list[str]:
    """A text in lines, each as long as fits, and of one letter at least."""
    found: list[str] = []
    while text:
        fits, room = 0, width
        for letter in text:
            room -= size * _advance(letter, bold)
            if room < 0 and fits:
                break
            fits += 1
        if fits < len(text):
            ends = [place for place in range(1, fits + 1) if text[place - 1] in _ENDS]
            # a blank may stand beyond the end
            fits = fits if text[fits] == " " else next(reversed(ends), fits)
        found.append(text[:fits].rstrip())
        text = text[fits:].lstrip()
    return found or [""]


def _shortened(line: str, letters: int) -> str:
    """A line of at most `letters` letters, with its middle left out where it is longer."""
    if len(line) <= letters:
        return line
    tail = (letters - 1) // 2
    return f"{line[: letters - 1 - tail]}…{line[len(line) - tail :]}"
