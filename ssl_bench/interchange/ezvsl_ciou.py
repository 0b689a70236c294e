"""The per-sample cIoU file of EZ-VSL: lines ``index,cIoU``, from the lowest cIoU to the highest.

``save_iou`` of stoneMo/EZ-VSL ``utils.py`` writes it as ``iou_test_av.txt`` and the like. An index
counts the tested clips in the order of their sorted ids (``datasets.py``, ``get_test_dataset``);
a clip without its files was not tested, so a file that is shorter than the test set needs the list
of tested clips. Lines ``id,cIoU``, and a tab or blanks in place of the comma, are read too.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_bench.errors import ImportedFilesError, Problem, ProtocolError
from ssl_bench.interchange import capped
from ssl_bench.measures.values import parse_measure
from ssl_bench.media.names import clip_names
from ssl_bench.schemas import quoted
from ssl_bench.scoring.aggregate import summarise
from ssl_bench.scoring.results import MeasuredValue
from ssl_bench.scoring.scores import Job, score_maps
from ssl_bench.testsets.identifiers import duplicates
from ssl_bench.testsets.tables import read_text
from ssl_bench.trials.trial_set import TrialSet

MEASURES = ("cIoU@0.5", "AUC", "mean-cIoU")

_REMEDY = "give a file with one line 'index,cIoU' for each tested clip"
_SEPARATOR = re.compile(r"\s*[,;\t]\s*|\s+")
# Rounding may carry a perfect cIoU a little beyond 1.
_SLACK = 1e-6


class CiouFile(NamedTuple):
    """Index (as text) or id of each line, ``(n,)`` cIoU in [0, 1] or nan, and which of the two.

    Where `by_index`, the lines are numbered 0 to n - 1 in any order.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    by_index: bool


@dataclass(frozen=True)
class ImportedScores:
    """Imported scores.

    Attributes
    ----------
    scores
        A score table, one row per trial; None where it is unknown which line is which trial.
    measures
        Success, area under success and mean over *all* trials of the protocol.
    n_present, n_expected, n_undefined
        Lines in the file, trials of the protocol, and lines without a number, which count as 0.
    """

    scores: pd.DataFrame | None
    measures: tuple[MeasuredValue, ...]
    n_present: int
    n_expected: int
    n_undefined: int


def read_ciou_file(path: Path) -> CiouFile:
    r"""Read a file of per-sample cIoU.

    Raises
    ------
    ImportedFilesError
        With every line that is malformed, out of range or repeated; or if numbered lines do not
        run from 0 without a gap, as in a truncated file.
    DataError
        If the file is missing or not text.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "iou_test_av.txt"
    >>> _ = path.write_text("1,0.25\n0,0.75\n")
    >>> read = read_ciou_file(path)
    >>> read.names, read.values.tolist(), read.by_index
    (('1', '0'), [0.25, 0.75], True)
    """
    names: list[str] = []
    values: list[float] = []
    problems: list[Problem] = []
    for number, line in enumerate(read_text(path, remedy=_REMEDY).splitlines(), 1):
        if not line.strip():
            continue
        fields = _SEPARATOR.split(line.strip())
        value = _number(fields[1]) if len(fields) == 2 and fields[0] else None
        if value is None:
            text = f"line {number} ({quoted(line)}) is not 'index,cIoU'"
            problems.append(Problem(text, "E_LINE"))
        elif not math.isnan(value) and not -_SLACK <= value <= 1 + _SLACK:
            text = f"line {number}: a cIoU of {value:g} is not within 0 to 1"
            problems.append(Problem(text, "E_CIOU_RANGE"))
        else:
            names.append(fields[0])
            values.append(min(max(value, 0.0), 1.0) if value == value else math.nan)
    problems += [
        Problem(f"{quoted(name)} has more than one line", "E_IDS_DUPLICATE")
        for name in duplicates(names)
    ]
    if not names and not problems:
        problems.append(Problem("there is no line in this file", "E_FILE_EMPTY"))
    by_index = all(re.fullmatch(r"0|[1-9][0-9]{0,6}", name) for name in names)
    if by_index and not problems:
        absent = sorted(set(range(len(names))) - {int(name) for name in names})
        beyond = [name for name in names if int(name) >= len(names)]
        if beyond:
            text = f"the index {absent[0]} has no line, though {beyond[0]} has one"
            problems.append(Problem(f"{text}: the file is truncated", "E_FILE_TRUNCATED"))
    _raise_for(problems, path)
    return CiouFile(tuple(names), np.array(values), by_index)


def import_ciou(path: Path, trials: TrialSet, tested: list[str] | None = None) -> ImportedScores:
    """Scores of a protocol from a file of per-sample cIoU.

    The denominator is the protocol's own list: a trial without a line counts as a failure.

    Parameters
    ----------
    path
        The file.
    trials
        The trials of the protocol (one clip each).
    tested
        Ids of the clips that were tested, in any order; by default all of the protocol's.

    Raises
    ------
    ImportedFilesError
        If the file is malformed, has more lines than the protocol has trials, or does not fit
        `tested`.
    ProtocolError
        If the protocol asks for a ranking, which no cIoU answers.
    """
    if trials.protocol.answers != "maps":
        raise ProtocolError(
            "this protocol asks for a ranking, and a cIoU per clip is not one",
            code="E_PROTOCOL_ANSWERS",
            where=trials.protocol.label,
            remedy="name the protocol whose maps were scored",
        )
    read = read_ciou_file(path)
    reached = _by_trial(path, read, trials, tested)
    measures = [parse_measure(text) for text in MEASURES]
    values = np.nan_to_num(read.values, nan=0.0)
    if reached is not None:
        [table] = score_maps(Job([], trials, []))
        table["present"] = [name in reached for name in table["trial_id"]]
        table["cIoU"] = [float(np.nan_to_num(reached.get(name, 0.0))) for name in table["trial_id"]]
    else:
        # Without names, every line is taken for a video of its own.
        rows = [f"{row:07d}" for row in range(len(trials))]
        table = pd.DataFrame({"trial_id": rows, "group": rows, "sounding": True})
        table["present"] = np.arange(len(trials)) < len(values)
        table["cIoU"] = np.append(values, np.zeros(len(trials) - len(values)))
    return ImportedScores(
        scores=None if reached is None else table,
        measures=summarise(table, measures),
        n_present=len(values),
        n_expected=len(trials),
        n_undefined=int(np.isnan(read.values).sum()),
    )


def _by_trial(
    path: Path, read: CiouFile, trials: TrialSet, tested: list[str] | None
) -> dict[str, float] | None:
    """The cIoU of each trial; None where the lines are numbered and what was tested is unknown."""
    known = clip_names(trials.index)

    def own(name: str) -> str:
        clip = known.read(name)
        return clip.id if clip is not None and clip.id in known else name

    # Indices count the clips as they are spelled where they were tested.
    ids = [own(name) for name in sorted(trials.ids if tested is None else tested)]
    names = [own(name) for name in read.names]
    problems = [
        Problem(f"{quoted(name)} is named twice, in different spellings", "E_IDS_DUPLICATE")
        for name in (*duplicates(ids), *duplicates(names))
    ]
    problems += [
        Problem(f"{quoted(name)} was tested but is not in the protocol", "E_IDS_UNKNOWN")
        for name in ids
        if name not in trials.index
    ]
    allowed = set(ids)
    if not read.by_index or allowed.issuperset(names):
        problems += [
            Problem(f"{quoted(name)} was not tested, or is not in the protocol", "E_IDS_UNKNOWN")
            for name in names
            if name not in allowed
        ]
    elif len(names) == len(ids):
        names = [ids[int(name)] for name in names]
    elif len(names) < len(ids) and tested is None:
        return None
    else:
        what = "clips in the protocol" if tested is None else "ids in the list of tested clips"
        text = f"{len(names):,} lines do not fit {len(ids):,} {what}"
        problems.append(Problem(text, "E_LINE_COUNT"))
    _raise_for(problems, path)
    return dict(zip(names, read.values.tolist(), strict=True))


def _raise_for(problems: list[Problem], path: Path) -> None:
    if problems:
        raise ImportedFilesError(capped(problems), where=path)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
