"""Arrays that a measure is given: what they must be, and what is said where they are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl_bench.errors import ArrayError
from ssl_bench.measures.definition import Measure
from ssl_bench.measures.separation import ROLES
from ssl_bench.measures.values import columns_read

NAMES = {
    "groups": "group",
    "images": "image",
    "categories": "category",
    "roles": "role",
    "mixtures": "mixture",
    "types": "type",
    "ids": "id",
}
"""Arguments that hold one name for each sample, and their columns."""

FLAGS = {"sounding": "sounding", "same_category": "same_category"}
"""Arguments that are true or false for each sample, and their columns."""

_ARGUMENT_OF = {column: name for name, column in (NAMES | FLAGS).items()} | {
    "side": "places",
    "quiet_tiles": "silent_tiles",
}


def as_array(values: ArrayLike, name: str) -> NDArray[Any]:
    """An array of numbers, without a copy where it is one on the CPU (numpy, torch and others).

    Raises ArrayError if it lies on another device, or holds anything but real numbers.
    """
    device = getattr(getattr(values, "device", None), "type", "cpu")
    if device != "cpu":
        raise ArrayError(
            f"{name} are on the device {str(device)!r}",
            code="E_ARRAY_DEVICE",
            remedy=f"give {name}.cpu()",
        )
    given = values.detach() if hasattr(values, "detach") else values
    try:
        array = np.asarray(given)
    except Exception as error:  # each library raises its own
        raise ArrayError(
            f"{name} cannot be read as an array ({type(error).__name__}: {error})",
            code="E_ARRAY_TYPE",
            remedy=f"give a numpy array, or a tensor as {name}.float().cpu()",
        ) from error
    if array.dtype.kind not in "biuf":
        raise ArrayError(
            f"{name} are of the type {array.dtype}, which holds no real numbers",
            code="E_ARRAY_TYPE",
            remedy="give numbers, in one array for all samples",
        )
    return array


def checked_maps(maps: ArrayLike) -> NDArray[np.float32]:
    """Maps ``(n, h, w)`` in single precision, from those or ``(n, 1, h, w)``.

    Raises ArrayError if they have another shape, are none, or are not finite.
    """
    from ssl_bench.measures import kernel
    from ssl_bench.measures.batch import read_only

    given = _stack(as_array(maps, "maps"), "maps", "E_MAP_SHAPE")
    with np.errstate(over="ignore"):
        heats = np.ascontiguousarray(given, np.float32)
    bad = np.flatnonzero(~np.isfinite(kernel.extrema(read_only(heats))).all(axis=1))
    if len(bad):
        raise ArrayError(
            f"{len(bad)} of {len(heats)} maps have values that are not finite",
            code="E_MAP_VALUES",
            where=f"map {bad[0]}",
            remedy="replace nan and inf before scoring",
        )
    return heats


def checked_truths(truths: ArrayLike, count: int) -> NDArray[Any]:
    """Truth maps ``(n, s, s)`` in [0, 1], of any type, from those or ``(n, 1, s, s)``.

    Raises ArrayError if they have another shape or number, or other values.
    """
    given = _stack(as_array(truths, "truths"), "truths", "E_TRUTH_SHAPE")
    same_count(count, len(given), "truths")
    if given.shape[1] != given.shape[2]:
        raise ArrayError(
            f"truths of {given.shape[1]} x {given.shape[2]} pixels are not square",
            code="E_TRUTH_SHAPE",
            remedy="draw them on the square grid of the evaluation with truths_from_masks",
        )
    if given.dtype != np.bool_ and not (given.min() >= 0 and given.max() <= 1):
        raise ArrayError(
            "truths have values that are not in 0 to 1",
            code="E_TRUTH_VALUES",
            remedy="give masks as bool, or divide 0 to 255 by 255",
        )
    return given


def _stack(array: NDArray[Any], name: str, code: str) -> NDArray[Any]:
    if array.ndim == 4 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 3:
        single = f"; give {name}[None] for one sample" if array.ndim == 2 else ""
        raise ArrayError(
            f"{name} have the shape {array.shape}",
            code=code,
            remedy=f"give (samples, height, width){single}",
        )
    if len(array) == 0:
        raise ArrayError(
            f"{name} of no sample were given", code="E_BATCH_EMPTY", remedy="leave this batch out"
        )
    if array.size == 0:
        raise ArrayError(f"{name} have the shape {array.shape}", code=code)
    return array


def same_count(count: int, given: int, name: str) -> None:
    """Raise ArrayError unless there is one of something for each sample."""
    if given != count:
        raise ArrayError(
            f"there are {count} samples, and {given} {name}",
            code="E_MAPS_COUNT",
            remedy="give one for each sample, in the same order",
        )


def checked_facts(given: Mapping[str, Any], count: int) -> dict[str, NDArray[Any]]:
    """Columns of facts from arguments by name, without those that are None.

    Raises ArrayError if one has another number of samples, or values that it cannot have.
    """
    found: dict[str, NDArray[Any]] = {}
    for name, values in given.items():
        if values is None:
            continue
        if name in NAMES:
            found[NAMES[name]] = np.array(checked_names(values, name, count), dtype=str)
            continue
        array = as_array(values, name)
        same_count(count, len(array) if array.ndim else 0, name)
        if name in FLAGS:
            if array.ndim != 1 or not np.isin(array, (0, 1)).all():
                raise ArrayError(f"{name} are not one true or false each", code="E_ARRAY_VALUES")
            found[FLAGS[name]] = array.astype(bool)
        elif name == "confidence":
            if array.ndim != 1 or not np.isfinite(array).all():
                raise ArrayError(f"{name} is not one finite number each", code="E_ARRAY_VALUES")
            found[name] = array.astype(np.float64)
        elif name == "places":
            if array.shape != (count, 4):
                raise ArrayError(
                    f"places have the shape {array.shape}",
                    code="E_ARRAY_SHAPE",
                    remedy="give (samples, 4): top, left, bottom, right in pixels of the grid",
                )
            found[name] = array.astype(np.int64)
        else:
            tiles = _stack(array, name, "E_ARRAY_SHAPE")
            if not np.isin(tiles, (0, 1)).all():
                raise ArrayError(f"{name} are not true or false", code="E_ARRAY_VALUES")
            found[name] = tiles.astype(bool)
    types = found.get("type")
    if types is not None and not np.isin(types, ("A", "B")).all():
        raise ArrayError("types are not 'A' or 'B' each", code="E_ARRAY_VALUES")
    return found


def checked_names(values: Any, name: str, count: int) -> list[str]:
    """One name for each sample, as texts; ArrayError where there are others."""
    listed = values if isinstance(values, list | tuple) else None
    if listed is None and not isinstance(values, str) and np.ndim(values) == 1:
        listed = np.asarray(values).tolist()
    if listed is None:
        raise ArrayError(
            f"{name} are no names", code="E_ARRAY_TYPE", remedy="give a list, one for each sample"
        )
    same_count(count, len(listed), name)
    return [str(each) for each in listed]


def check_given(measures: Sequence[Measure], facts: Mapping[str, NDArray[Any]]) -> None:
    """Raise ArrayError where a measure needs something of each sample that was not given."""
    for measure in measures:
        needed = {name for name in columns_read([measure]) if name in _ARGUMENT_OF}
        rows = measure.definition.rows
        needed |= {"image"} if rows in ("pictures", "twins") else set()
        # Elsewhere everything sounds unless something else is said.
        needed -= {"sounding"} if rows in ("sounding", "pictures", "twins") else set()
        needed |= (
            {"sounding"} if rows in ("silent", "all") or measure.name == "scene-NSA" else set()
        )
        needed -= set() if measure.variant in ROLES else {"role"}
        for name in sorted(needed):
            argument = _ARGUMENT_OF[name]
            if name not in facts and argument not in facts:
                raise ArrayError(
                    f"{measure} needs {argument} of each sample",
                    code="E_ARGUMENT_MISSING",
                    remedy=f"give {argument}, one for each sample",
                )
