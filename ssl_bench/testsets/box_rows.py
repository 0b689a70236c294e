"""Reading a table of boxes on the 224 grid: one row for each picture, its sound and one box."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ssl_bench.errors import AnnotationError
from ssl_bench.media.audio import AUDIO_SUFFIXES
from ssl_bench.media.image import IMAGE_SUFFIXES
from ssl_bench.testsets.listing import duplicates, id_problem, read_table

GRID = 224
"""Width and height of the grid on which the boxes are given, in pixels."""

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes
    ----------
    image, audio
        File names as in the table, without a known ending; folders are separated by ``/``.
    corners
        x0, y0, x1, y1 in pixels.
    """

    image: str
    audio: str
    corners: tuple[int, int, int, int]

    @property
    def id(self) -> str:
        """The image's name without its folders."""
        return PurePosixPath(self.image).name

    @property
    def is_empty(self) -> bool:
        """Whether the box covers no pixel."""
        x0, y0, x1, y1 = self.corners
        return x1 == x0 or y1 == y0

    @property
    def folder(self) -> str:
        """Name of the folder of the image; empty where it has none."""
        return PurePosixPath(self.image).parent.name


def read_box_table(path: Path, image_column: str, *, remedy: str) -> tuple[Row, ...]:
    r"""Read a table of boxes.

    Parameters
    ----------
    path
        CSV file: a header, then one row for each image.
    image_column
        Name of its first column; ``audio``, ``xmin``, ``ymin``, ``xmax``, ``ymax`` follow.
    remedy
        What a user does about a bad file.

    Raises
    ------
    AnnotationError
        With every problem of every row.
    DataError
        If the file cannot be read as text.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "boxes.csv"
    >>> _ = path.write_text("frame,audio,xmin,ymin,xmax,ymax\na/b_1.png,a/b.wav,0,0,112,224\n")
    >>> read_box_table(path, "frame", remedy="")
    (Row(image='a/b_1', audio='a/b', corners=(0, 0, 112, 224)),)
    """
    header = [image_column, "audio", *_CORNERS]
    table = read_table(path, header, remedy=remedy)
    problems: list[str] = []
    rows: list[Row] = []
    for number, fields in enumerate(table, 2):
        found = _row_problems(fields)
        if found:
            problems += [f"line {number} ({_name(fields)}): {problem}" for problem in found]
        else:
            rows.append(_row(fields))
    if not table:
        problems.append("there is no row in this table")
    problems += [
        f"{identifier} is annotated more than once"
        for identifier in duplicates(row.id for row in rows)
    ]
    if problems:
        raise AnnotationError(problems, where=path, remedy=remedy)
    return tuple(rows)


def _name(fields: Sequence[str]) -> str:
    return repr(fields[0][:60]) if fields else "empty"


def _row_problems(fields: Sequence[str]) -> list[str]:
    if len(fields) != 2 + len(_CORNERS):
        return [f"a row has {2 + len(_CORNERS)} fields, not {len(fields)}"]
    problems = [
        f"the name of the {kind}: {problem}"
        for kind, name in zip(("image", "audio"), fields, strict=False)
        if (problem := _path_problem(name))
    ]
    corners = fields[2:]
    wrong = [
        f"{name} is not a whole number from 0 to {GRID}"
        for name, text in zip(_CORNERS, corners, strict=True)
        if not _is_pixel(text)
    ]
    if wrong:
        return problems + wrong
    x0, y0, x1, y1 = (int(text) for text in corners)
    if x1 < x0 or y1 < y0:
        problems.append("the box is inside out: its end lies before its start")
    return problems


def _path_problem(name: str) -> str | None:
    if len(name) > _LONGEST_NAME:
        return f"a name must have 1 to {_LONGEST_NAME} characters"
    return next((problem for part in name.split("/") if (problem := id_problem(part))), None)


def _is_pixel(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= GRID


def _row(fields: Sequence[str]) -> Row:
    x0, y0, x1, y1 = (int(text) for text in fields[2:])
    image = _without_ending(fields[0], IMAGE_SUFFIXES)
    return Row(image, _without_ending(fields[1], AUDIO_SUFFIXES), (x0, y0, x1, y1))


def _without_ending(name: str, endings: Iterable[str]) -> str:
    return next((name.removesuffix(ending) for ending in endings if name.endswith(ending)), name)
