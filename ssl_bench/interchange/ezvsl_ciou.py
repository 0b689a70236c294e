"""The per-sample cIoU file of EZ-VSL: lines ``index,cIoU``, from the lowest cIoU to the highest.

It is what ``save_iou`` of stoneMo/EZ-VSL ``utils.py`` writes as ``iou_test_av.txt``,
``iou_test_obj.txt`` and ``iou_test_av_obj.txt``. An index counts the tested clips in the order of
their sorted ids (``datasets.py``, ``get_test_dataset``), and a clip without its files was not
tested. So a file that is shorter than the test set needs the list of what was tested before its
lines can be told apart by clip. Lines ``id,cIoU``, and a tab or blanks in place of the comma, are
read too.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_bench.errors import ImportedFilesError, ProtocolError
from ssl_bench.measures.values import parse_measure
from ssl_bench.schemas import quoted
from ssl_bench.scoring.aggregate import summarise
from ssl_bench.scoring.results import MeasuredValue
from ssl_bench.scoring.scores import ScoreColumns
from ssl_bench.testsets.identifiers import duplicates
from ssl_bench.testsets.tables import read_text
from ssl_bench.trials.trial import TrialSet

MEASURES = ("cIoU@0.5", "AUC", "mean-cIoU")

_REMEDY = "give a file with one line 'index,cIoU' for each tested clip"
_SEPARATOR = re.compile(r"\s*[,;\t]\s*|\s+")
_SHOWN = 10
# Rounding may carry a perfect cIoU a little beyond 1.
_SLACK = 1e-6


@dataclass(frozen=True)
class CiouFile:
    """What a file says.

    Attributes
    ----------
    names
        Index (as text) or id of each line.
    values
        ``(n,)`` cIoU in [0, 1]; nan where the file says so.
    by_index
        Whether the lines are numbered, 0 to n - 1 in any order.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    by_index: bool


@dataclass(frozen=True)
class ImportedScores:
    """Scores taken over from a file.

    Attributes
    ----------
    scores
        A score table, one row per trial; None where lines cannot be told apart by trial.
    measures
        Success, area under success and mean over *all* trials of the protocol.
    n_present, n_expected
        Lines in the file, and trials of the protocol.
    n_undefined
        Lines whose cIoU is not a number; they count as 0.
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
    problems: list[str] = []
    for number, line in enumerate(read_text(path, remedy=_REMEDY).splitlines(), 1):
        if not line.strip():
            continue
        fields = _SEPARATOR.split(line.strip())
        value = _number(fields[1]) if len(fields) == 2 and fields[0] else None
        if value is None:
            problems.append(f"line {number} ({quoted(line)}) is not 'index,cIoU'")
        elif not math.isnan(value) and not -_SLACK <= value <= 1 + _SLACK:
            problems.append(f"line {number}: a cIoU of {value:g} is not within 0 to 1")
        else:
            names.append(fields[0])
            values.append(min(max(value, 0.0), 1.0) if value == value else math.nan)
    problems += [f"{quoted(name)} has more than one line" for name in duplicates(names)]
    if not names and not problems:
        problems.append("there is no line in this file")
    by_index = all(re.fullmatch(r"0|[1-9][0-9]{0,6}", name) for name in names)
    if by_index and not problems:
        absent = sorted(set(range(len(names))) - {int(name) for name in names})
        beyond = [name for name in names if int(name) >= len(names)]
        if beyond:
            problems.append(
                f"the index {absent[0]} has no line, though {beyond[0]} has one: "
                "the file is truncated"
            )
    if problems:
        more = len(problems) - _SHOWN
        kept = [*problems[:_SHOWN], *([f"and {more:,} more"] if more > 0 else [])]
        raise ImportedFilesError(kept, where=path)
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
            "this protocol asks for a ranking, and a cIoU per clip is none",
            where=trials.protocol.label,
            remedy="name the protocol whose maps were scored",
        )
    read = read_ciou_file(path)
    reached = _by_trial(path, read, trials, tested)
    measures = [parse_measure(text) for text in MEASURES]
    values = np.nan_to_num(read.values, nan=0.0)
    if reached is None:
        # Without names, every line is taken for a video of its own.
        table = pd.DataFrame(
            {
                "trial_id": [f"{row:07d}" for row in range(len(trials))],
                "group": [f"{row:07d}" for row in range(len(trials))],
                "sounding": True,
                "present": np.arange(len(trials)) < len(values),
                "cIoU": np.append(values, np.zeros(len(trials) - len(values))),
            }
        )
    else:
        table = ScoreColumns(trials, []).table()
        table["present"] = [name in reached for name in table["trial_id"]]
        table["cIoU"] = [float(np.nan_to_num(reached.get(name, 0.0))) for name in table["trial_id"]]
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
    ids = sorted(trials.ids if tested is None else tested)
    unknown = [name for name in ids if name not in trials.index]
    problems = [f"{quoted(name)} was tested but is not in the protocol" for name in unknown]
    names = list(read.names)
    if read.by_index and not set(names) <= set(ids):
        if len(names) > len(ids) or (tested is not None and len(names) < len(ids)):
            what = "clips in the protocol" if tested is None else "ids in the list of tested clips"
            problems.append(f"{len(names):,} lines do not fit {len(ids):,} {what}")
        elif len(names) < len(ids):
            return None
        else:
            names = [ids[int(name)] for name in names]
    else:
        allowed = set(ids)
        problems += [
            f"{quoted(name)} has a line but is not in the protocol or the list of tested clips"
            for name in names
            if name not in allowed
        ]
    if problems:
        raise ImportedFilesError(problems[:_SHOWN], where=path)
    return dict(zip(names, read.values.tolist(), strict=True))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
