"""The page on which a folder of clips is annotated, and a test set out of the files it saves."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import Field

from ssl_bench.errors import AnnotationError, DataError, Problem, first_few
from ssl_bench.files import write_text
from ssl_bench.media.audio import AUDIO_SUFFIXES
from ssl_bench.media.image import IMAGE_SUFFIXES
from ssl_bench.schemas import Strict, read_json
from ssl_bench.testsets.described.description import FILE

PAGE = "annotate.html"
BOXES = "boxes.csv"
TYPES = "type_ab.csv"
_COLUMNS = ("id", "image", "sound", "category", "x0", "y0", "x1", "y1", "source", "annotator")

_SEEN = ("object", "ambient")
# Where as many annotators name one as the other.
_UNCLEAR = "unclear"

Share = Annotated[float, Field(ge=0, le=1)]
Box = tuple[Share, Share, Share, Share]


class Answer(Strict):
    """What one annotator said of one clip.

    Attributes
    ----------
    type
        ``A``: everything that could sound does; ``B``: only some of several does; empty: not known.
    source
        ``object``: boxes say where; ``ambient``: of no single thing, boxed where it can be seen
        (the sea, a crowd); ``absent``: there is nothing to box.
    boxes
        Corners x0, y0, x1, y1, in shares of width and height.
    """

    id: Annotated[str, Field(min_length=1, max_length=500)]
    category: Annotated[str, Field(max_length=100)] = ""
    type: Literal["A", "B", ""] | None = None
    source: Literal["object", "ambient", "absent"] | None = None
    boxes: tuple[Box, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether it says what sounds, and where."""
        return self.source in _SEEN and bool(self.boxes) and bool(self.category)


class Annotations(Strict):
    """A file that the page saved."""

    format: Literal["ssl-bench-annotations/1"]
    annotator: Annotated[str, Field(max_length=60)] = ""
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Taken:
    """What became of answers: files, samples of each kind, and how many answers are none."""

    files: tuple[Path, ...]
    samples: int
    annotators: int
    types: Mapping[str, int]
    sources: Mapping[str, int]
    left_out: Mapping[str, int]


def write_page(folder: Path) -> tuple[Path, int]:
    """Write the page for the clips of a folder with ``frames`` and ``audio``.

    Returns the page and the number of clips: those with a picture and a sound of one name. The
    page holds no media; it must stay in the folder.

    Raises
    ------
    DataError
        If the folder has no such clip.
    """
    images, sounds = _media(folder)
    both = sorted(set(images) & set(sounds))
    if not both:
        alone = first_few(sorted(set(images) ^ set(sounds)))
        raise DataError(
            f"no clip has a picture and a sound ({len(images):,} pictures, {len(sounds):,} sounds)"
            + (f"; alone are {alone}" if alone else ""),
            code="E_CLIPS_NONE",
            where=folder,
            remedy="put pictures into frames/ and sounds into audio/, with the same names",
        )
    clips = [
        {
            "id": name,
            "image": f"frames/{quote(images[name])}",
            "sound": f"audio/{quote(sounds[name])}",
        }
        for name in both
    ]
    template = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
    # An id may hold anything; within a script element, only its end would be read as HTML.
    content = json.dumps(clips).replace("<", "\\u003c")
    path = folder / PAGE
    write_text(path, template.replace("@CLIPS@", content))
    return path, len(both)


def take_annotations(folder: Path, files: Sequence[Path]) -> Taken:
    """Make a test set of a folder out of files that the page saved, one for each annotator.

    Writes ``boxes.csv``, ``type_ab.csv`` where two types occur, and ``testset.toml`` where there is
    none. Of several annotators, the boxes of all are kept; a clip has the category, the type and
    the source that most of them name; without a majority for a category it is left out, and without
    one for the source this is ``unclear``. An ambient sound is kept where it has a box.

    Raises
    ------
    AnnotationError
        If a file was not saved by the page, names a clip that the folder does not have, or a clip
        twice; or if no answer has a box.
    """
    images, sounds = _media(folder)
    given = [(path, read_json(path, Annotations, error=DataError)) for path in files]
    answers: dict[str, list[tuple[str, Answer]]] = {}
    votes: dict[str, list[str]] = {}
    left_out: Counter[str] = Counter()
    for number, (path, each) in enumerate(given, start=1):
        own = Counter(answer.id for answer in each.answers)
        problems = [
            Problem(f"{name} is answered {count} times", "E_ID_REPEATED")
            for name, count in own.items()
            if count > 1
        ]
        problems += [
            Problem(f"{name} has no picture or no sound here", "E_ID_UNKNOWN")
            for name in own
            if name not in images or name not in sounds
        ]
        if problems:
            raise AnnotationError(problems, where=path, remedy="annotate the clips of this folder")
        for answer in each.answers:
            if answer.source in _SEEN:
                votes.setdefault(answer.id, []).append(answer.source)
            if answer.is_whole:
                answers.setdefault(answer.id, []).append((each.annotator or str(number), answer))
            else:
                left_out[answer.source or "unanswered"] += 1
    if not answers:
        raise AnnotationError(
            [Problem("no answer has a box and a category", "E_ANNOTATION_EMPTY")],
            where=files[0],
            remedy="draw boxes and name what sounds, then save again",
        )
    rows, types, sources = [], dict[str, str](), Counter[str]()
    for name in sorted(answers):
        category = _most(answer.category for _, answer in answers[name])
        if not category:
            left_out["disagreement"] += 1
            continue
        source = _most(votes[name]) or _UNCLEAR
        sources[source] += 1
        kind = _most(answer.type for _, answer in answers[name] if answer.type)
        if kind:
            types[name] = kind
        for annotator, answer in answers[name]:
            for box in answer.boxes:
                where = (images[name], sounds[name], category)
                rows.append((name, *where, *map(str, box), source, annotator))
    written = [folder / BOXES]
    write_text(written[0], _table(_COLUMNS, rows))
    if set(types.values()) == {"A", "B"}:
        written.append(folder / TYPES)
        write_text(written[1], _table(("id", "type"), types.items()))
    if not (folder / FILE).exists():
        written.append(folder / FILE)
        write_text(written[-1], _description(folder.name))
    return Taken(
        tuple(written),
        sources.total(),
        len(given),
        Counter(types.values()),
        dict(sources),
        dict(left_out),
    )


def _media(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """File names of pictures and of sounds by what they are called without ending."""
    if not folder.is_dir():
        raise DataError(
            "this folder does not exist",
            code="E_FOLDER_MISSING",
            where=folder,
            remedy="name the folder that holds frames/ and audio/",
        )
    kinds = ((folder / "frames", IMAGE_SUFFIXES), (folder / "audio", AUDIO_SUFFIXES))
    images, sounds = (
        {
            path.stem: path.name
            for path in sorted(place.iterdir() if place.is_dir() else ())
            if path.suffix.lower() in endings
        }
        for place, endings in kinds
    )
    return images, sounds


def _most(values: Iterable[str]) -> str:
    """The value that most name; empty on a tie, or without any."""
    counts = Counter(values).most_common(2)
    tie = len(counts) == 2 and counts[0][1] == counts[1][1]
    return "" if not counts or tie else counts[0][0]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()


def _description(name: str) -> str:
    return f"""title = {json.dumps(name)}

[annotation]
form = "table"
file = "{BOXES}"
columns = {{ id = "id", image = "image", sound = "sound", category = "category", \
annotator = "annotator", box = ["x0", "y0", "x1", "y1"] }}
units = "shares"
attributes = ["source"]
"""
