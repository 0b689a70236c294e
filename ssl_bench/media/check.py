"""Which images, sounds and videos can be used: each is decoded once, several at a time.

What was decoded is remembered in the cache folder, so that asking again costs a look at each file.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import sqlite3
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Literal

import numpy as np

from ssl_bench.errors import DataError, MediaError, Problem
from ssl_bench.executors import HERE, Executor, processes
from ssl_bench.files import cache_folder, digest_of_code, write_text
from ssl_bench.media.audio import examine_audio, probe_audio
from ssl_bench.media.image import examine_image, probe_image
from ssl_bench.media.video import examine_video, open_video
from ssl_bench.media.waveform import Waveform

Kind = Literal["image", "sound", "video"]

_LIBRARIES = ("av", "numpy", "pillow", "simplejpeg", "soundfile")
_BATCH = 16
# Other processes help where what is left would take this process longer than so many seconds: they
# take about one to start. It is known once _TRIED seconds are over. (Threads would wait for each
# other: compressed sounds are decoded in thousands of short calls.)
_ALONE = 2.0
_TRIED = 0.25
# Bytes at the beginning and at the end of a file whose digest tells it from another.
_ENDS = 4096


@dataclass(frozen=True)
class Wanted:
    """A file that is needed: by what (a clip), of which kind, and how it is found.

    `find` raises DataError where the file is missing, and returns None where code makes the medium.
    """

    item: str
    kind: Kind
    find: Callable[[], Path | None]


@dataclass(frozen=True)
class Facts:
    """What reading one file told; rate and channels are 0 for images and where it failed."""

    problem: Problem | None = None
    notes: tuple[Problem, ...] = ()
    rate: int = 0
    channels: int = 0


@dataclass(frozen=True)
class Checked:
    """What was found out about one file that is needed; no path where there is none.

    Its kind may be of another thing that a clip needs, such as its label.
    """

    item: str
    kind: Kind | Literal["label", "truth"]
    path: Path | None
    facts: Facts

    @property
    def problem(self) -> Problem | None:
        """Why it cannot be used, with the clip and the file; None where it can."""
        found = self.facts.problem
        if found is None:
            return None
        text = f"{self.item} ({self.path or self.kind}): {found} [{found.code}]"
        return Problem(text, found.code)


@dataclass(frozen=True)
class CheckOptions:
    """How files are checked.

    Attributes
    ----------
    decode
        Whether they are decoded; otherwise their headers alone are looked at, which does not show
        what is damaged inside, silent, black or of the wrong rate.
    jobs
        How many processes decode, where there is much to do.
    progress
        Called with how many are done and how many there are.
    executor
        Who decodes in place of these processes, where it is more than this one.
    notify
        Told, in a sentence, of a worker that is lost while others go on.
    """

    decode: bool = True
    jobs: int = 1
    progress: Callable[[int, int], object] | None = None
    executor: Executor = HERE
    notify: Callable[[str], None] = lambda _note: None


def check_media(
    wanted: Iterable[Wanted],
    options: CheckOptions | None = None,
    *,
    takes: Callable[[Waveform], object] | None = None,
) -> list[Checked]:
    """Check every file that is needed, in order; nothing is raised for one that cannot be used.

    `takes` raises DataError for a sound of a rate, or with channels, that the model at hand does
    not take.

    Examples
    --------
    >>> import tempfile, soundfile
    >>> path = Path(tempfile.mkdtemp()) / "muted.wav"
    >>> soundfile.write(path, np.zeros(16000, np.int16), 16000)
    >>> [checked] = check_media([Wanted("clip", "sound", lambda: path)])
    >>> checked.problem, [note.code for note in checked.facts.notes], checked.facts.rate
    (None, ['N_SOUND_SILENT'], 16000)
    """
    settings = options or CheckOptions()
    found: list[tuple[Wanted, Path | None, Problem | None]] = []
    for each in wanted:
        try:
            found.append((each, each.find(), None))
        except DataError as error:
            found.append((each, None, Problem(error.problem, error.code)))
    files = dict.fromkeys((each.kind, path) for each, path, _ in found if path is not None)
    facts = _facts(list(files), settings)
    refusals: dict[tuple[int, int], Problem | None] = {}
    checked = []
    for each, path, problem in found:
        told = Facts(problem) if path is None else facts[each.kind, path]
        if takes is not None and told.rate:
            form = told.rate, told.channels
            if form not in refusals:
                refusals[form] = _refusal(takes, *form)
            told = told if refusals[form] is None else Facts(refusals[form], told.notes, *form)
        checked.append(Checked(each.item, each.kind, path, told))
    return checked


def refuse_unusable(
    checked: Sequence[Checked], *, where: str | Path, remedy: str, code: str | None = None
) -> None:
    """Raise MediaError with every problem, if there is one."""
    problems = [each.problem for each in checked if each.problem is not None]
    if any(problem.code in ("E_SOUND_RATE", "E_SOUND_CHANNELS") for problem in problems):
        remedy = f"convert sounds with --resample; {remedy}"
    if problems:
        raise MediaError(problems, code=code, where=where, remedy=remedy)


def remarks_on(checked: Iterable[Checked]) -> tuple[str, ...]:
    """What is unusual about usable files, as one sentence without a full stop for each code."""
    found: dict[str, list[tuple[Checked, str]]] = {}
    for each in checked:
        for note in each.facts.notes if each.facts.problem is None else ():
            found.setdefault(note.code, []).append((each, note))
    return tuple(
        f"{code}: {len(noted):,} {noted[0][0].kind}{'s' * (len(noted) > 1)}, such as "
        f"{noted[0][0].item} ({noted[0][1]})"
        for code, noted in found.items()
    )


def write_report(target: Path, checked: Iterable[Checked]) -> None:
    """Write every problem and remark as CSV: level, code, kind, clip, file and text."""
    rows = [
        (level, text.code, each.kind, each.item, each.path or "", text)
        for each in checked
        for level, texts in (("problem", [each.facts.problem]), ("note", each.facts.notes))
        for text in texts
        if text is not None
    ]
    write_table(target, ("level", "code", "kind", "id", "file", "text"), rows)


def write_table(target: Path, columns: Sequence[str], rows: Iterable[Sequence[str | Path]]) -> None:
    """Write a table as CSV; bytes of a file's name that are no text are escaped."""
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(columns)
    table.writerows(rows)
    write_text(target, stream.getvalue().encode(errors="backslashreplace").decode())


def _refusal(takes: Callable[[Waveform], object], rate: int, channels: int) -> Problem | None:
    try:
        takes(Waveform(np.zeros((rate, channels), np.int16), rate))
    except DataError as error:
        return Problem(error.problem, error.code)
    return None


def _facts(
    files: Sequence[tuple[Kind, Path]], options: CheckOptions
) -> Mapping[tuple[Kind, Path], Facts]:
    """What reading each distinct file tells, whether now or when it was read before."""
    memory = _Memory() if options.decode else None
    marks = {} if memory is None else {file: mark_of_file(file[1]) for file in files}
    facts = {} if memory is None else memory.recall(marks)
    todo = [file for file in files if file not in facts]
    tell = options.progress or (lambda _done, _all: None)
    tell(len(facts), len(files))
    for batch, told in _read(todo, options):
        new = dict(zip(batch, told, strict=True))
        facts |= new
        if memory is not None:
            memory.keep(new, marks)
        tell(len(facts), len(files))
    if memory is not None:
        memory.close()
    return facts


def _read(
    files: Sequence[tuple[Kind, Path]], options: CheckOptions
) -> Iterator[tuple[Sequence[tuple[Kind, Path]], list[Facts]]]:
    """Facts about files, batch by batch as they come; this process reads beside any others."""
    executor = options.executor if options.executor != HERE else processes(options.jobs)
    batches = [files[start : start + _BATCH] for start in range(0, len(files), _BATCH)]
    alone, began = 0, monotonic()
    # A cluster was asked for, and may have the files nearer.
    while alone < len(batches) and executor.kind != "ray":
        spent = monotonic() - began
        left = spent * (len(batches) - alone) / max(1, alone)
        if executor.workers > 1 and spent > _TRIED and left > _ALONE:
            break
        yield batches[alone], _read_batch(batches[alone], options.decode)
        alone += 1
    rest = batches[alone:]
    if rest:
        reader = partial(_reader, options.decode)
        with executor.open(reader, name=_named, notify=options.notify) as run:
            for place, facts in run(rest):
                yield rest[place], facts


def _named(batch: Sequence[tuple[Kind, Path]]) -> str:
    return f"reading {len(batch)} files from {batch[0][1]} on"


def _reader(
    decode: bool, _device: str | None
) -> Callable[[Sequence[tuple[Kind, Path]]], list[Facts]]:
    return partial(_read_batch, decode=decode)


def _read_batch(files: Sequence[tuple[Kind, Path]], decode: bool) -> list[Facts]:
    return [_read_one(kind, path, decode=decode) for kind, path in files]


def _read_one(kind: Kind, path: Path, *, decode: bool) -> Facts:
    try:
        if kind == "video":
            if decode:
                return Facts(notes=examine_video(path))
            with open_video(path):
                return Facts()
        if not decode:
            (probe_image if kind == "image" else probe_audio)(path)
            return Facts()
        if kind == "image":
            return Facts(notes=examine_image(path)[1])
        sound, notes = examine_audio(path)
        return Facts(None, notes, sound.rate, sound.samples.shape[1])
    except DataError as error:
        return Facts(Problem(error.problem, error.code))


def mark_of_file(path: Path) -> str | None:
    """What tells a file from its earlier or later self; None where that is not known."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            return None
        with path.open("rb") as stream:
            digest = hashlib.sha256(stream.read(_ENDS))
            stream.seek(max(about.st_size - _ENDS, 0))
            digest.update(stream.read(_ENDS))
    except OSError:
        return None
    facts = about.st_size, about.st_mtime_ns, about.st_ctime_ns, digest.hexdigest()
    return " ".join(map(str, facts))


class _Memory:
    """Facts about usable files, in a small database; nothing is kept where none can be written.

    What is unusable is read again each time: it is rare, and the reason may have passed.
    """

    def __init__(self) -> None:
        self._base: sqlite3.Connection | None = None
        self._code = digest_of_code(("media",), libraries=_LIBRARIES)
        path = cache_folder() / "media.sqlite"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, timeout=1.0)
            self._base.execute("PRAGMA synchronous = OFF")
            self._base.execute(
                "CREATE TABLE IF NOT EXISTS media (path BLOB, kind TEXT, code TEXT, mark TEXT, "
                "facts TEXT, PRIMARY KEY (path, kind)) WITHOUT ROWID"
            )
        except (OSError, sqlite3.OperationalError):
            self.close()
        except sqlite3.DatabaseError:
            self.close()
            with suppress(OSError):
                path.unlink()  # damaged: a new one is made next time

    def recall(
        self, marks: Mapping[tuple[Kind, Path], str | None]
    ) -> dict[tuple[Kind, Path], Facts]:
        """Facts about those files that have not changed since they were read."""
        known: dict[tuple[Kind, Path], Facts] = {}
        if self._base is None:
            return known
        asked = "SELECT facts FROM media WHERE path = ? AND kind = ? AND code = ? AND mark = ?"
        try:
            for (kind, path), mark in marks.items():
                row = self._base.execute(asked, (_key(path), kind, self._code, mark)).fetchone()
                if row is not None:
                    notes, rate, channels = json.loads(row[0])
                    texts = tuple(Problem(text, code) for text, code in notes)
                    known[kind, path] = Facts(None, texts, rate, channels)
        except (sqlite3.Error, ValueError):
            return known
        return known

    def keep(
        self,
        facts: Mapping[tuple[Kind, Path], Facts],
        marks: Mapping[tuple[Kind, Path], str | None],
    ) -> None:
        """Remember usable files, each with what told it apart before it was read."""
        rows = [
            (_key(path), kind, self._code, marks[kind, path], _text(told))
            for (kind, path), told in facts.items()
            if told.problem is None and marks[kind, path] is not None
        ]
        if self._base is not None:
            try:
                with self._base:
                    self._base.executemany("REPLACE INTO media VALUES (?, ?, ?, ?, ?)", rows)
            except sqlite3.Error:
                self.close()  # full, or in use for too long

    def close(self) -> None:
        """Forget nothing, and write nothing more."""
        if self._base is not None:
            self._base.close()
        self._base = None


def _key(path: Path) -> bytes:
    # What Path.absolute gives, in a tenth of its time: every file passes here twice.
    return os.fsencode(os.path.join(os.getcwd(), path))  # noqa: PTH109, PTH118


def _text(facts: Facts) -> str:
    notes = [[str(note), note.code] for note in facts.notes]
    return json.dumps([notes, facts.rate, facts.channels])
