"""Type A and Type B: every capable object sounds, or only one of several (Oya et al. 2020, 4.3).

A method that looks for objects that *could* sound is right on Type A and fails on Type B. The 30
and 30 clips of the paper were never released; of Type A some show a single object that could sound.
Types come from the samples themselves (``synth``), or from a list, a table ``id,type``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from ssl_bench.errors import AnnotationError, Problem, ProtocolError
from ssl_bench.testsets.base import Sample, TestSet
from ssl_bench.testsets.folder import FolderTestSet
from ssl_bench.testsets.tables import read_table
from ssl_bench.trials.recipes import ImageRecipe, shared_pictures
from ssl_bench.trials.trial import Trial

LIST = "type_ab.csv"
TYPES = ("A", "B")

_REMEDY = "write a table with the header id,type and one line for each sample, such as clip_1,A"


class _Typed(BaseModel):
    id: Annotated[str, Field(min_length=1)]
    type: Literal["A", "B"]


def read_types(path: Path) -> dict[str, str]:
    """Read a list of types, ``A`` or ``B``: a CSV file with the header ``id,type``.

    AnnotationError lists every problem of every line.
    """
    rows = read_table(path, _Typed, ("id", "type"), remedy=_REMEDY, key=lambda row: row.id)
    return {row.id: row.type for row in rows}


def compose(
    test_set: TestSet, seed: int = 0, *, types: Annotated[str | None, Field(alias="list")] = None
) -> list[Trial]:
    """One trial per sample of either type; its id is the sample's and the type, ``clip_1#A``.

    Nothing is random. ``list`` in a protocol is the path of a list of types, absolute or in the
    test set's folder. By default it is ``type_ab.csv`` in that folder, if there is one, else the
    samples' attributes ``type`` and ``n_capable`` tell, of which those with a single capable object
    have no type. ProtocolError if there are no types or one does not occur; AnnotationError if the
    list is unusable, or names a sample that the test set does not have.

    Examples
    --------
    >>> from ssl_bench.testsets import open_test_set
    >>> [trial.id for trial in compose(open_test_set("synth", "type-ab", options={"count": 2}))]
    ['type-ab-000000#A', 'type-ab-000001#B']
    """
    del seed
    samples = test_set.samples
    path = _list_path(types, test_set.folder if isinstance(test_set, FolderTestSet) else None)
    kinds = _own_types(samples) if path is None else _listed_types(samples, path)
    missing = [kind for kind in TYPES if kind not in kinds.values()]
    if missing:
        raise ProtocolError(
            f"no sample is of type {missing[0]}, so the types cannot be compared",
            code="E_COMPOSITION_SAMPLES",
        )
    shown = shared_pictures(samples)
    return [
        Trial.of(
            sample,
            id=f"{sample.id}#{kinds[sample.id]}",
            image=ImageRecipe.of(shown[sample.id]),
            attributes={**sample.attributes, "type": kinds[sample.id]},
        )
        for sample in samples
        if sample.id in kinds
    ]


def _list_path(given: str | None, folder: Path | None) -> Path | None:
    if folder is not None:
        beside = folder / (LIST if given is None else given)
        return beside if given is not None or beside.exists() else None
    if given is not None and not Path(given).is_absolute():
        raise ProtocolError(
            f"the list {given!r} has no folder to lie in",
            code="E_COMPOSITION_PARAMETER",
            remedy="give its whole path: this test set has no folder",
        )
    return None if given is None else Path(given)


def _own_types(samples: Sequence[Sample]) -> dict[str, str]:
    types = {}
    for sample in samples:
        kind, capable = sample.attributes.get("type"), sample.attributes.get("n_capable")
        if kind not in TYPES or not isinstance(capable, int):
            raise ProtocolError(
                "this sample has no type, A or B",
                code="E_COMPOSITION_SAMPLES",
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
        problems = [
            Problem(f"{identifier} is listed but not annotated", "E_ID_UNKNOWN")
            for identifier in unknown
        ]
        raise AnnotationError(problems, where=path, remedy="remove these lines")
    return types
