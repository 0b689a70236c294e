"""Reading the text files that annotations and lists are written in: CSV, JSON, lists of ids.

Rows and entries are pydantic models: the types of their fields are the checks, and all problems of
a file are listed with the line or entry and the field.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    FailFast,
    Field,
    TypeAdapter,
    ValidationError,
)

from ssl_bench.errors import AnnotationError, DataError, Problem
from ssl_bench.schemas import MAX_BYTES, code_of, in_words_of, parse_json, read_bytes
from ssl_bench.testsets.identifiers import FieldError, duplicates

GRID = 224
"""Width and height of the grid on which boxes in pixels are given and maps are scored."""

_Row = TypeVar("_Row", bound=BaseModel)

Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A number; in JSON not a boolean and not a text."""

Corners = tuple[float, float, float, float]
"""x0, y0, x1, y1 of a box."""

SLACK = 0.01
"""How far, in parts of the frame, a box may reach beyond it: drawn clipped."""

_CORRUPT = -1e6
# Every problem takes time and memory. Of longer lists of entries, the first bad one is named.
_MOST_PROBLEMS = 1000
_MOST_AT_ONCE = 20_000
_MANY = 0.1  # of the boxes of a file: no slip of the pen


def box_in_order(corners: Corners) -> Corners:
    """A box by its corners; raises FieldError, E_BOX_ORDER, where it ends before its start."""
    x0, y0, x1, y1 = corners
    if x1 < x0 or y1 < y0:
        raise FieldError("the end of the box lies before its start", "E_BOX_ORDER")
    return corners


def box_on_grid(corners: Corners) -> Corners:
    """A box in whole pixels; raises FieldError where it is out of order, or in parts of a frame."""
    if corners == (0, 0, 1, 1):
        text = "0, 0, 1, 1 looks like a box in parts of the frame, where pixels are read"
        raise FieldError(text, "E_BOX_READING")
    return box_in_order(corners)


def check_box(corners: Corners, low: float, high: float, height: float | None = None) -> Corners:
    """Check that a box lies in its frame, from `low` to `high`, and ends after its start.

    `height` is the highest y where it is not that of x. An end near -2.9e16, of which the published
    VGG-SS has twelve, stays as it is. Raises FieldError, E_BOX_RANGE or E_BOX_ORDER.

    Examples
    --------
    >>> check_box((0.5, 0.5, 1.005, 0.5), 0, 1)
    (0.5, 0.5, 1.005, 0.5)
    """
    for end, most in zip(corners, (high, high if height is None else height) * 2, strict=True):
        slack = SLACK * (most - low)
        if end > _CORRUPT and not low - slack <= end <= most + slack:
            raise FieldError(f"{end:.6g} lies outside {low:g}..{most:g}", "E_BOX_RANGE")
    return box_in_order(corners) if min(corners) > _CORRUPT else corners


def box_reading(codes: Sequence[str], count: int, *, order: str = "x, y, width, height") -> str:
    """What the boxes of a file probably are, if many are refused; empty where that is unknown.

    `codes` are those of the boxes that are, `count` is the number of all; `order` is what boxes
    look like that end before they start.

    Examples
    --------
    >>> box_reading(["E_BOX_ORDER", "E_BOX_ORDER"], 5)
    '2 of 5 have boxes out of order or frame: they look like x, y, width, height'
    """
    beyond, turned = codes.count("E_BOX_RANGE"), codes.count("E_BOX_ORDER")
    most = max(beyond, turned)
    if most < max(2, _MANY * count):
        return ""
    looks = order if turned == most else "pixels of another frame"
    return f"{most} of {count} have boxes out of order or frame: they look like {looks}"


def checked_category(text: str) -> str:
    """The name of a category; raises FieldError where it is empty or not printable."""
    if not text.strip() or not text.isprintable():
        raise FieldError("a category is a text of printable characters", "E_CATEGORY")
    return text


Category = Annotated[str, AfterValidator(checked_category)]
"""The name of a category, on one line."""


CORNERS = ("xmin", "ymin", "xmax", "ymax")
"""Names of the corners of a box in published annotations."""


def read_text(path: Path, *, remedy: str, most_lines: int = 500_000) -> str:
    """Read a file as UTF-8, with or without byte order mark; raises DataError if it is not."""
    try:
        text = read_bytes(path, error=DataError, remedy=remedy).decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"this file is not UTF-8 text (byte {error.start})",
            code="E_ENCODING",
            where=path,
            remedy=remedy,
        ) from error
    if text.count("\n") > most_lines:
        problem = f"this file has more than {most_lines:,} lines"
        raise DataError(problem, code="E_FILE_SIZE", where=path, remedy=remedy)
    return text


def refuse(problems: Sequence[Problem], path: Path, remedy: str) -> None:
    """Raise AnnotationError with all problems, if there are any."""
    if problems:
        raise AnnotationError(problems, where=path, remedy=remedy)


def repeated(identifiers: Sequence[str]) -> list[Problem]:
    """A problem for each id that occurs more than once."""
    return [
        Problem(f"{identifier} is listed more than once", "E_ID_REPEATED")
        for identifier in duplicates(identifiers)
    ]


def entries_of(path: Path, entry: type[_Row], *, remedy: str) -> tuple[list[_Row], list[Problem]]:
    r"""Read a JSON list of objects that follow a model: the objects, or all problems.

    Raises DataError where the file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> class Place(BaseModel):
    ...     x: Finite
    >>> path = Path(tempfile.mkdtemp()) / "places.json"
    >>> _ = path.write_text('[{"x": 0}, {"x": true}]')
    >>> entries_of(path, Place, remedy="")
    ([], ['entry 1.x: input should be a valid number'])
    """
    text = read_text(path, remedy=remedy, most_lines=MAX_BYTES)
    try:
        form: Any = list[entry]  # type: ignore[valid-type]
        if text.count("{") > _MOST_AT_ONCE:
            form = Annotated[form, FailFast()]
        entries: list[_Row] = parse_json(text, TypeAdapter(form), most=MAX_BYTES)
    except ValidationError as error:
        return [], [*problems_of(error, "entry "), *_reading([error], text.count("{"))]
    if not entries:
        return [], [Problem("there is no entry in this list", "E_FILE_EMPTY")]
    return entries, []


def read_table(
    path: Path,
    row: type[_Row],
    columns: Sequence[str],
    *,
    remedy: str,
    key: Callable[[_Row], str] | None = None,
) -> list[_Row]:
    r"""Read a CSV file whose rows follow a model.

    Parameters
    ----------
    path, remedy
        The file, of which blank lines do not count, and what to do where it is unusable.
    row, columns
        Model of a row, and its fields in the order of the columns.
    key
        What must differ between rows, such as their id.

    Raises
    ------
    DataError
        If the file cannot be read; an AnnotationError if it is no such table, with every value
        that is not of its type, and its line.

    Examples
    --------
    >>> import tempfile
    >>> class Place(BaseModel):
    ...     x: Finite
    ...     y: Finite
    >>> path = Path(tempfile.mkdtemp()) / "places.csv"
    >>> _ = path.write_text("x,y\n0,0\nx,inf\n")
    >>> read_table(path, Place, ("x", "y"), remedy="")
    Traceback (most recent call last):
    ...
    ssl_bench.errors.AnnotationError: ...places.csv: 2 problems found in the annotation.
      - line 3 ('x'): x: input should be a valid number, unable to parse string as a number
      - line 3 ('x'): y: input should be a finite number
    """
    found, problems = rows_of(path, row, columns, remedy=remedy)
    rows = [each for _, each in found]
    if key is not None:
        problems += repeated([key(each) for each in rows])
    refuse(problems, path, remedy)
    return rows


def rows_of(
    path: Path, row: type[_Row], columns: Sequence[str], *, remedy: str, more: bool = False
) -> tuple[list[tuple[str, _Row]], list[Problem]]:
    """As :func:`read_table`: the good rows, each with its place, and the problems beside them.

    Raises DataError where there is no such table at all. With `more`, the columns may be in any
    order, and others beside them.
    """
    reader = csv.reader(io.StringIO(read_text(path, remedy=remedy), newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        lines = [(reader.line_num, values) for values in reader if values]
    except csv.Error as error:
        problem = f"line {reader.line_num} is not CSV, or the file is truncated ({error})"
        raise AnnotationError([Problem(problem, "E_CSV")], where=path, remedy=remedy) from error
    refuse(_bad_header(header, columns, more), path, remedy)
    places = {name: header.index(name) for name in columns}
    rows: list[tuple[str, _Row]] = []
    problems: list[Problem] = []
    errors: list[ValidationError] = []
    for number, values in lines:
        if len(problems) > _MOST_PROBLEMS:
            text = f"the lines from {number:,} on were not looked at"
            problems.append(Problem(text, "E_CSV"))
            break
        named = values[min(places[columns[0]], len(values) - 1)]
        line = f"line {number} ({named[:60]!r})"
        if len(values) != len(header):
            problem = f"{line}: there are {len(values)} fields, not {len(header)}"
            problems.append(Problem(problem, "E_CSV_FIELDS"))
            continue
        try:
            content = {name: values[place] for name, place in places.items()}
            rows.append((line, row.model_validate_strings(content)))
        except ValidationError as error:
            errors.append(error)
            problems += problems_of(error, line)
    problems += _reading(errors, len(lines))
    if not lines:
        problems.append(Problem("there are no rows below the header", "E_FILE_EMPTY"))
    return rows, problems


def _bad_header(header: Sequence[str], columns: Sequence[str], more: bool) -> list[Problem]:
    lacking = [name for name in columns if name not in header]
    if lacking or (not more and header != list(columns)):
        order = "name" if more else "be"
        lacks = f"; it lacks {', '.join(lacking)}" if lacking else ""
        problem = f"the first line must {order} {','.join(columns)}{lacks}"
        return [Problem(problem, "E_CSV_HEADER")]
    return [
        Problem(f"the column {name} occurs in the first line more than once", "E_KEY_REPEATED")
        for name in duplicates(header)
    ]


def _reading(errors: Sequence[ValidationError], count: int) -> list[Problem]:
    """What the boxes of a file look like, from the faults of its rows, or of all its entries."""
    codes: dict[object, str] = {}
    for number, error in enumerate(errors):
        for fault in error.errors(include_url=False, include_input=False):
            code = getattr(fault.get("ctx", {}).get("error"), "code", fault["type"])
            code = "E_BOX_RANGE" if code == "less_than_equal" else code
            row = number if len(errors) > 1 or not fault["loc"] else fault["loc"][0]
            if code.startswith("E_BOX"):
                codes[row] = code
    text = box_reading(list(codes.values()), count)
    return [Problem(text, "E_BOX_READING")] if text else []


def problems_of(error: ValidationError, place: str = "") -> list[Problem]:
    """What pydantic found, with its place; our own checks have codes of their own.

    A `place` that ends with a blank is put before the name of the field, another one and a colon
    before all of it.
    """
    problems = []
    for fault in error.errors(include_url=False, include_input=False):
        text = in_words_of(fault)
        if place and not place.endswith(" "):
            text = f"{place}: {text.removeprefix('the whole: ')}"
        elif fault["loc"]:
            text = f"{place}{text}"
        problems.append(Problem(text, code_of(fault)))
    return problems
