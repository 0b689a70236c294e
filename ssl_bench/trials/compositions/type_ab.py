"""Type A and Type B: every capable object sounds, or only one of several (Oya et al. 2020, sec. 5).

A method that looks for objects that *could* sound is right on Type A and fails on Type B. The 30
and 30 clips of the paper were never released. Types come from the samples themselves (``synth``),
or from a list, a table ``id,type``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssl_bench.errors import AnnotationError, ProtocolError
from ssl_bench.testsets.base import Sample, TestSet
from ssl_bench.testsets.folder import FolderTestSet
from ssl_bench.testsets.listing import duplicates, read_table
from ssl_bench.trials.trial import WHOLE, AudioRecipe, ImageRecipe, Target, Trial, shared_pictures

LIST = "type_ab.csv"
TYPES = ("A", "B")

_REMEDY = "write a table with the header id,type and one line for each sample, such as clip_1,A"


def read_types(path: Path) -> dict[str, str]:
    """Read a list of types.

    Parameters
    ----------
    path
        CSV file with the header ``id,type``; a type is ``A`` or ``B``.

    Raises
    ------
    AnnotationError
        With every problem of every line.
    DataError
        If the file cannot be read as text.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "type_ab.csv"
    >>> with path.open("w") as stream:
    ...     print("id,type", "clip_1,A", "clip_2,B", sep=chr(10), file=stream)
    >>> read_types(path)
    {'clip_1': 'A', 'clip_2': 'B'}
    """
    rows = read_table(path, ("id", "type"), remedy=_REMEDY)
    problems = [
        f"line {number}: this is not an id and one of the types A and B"
        for number, row in enumerate(rows, 2)
        if len(row) != 2 or not row[0] or row[1] not in TYPES
    ]
    identifiers = [row[0] for row in rows if row]
    problems += [f"{identifier} is listed more than once" for identifier in duplicates(identifiers)]
    if not rows:
        problems.append("there is no line in this list")
    if problems:
        raise AnnotationError(problems, where=path, remedy=_REMEDY)
    return {row[0]: row[1] for row in rows}


def compose(
    samples: Sequence[Sample], *, seed: int = 0, parameters: Mapping[str, Any] | None = None
) -> list[Trial]:
    """One trial per sample of either type; its id is the sample's and the type, ``clip_1#A``.

    Parameters
    ----------
    samples
        The test set's samples.
    seed
        Not used: nothing is random.
    parameters
        ``list``: absolute path of a list of types. By default the samples' attributes ``type``
        and ``n_capable``, of which those with a single capable object have no type.

    Raises
    ------
    ProtocolError
        If a parameter is unknown, there is no list and the samples have no types, or one of the
        types does not occur.
    AnnotationError
        If the list is unusable, or names a sample that the test set does not have.

    Examples
    --------
    >>> from ssl_bench.testsets import open_test_set
    >>> samples = open_test_set("synth", "type-ab", options={"count": 2}).samples
    >>> [trial.id for trial in compose(samples)]
    ['type-ab-000000#A', 'type-ab-000001#B']
    """
    del seed
    return _trials(samples, _list_path(parameters, None))


def compose_test_set(
    test_set: TestSet, *, seed: int = 0, parameters: Mapping[str, Any] | None = None
) -> list[Trial]:
    """As :func:`compose`, but a test set with a folder may hold the list, as ``type_ab.csv``.

    A relative path of the parameter ``list`` lies in that folder too.
    """
    del seed
    folder = test_set.folder if isinstance(test_set, FolderTestSet) else None
    return _trials(test_set.samples, _list_path(parameters, folder))


def _trials(samples: Sequence[Sample], path: Path | None) -> list[Trial]:
    types = _own_types(samples) if path is None else _listed_types(samples, path)
    missing = [kind for kind in TYPES if kind not in types.values()]
    if missing:
        raise ProtocolError(f"no sample is of type {missing[0]}, so the types cannot be compared")
    shown = shared_pictures(samples)
    return [
        Trial(
            id=f"{sample.id}#{types[sample.id]}",
            image=ImageRecipe(((shown[sample.id], WHOLE),)),
            audio=AudioRecipe.of(sample.sound),
            targets=(Target(sample.id, WHOLE),),
            group=sample.group,
            category=sample.category,
            attributes={**sample.attributes, "type": types[sample.id]},
        )
        for sample in samples
        if sample.id in types
    ]


def _list_path(parameters: Mapping[str, Any] | None, folder: Path | None) -> Path | None:
    settings = dict(parameters or {})
    given = settings.pop("list", None)
    if settings or not isinstance(given, str | None):
        raise ProtocolError("the composition 'type_ab' has one parameter, 'list', which is a path")
    if given is None:
        return folder / LIST if folder is not None and (folder / LIST).exists() else None
    if folder is not None:
        return folder / given
    if not Path(given).is_absolute():
        raise ProtocolError(
            f"the list {given!r} has no folder to lie in",
            remedy="give its whole path: this test set has no folder",
        )
    return Path(given)


def _own_types(samples: Sequence[Sample]) -> dict[str, str]:
    types = {}
    for sample in samples:
        kind, capable = sample.attributes.get("type"), sample.attributes.get("n_capable")
        if kind not in TYPES or not isinstance(capable, int):
            raise ProtocolError(
                "this sample has no type, A or B",
                where=sample.id,
                remedy=f"put a table id,type named {LIST} into the test set's folder",
            )
        if capable > 1:
            types[sample.id] = str(kind)
    return types


def _listed_types(samples: Sequence[Sample], path: Path) -> dict[str, str]:
    types = read_types(path)
    unknown = sorted(set(types) - {sample.id for sample in samples})
    if unknown:
        problems = [f"{identifier} is listed but not annotated" for identifier in unknown]
        raise AnnotationError(problems, where=path, remedy="remove these lines")
    return types
