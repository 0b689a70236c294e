"""Lists of clips: text or tables, plain or compressed by gzip, with one clip on each line.

A line is a name in any spelling that :mod:`ssl_bench.media.names` reads, with or without further
columns (separated by commas, semicolons or tabs), such as a label; or a video and its start second
in two columns, as in VGG-Sound's own table. A heading may say which column is which. Where a column
says which part of a data set a row belongs to, rows marked ``test`` are no training clips.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ssl_bench.errors import DataError, Problem
from ssl_bench.media.names import ClipNames, bare, video_of
from ssl_bench.schemas import MAX_BYTES, read_bytes
from ssl_bench.testsets.identifiers import ID_RULE, NAME_RULE, is_id, is_name
from ssl_bench.testsets.tables import read_text, refuse, repeated

MAX_CLIPS = 1_000_000
"""Most lines of a list that name a clip."""

_MAX_LINES = 2 * MAX_CLIPS
_MAX_LINE = 20_000
# Columns of a table without a heading.
_MOST_FIELDS = 20
_SHOWN = 60
_REMEDY = "give a text file with one clip id on each line, plain or compressed by gzip"
_GZIP = b"\x1f\x8b"
_COMMENT = "#"
_SEPARATORS = (",", "\t", ";")
_VIDEO = re.compile(r"Y?(?=.*[^0-9])[A-Za-z0-9_-]{11}")
_SECOND = re.compile(r"(?:[0-9]{1,3}:){0,2}[0-9]{1,12}([.,][0-9]{1,9})?")
_WORD = re.compile(r"[a-z]+")
_QUOTED = re.compile(r'"[^"]*"')
_JSON = re.compile(r"\[\s*[\[{\"']")

# Headings of columns, in lower case and with "_" for what is no letter; the likeliest first.
_OF_VIDEOS = "ytid youtube_id youtubeid yt_id video_id videoid vid video url youtube_url"
_OF_CLIPS = "clip_id clip file_name filename file path filepath"
_OF_OTHERS = "trial_id sample_id segment_id id ids name key image frame audio"
_HEADINGS: Mapping[str, str] = {
    "start": "start_seconds start_second start_sec start_s start_time time_start start start_ms",
    "clip": f"{_OF_VIDEOS} {_OF_CLIPS} {_OF_OTHERS}",
    "label": "label labels class category class_name positive_labels",
    "split": "split set subset part partition phase usage",
    "is_test": "test is_test",
    "is_train": "is_train is_training",
}
_TEST = frozenset(("test", "testing", "eval", "evaluation"))
_PARTS = _TEST | {"train", "training", "val", "valid", "validation", "dev"}
_TRUE = frozenset(("1", "1.0", "true", "yes"))


@dataclass(frozen=True)
class ClipList:
    """The clips of a list as its lines spell them, in order.

    Attributes
    ----------
    names, labels
        Each line's clip, without the rows that are marked as test clips, and its label ("" where
        there is none).
    tests
        The clips of the rows that are marked as test clips.
    path
        The file.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...] = field(default=(), repr=False)
    tests: tuple[str, ...] = ()
    path: str | Path = "the list"

    @property
    def note(self) -> str:
        """A sentence on the rows that are marked as test clips; empty where there are none."""
        if not self.tests:
            return ""
        rows = "row" if len(self.tests) == 1 else "rows"
        return f"left out: {len(self.tests):,} {rows} marked as test clips"


def read_clip_list(path: Path) -> ClipList:
    r"""Read a list of clips.

    Raises
    ------
    AnnotationError
        If there is no clip, a line is no CSV, or a start is no second.
    DataError
        If the file is missing, damaged, not text, or too large.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "train.csv"
    >>> _ = path.write_text('zYf0pcZ5q3M,30.0,"dog, barking",train\n---g-f_I2yQ,1,cat,test\n')
    >>> found = read_clip_list(path)
    >>> found.names, found.labels, found.tests
    (('zYf0pcZ5q3M_30.0',), ('dog, barking',), ('---g-f_I2yQ_1',))
    """
    columns: dict[str, int] = {}
    rows: list[_Row] = []
    problems: list[Problem] = []
    for fields in _lines_of_fields(path, problems):
        if not rows and not columns and (columns := _columns(fields)):
            continue
        if fields[0].startswith(_COMMENT):
            continue
        if len(rows) == MAX_CLIPS:
            problem = f"this list has more than {MAX_CLIPS:,} clips"
            raise DataError(problem, code="E_FILE_SIZE", where=path, remedy=_REMEDY)
        if not rows and not columns and _names_several(fields):
            problem = "this is a list of clips side by side, and not one on each line"
            raise DataError(problem, code="E_LIST_LINE", where=path, remedy=_REMEDY)
        rows.append(_by_heading(fields, columns, problems) if columns else _by_place(fields))
    if not rows and not problems:
        problems.append(Problem("there is no clip in this file", "E_FILE_EMPTY"))
    refuse(problems, path, _REMEDY)
    # Without a heading, the last column is one of parts if it holds nothing else.
    last = {row.mark for row in rows if row.mark is not None}
    divided = bool(last) and (bool(columns) or last <= _PARTS)
    in_test = [divided and bool(_TEST & {*_WORD.findall(row.mark or "")}) for row in rows]
    kept = [row for row, test in zip(rows, in_test, strict=True) if not test]
    return ClipList(
        names=tuple(row.name for row in kept),
        labels=tuple("" if divided and row.label is row.last else row.label for row in kept),
        tests=tuple(row.name for row, test in zip(rows, in_test, strict=True) if test),
        path=path,
    )


class _Row(NamedTuple):
    """What a line says; the last field is kept where it may be the label or the part."""

    name: str
    label: str
    mark: str | None = None
    last: str | None = None


def _columns(fields: Sequence[str]) -> dict[str, int]:
    """Places of the known columns in a heading; empty where a line is none."""
    words = [re.sub(r"[^a-z0-9]+", "_", text.casefold()).strip("_") for text in fields]
    found: dict[str, int] = {}
    for column, headings in _HEADINGS.items():
        if column == "clip" and "start" not in found:  # a video alone does not say which clip
            headings = f"{_OF_CLIPS} {_OF_VIDEOS} {_OF_OTHERS}"
        name = next((name for name in headings.split() if name in words), None)
        if name is not None:
            found[column] = words.index(name)
    return found if "clip" in found else {}


def _names_several(fields: Sequence[str]) -> bool:
    """Whether a row without a heading holds clips side by side."""
    with_start = all(video_of(bare(each)) != bare(each) for each in fields)
    videos = all(_VIDEO.fullmatch(bare(each)) for each in fields)
    return (
        len(fields) > _MOST_FIELDS
        or (with_start and len(fields) > 1)
        or (videos and len(fields) > 2)
    )


def _by_heading(fields: Sequence[str], columns: Mapping[str, int], problems: list[Problem]) -> _Row:
    found = {name: fields[place] for name, place in columns.items() if place < len(fields)}
    name, start, mark = found.get("clip", ""), found.get("start", ""), found.get("split")
    if "is_test" in found and mark is None:
        mark = "test" if found["is_test"].casefold() in _TRUE else "train"
    if "is_train" in found and mark is None:
        mark = "train" if found["is_train"].casefold() in _TRUE else "test"
    if start and not _SECOND.fullmatch(start):
        text = f"{name[:_SHOWN]!r}: {start[:_SHOWN]!r} is no start second"
        problems.append(Problem(text, "E_LIST_START"))
    elif name and start:
        name = f"{bare(name)}_{start.replace(',', '.')}"
    return _Row(name, found.get("label", ""), None if mark is None else mark.casefold())


def _by_place(fields: Sequence[str]) -> _Row:
    """A row without a heading: clip, or video and start; then a label; and perhaps the part."""
    name, place = fields[0], 1
    if len(fields) > 1 and _SECOND.fullmatch(fields[1]) and _VIDEO.fullmatch(bare(name)):
        name, place = f"{bare(name)}_{fields[1].replace(',', '.')}", 2
    last = fields[-1] if len(fields) > place else None
    label = fields[place] if len(fields) > place else ""
    return _Row(name, label, None if last is None else last.casefold(), last)


def _lines_of_fields(path: Path, problems: list[Problem]) -> Iterator[list[str]]:
    """Fields of each line that is not blank, without blanks around them."""
    separator = ""
    for number, line in enumerate(_text_of(path), 1):
        text = line.strip()
        if not text:
            continue
        if len(text) > _MAX_LINE:
            problems.append(Problem(f"line {number} has more than {_MAX_LINE:,} letters", "E_CSV"))
            continue
        if number == 1 and _JSON.match(text):
            problem = "this is a list in JSON, and not one clip on each line"
            raise DataError(problem, code="E_LIST_JSON", where=path, remedy=_REMEDY)
        if not separator and not text.startswith(_COMMENT):
            # The first one, as a label may hold others.
            plain = _QUOTED.sub("", text)
            separator = next((each for each in plain if each in _SEPARATORS), "")
        if '"' not in text:
            yield [each.strip() for each in text.split(separator or ",")]
            continue
        try:
            reader = csv.reader([text], delimiter=separator or ",", skipinitialspace=True)
            yield [each.strip() for each in next(reader)]
        except csv.Error as error:
            problems.append(Problem(f"line {number} is not CSV ({error})", "E_CSV"))


def _text_of(path: Path) -> Iterator[str]:
    """Lines of a file, plain or compressed; never more than the limit is unpacked."""
    content = read_bytes(path, error=DataError, remedy=_REMEDY)
    try:
        if content.startswith(_GZIP):
            with gzip.open(io.BytesIO(content)) as stream:
                content = stream.read(MAX_BYTES + 1)
        if len(content) <= MAX_BYTES and content.count(b"\n") <= _MAX_LINES:
            yield from io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig")
            return
        limits = f"{MAX_BYTES:,} bytes or {_MAX_LINES:,} lines"
        problem, code = f"this list has more than {limits}", "E_FILE_SIZE"
    except (EOFError, gzip.BadGzipFile, zlib.error):
        problem, code = "this compressed list is damaged or truncated", "E_FILE_DAMAGED"
    except UnicodeDecodeError:
        problem, code = "this list is not UTF-8 text", "E_ENCODING"
    raise DataError(problem, code=code, where=path, remedy=_REMEDY)


def labels_by_clip(listed: ClipList, known: ClipNames) -> dict[str, str]:
    """The label of each clip that has one.

    Raises
    ------
    AnnotationError
        If a clip has two labels.
    """
    labels: dict[str, str] = {}
    problems: dict[Problem, None] = {}
    for name, label in zip(listed.names, listed.labels, strict=True):
        clip = known.read(name)
        if clip is not None and label and labels.setdefault(clip.id, label) != label:
            text = f"{clip.id} is labelled {labels[clip.id]!r} and {label!r}"
            problems[Problem(text, "E_LABELS_DIFFER")] = None
    refuse(list(problems), Path(listed.path), "give each clip one line with one label")
    return labels


def read_id_list(path: Path, *, remedy: str, blanks: bool = False) -> list[str]:
    """Read a file with one id on each line; folders and media endings do not count.

    `blanks` says that ids may hold them. Raises DataError, listing every line that is unusable or
    repeats another.
    """
    lines = read_text(path, remedy=remedy).splitlines()
    numbered = [(number, bare(line)) for number, line in enumerate(lines, 1) if line.strip()]
    identifiers = [identifier for _, identifier in numbered]
    fits, rule = (is_name, NAME_RULE) if blanks else (is_id, ID_RULE)
    problems = [
        Problem(f"line {number} ({identifier[:60]!r}): {rule}", "E_ID")
        for number, identifier in numbered
        if not fits(identifier)
    ]
    problems += repeated(identifiers)
    if not identifiers:
        problems.append(Problem("there is no id in this file", "E_FILE_EMPTY"))
    refuse(problems, path, remedy)
    return identifiers
