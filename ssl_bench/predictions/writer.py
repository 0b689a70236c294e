"""Writing predictions: one pass, bounded memory, whole or not at all."""

from __future__ import annotations

import errno
import math
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import ArrayLike, NDArray

from ssl_bench.arguments import require_instance
from ssl_bench.errors import ModelError, SslBenchError
from ssl_bench.files import atomic_path, blamed_on
from ssl_bench.predictions.format import (
    MEMBERS,
    ROW_MEMBERS,
    PredictionsMeta,
    can_retrieve,
    is_valid_id,
)
from ssl_bench.schemas import quoted

_SPOOLED = ("map", "similarity")
_BLOCK_BYTES = 2**20


class PredictionsWriter:
    """Write a predictions file, batch by batch.

    Maps and similarities go to temporary files as they come, so memory does not grow with them.
    The file appears only when the ``with`` block ends without an error. The same calls give the
    same bytes.

    Parameters
    ----------
    path
        The file to write. What stood there is replaced.
    meta
        Where the predictions come from.
    dtype
        Type in which maps and similarities are stored.

    Examples
    --------
    >>> import tempfile
    >>> meta = PredictionsMeta(
    ...     protocol="synth", protocol_digest="0" * 64, test_set="synth",
    ...     test_set_digest="1" * 64, model="center", complete=True)
    >>> path = Path(tempfile.mkdtemp()) / "predictions.npz"
    >>> with PredictionsWriter(path, meta) as writer:
    ...     writer.add(["t0", "t1"], np.zeros((2, 7, 7)))
    ...     writer.add(["t2", "t3"], np.ones((1, 7, 7)), map_index=[0, 0])
    >>> np.load(path)["map_index"].tolist()
    [0, 1, 2, 2]
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        meta: PredictionsMeta,
        *,
        dtype: Literal["float16", "float32"] = "float32",
        compress: bool = True,
    ) -> None:
        require_instance("PredictionsWriter", "path", path, str, os.PathLike)
        require_instance("PredictionsWriter", "meta", meta, PredictionsMeta)
        self._path = Path(path)
        self._compression = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
        self._meta = meta
        self._dtype = np.dtype(dtype)
        self._ids = _Ids()
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._lengths = dict.fromkeys(_SPOOLED, 0)
        self._small: dict[str, list[NDArray[Any]]] = {}
        self._spools: dict[str, IO[bytes]] = {}
        self._stack = ExitStack()  # closes the spools, which have no name and vanish then

    def __enter__(self) -> Self:
        try:
            if self._path.is_dir():
                raise IsADirectoryError(errno.EISDIR, "it is a folder")
            self._path.parent.mkdir(parents=True, exist_ok=True)
            for name in _SPOOLED:
                spool = tempfile.TemporaryFile(dir=self._path.parent)
                self._spools[name] = self._stack.enter_context(spool)
        except OSError as error:
            raise SslBenchError(
                f"predictions cannot be written here ({error.strerror})",
                code="E_FILE_UNWRITABLE",
                where=self._path,
                remedy="give another name, or a folder that you may write to",
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with blamed_on(self._path), self._stack:
            if kind is None:
                self._finish()
        self._spools = {}

    def add(
        self,
        trial_ids: Sequence[str],
        maps: ArrayLike | None = None,
        *,
        map_index: ArrayLike | None = None,
        score: ArrayLike | None = None,
        image_embedding: ArrayLike | None = None,
        audio_embedding: ArrayLike | None = None,
        similarity: ArrayLike | None = None,
    ) -> None:
        """Add B trials.

        All calls give the same arrays, of the same height and width.

        Parameters
        ----------
        trial_ids
            B ids, none of which was added before.
        maps
            ``(B, h, w)`` finite; with `map_index`, ``(m, h, w)`` for any m >= 1. None for
            retrieval.
        map_index
            ``(B,)`` integers below m: which row of `maps` each trial has. Lets trials share a map.
        score, image_embedding, audio_embedding
            ``(B,)`` confidence that anything sounds, and ``(B, d)`` embeddings.
        similarity
            ``(B, N)``: of the images of these trials with the sounds of all N trials of the file,
            in the order in which they are added.

        Raises
        ------
        ModelError
            If a shape is wrong, a value is not finite or would become 0 in float16, or an id is
            malformed or was added before. Nothing of the call is then kept.
        """
        if not self._spools:
            raise RuntimeError("a PredictionsWriter is used in a 'with' block")
        ids = list(trial_ids)
        seen: set[str] = set()
        known = self._ids.among(ids)
        for name in ids:
            if not is_valid_id(name):
                message = f"the trial id {quoted(name)} is empty, too long or not printable"
                raise self._refusal("E_IDS", message)
            if name in seen or name in known:
                raise self._refusal("E_IDS_DUPLICATE", f"the trial {name!r} was predicted twice")
            seen.add(name)
        given = zip(ROW_MEMBERS, (score, image_embedding, audio_embedding, similarity), strict=True)
        arrays = {
            name: self._checked(name, np.asarray(values), ids, np.arange(len(ids)))
            for name, values in given
            if values is not None
        }
        if maps is not None:
            heat = _as_array(maps)
            index = self._index(heat, map_index, ids)
            heat = self._checked("map", heat, ids, index)
            used, index = np.unique(index, return_inverse=True)
            arrays["map"] = heat if len(used) == len(heat) else heat[used]
            arrays["map_index"] = index + self._lengths["map"]
        elif not can_retrieve(arrays):
            message = "a batch has neither maps, nor similarity, nor both embeddings"
            raise self._refusal("E_MEMBERS", message)
        if not ids:
            return
        self._check_agrees(ids[0], arrays)
        self._leave_out_plain(arrays)
        self._ids.add(ids)
        with blamed_on(self._path):
            for name, array in arrays.items():
                if name in _SPOOLED:
                    self._spools[name].write(np.ascontiguousarray(array).data)
                    self._lengths[name] += len(array)
                else:
                    self._small.setdefault(name, []).append(array)

    def _refusal(self, code: str, message: str, remedy: str | None = None) -> ModelError:
        return ModelError(message, code=code, where=self._meta.model, remedy=remedy)

    def _index(
        self, maps: NDArray[Any], given: ArrayLike | None, ids: Sequence[str]
    ) -> NDArray[np.int64]:
        """Row of its map for each trial."""
        n_maps = len(maps) if maps.ndim else 0
        batch = f"the batch of {len(ids)} trials that starts with {ids[0] if ids else None!r}"
        if given is None:
            if maps.ndim == 3 and n_maps != len(ids):
                raise self._refusal(
                    "E_ARRAY_SHAPE", f"{batch} has {n_maps} maps", "give one map for each trial"
                )
            return np.arange(len(ids))
        index = np.asarray(given)
        if index.shape != (len(ids),) or not np.issubdtype(index.dtype, np.integer):
            message = f"the map index of {batch} is {index.dtype} of shape {index.shape}"
            raise self._refusal("E_MAP_INDEX", message)
        if ids and (index.min() < 0 or index.max() >= n_maps):
            message = f"the map index of {batch} points outside its {n_maps} maps"
            raise self._refusal("E_MAP_INDEX", message)
        return index.astype(np.int64)

    def _checked(
        self, name: str, array: NDArray[Any], ids: Sequence[str], index: NDArray[np.int64]
    ) -> NDArray[Any]:
        """An array as it is stored; trial i has the row ``index[i]``."""
        wrong = array.ndim != MEMBERS[name].n_axes or 0 in array.shape[1:]
        if name == "map":
            wrong = wrong or not np.issubdtype(array.dtype, np.floating)
        if wrong or (name != "map" and len(array) != len(ids)):
            message = f"the {name} of a batch of {len(ids)} trials is {array.dtype} of shape "
            message += f"{array.shape}, not {MEMBERS[name].wanted}"
            remedy = "give one map (h, w) of floats for each trial" if name == "map" else None
            raise self._refusal("E_ARRAY_SHAPE", message, remedy)
        dtype = self._dtype if name in _SPOOLED else np.dtype(np.float32)
        with np.errstate(over="ignore"):
            stored = array.astype(dtype, order="C", copy=False)
        kept = np.isfinite(stored)
        if dtype == np.float16:
            # Zeros are tied, and what was ranked among them is lost.
            kept &= (stored != 0) | (array == 0)
        whole = np.asarray(kept.all(axis=tuple(range(1, kept.ndim))))[index]
        if not whole.all():
            row = int(np.argmin(whole))
            finite = np.isfinite(array[index[row]]).all()
            fault = (
                f"values too large or too small for {dtype}" if finite else "NaN or infinite values"
            )
            remedy = "scale them, or store another type" if finite else "give finite numbers"
            raise self._refusal("E_NOT_FINITE", f"the {name} of {ids[row]!r} has {fault}", remedy)
        return stored

    def _check_agrees(self, first: str, arrays: dict[str, NDArray[Any]]) -> None:
        """Compare a batch with those before it."""
        shapes = {name: array.shape[1:] for name, array in arrays.items()}
        if self._ids and shapes != self._shapes:
            before, now = self._shapes.get("map"), shapes.get("map")
            message = f"arrays come with some batches only, or change their width, at {first!r}"
            if before and now and before != now:
                message = f"the maps change their size from {before} to {now} at {first!r}"
            remedy = "give the same arrays in every batch, of the same size"
            raise self._refusal("E_ARRAY_SHAPE", message, remedy)
        self._shapes = shapes

    def _leave_out_plain(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Keep no map index while trial i has row i; called before the ids of a batch are added."""
        index, known = arrays.get("map_index"), len(self._ids)
        if index is None or "map_index" in self._small:
            return
        if np.array_equal(index, np.arange(known, known + len(index))):
            del arrays["map_index"]
        else:
            self._small["map_index"] = [np.arange(known)]

    def _finish(self) -> None:
        n_trials = len(self._ids)
        if not n_trials:
            message = "the model gave no predictions, so there is nothing to write"
            raise self._refusal("E_NO_PREDICTIONS", message, "predict at least one trial")
        width = self._shapes.get("similarity", (n_trials,))[0]
        if width != n_trials:
            message = f"the similarities have {width} columns for {n_trials} trials"
            remedy = "give one column for the sound of each trial of the file"
            raise self._refusal("E_ARRAY_SHAPE", message, remedy)
        arrays = {name: np.concatenate(parts) for name, parts in self._small.items()}
        names = np.dtype(f"U{max(map(len, self._ids))}")
        ids = iter(self._ids)
        with (
            atomic_path(self._path) as temporary,
            zipfile.ZipFile(temporary, "w", self._compression) as archive,
        ):
            _write(archive, "meta", np.frombuffer(self._meta.to_bytes(), np.uint8))
            _write_rows(
                *(archive, "trial_id", names, (n_trials,)),
                lambda rows: np.array([*islice(ids, rows.stop - rows.start)], names).tobytes(),
            )
            for name in ("map_index", *(each for each in arrays if each != "map_index")):
                if name in arrays:
                    _write(archive, name, arrays[name])
            for name, spool in self._spools.items():
                if name in self._shapes:
                    spool.seek(0)
                    shape = (self._lengths[name], *self._shapes[name])
                    of_row = self._dtype.itemsize * math.prod(shape[1:])
                    next_of = partial(_next_of, spool, of_row)
                    _write_rows(archive, name, self._dtype, shape, next_of)


def save_predictions(
    path: str | os.PathLike[str],
    trial_ids: Sequence[str],
    maps: ArrayLike,
    meta: PredictionsMeta,
    *,
    dtype: Literal["float16", "float32"] = "float32",
) -> None:
    """Write N trials and their ``(N, h, w)`` maps at once, as :class:`PredictionsWriter` does.

    Raises
    ------
    SslBenchError
        If the maps cannot be used, or the file cannot be written.

    Examples
    --------
    >>> import tempfile, ssl_bench
    >>> path = Path(tempfile.mkdtemp()) / "mine.npz"
    >>> trials = ssl_bench.open_trials("synth")
    >>> maps = np.ones((len(trials), 7, 7), np.float32)
    >>> save_predictions(path, trials.ids, maps, trials.predictions_meta("mine"))
    """
    require_instance("save_predictions", "path", path, str, os.PathLike)
    if Path(path).suffix.lower() != ".npz":
        raise SslBenchError(
            "predictions are an .npz file, and this name ends otherwise",
            code="E_FILE_ENDING",
            where=path if isinstance(path, str) else os.fspath(path),
            remedy=f"call it {Path(path).with_suffix('.npz').name}",
        )
    heats, count = _as_array(maps), len(trial_ids)
    wanted = f"maps are an array (n, h, w): {count:,} maps, one a trial, of any height and width"
    remedy = wanted
    single = [axis for axis in range(1, heats.ndim) if heats.shape[axis] == 1]
    if heats.ndim == 4 and single:
        index = ", ".join([":"] * single[0] + ["0"])
        remedy = f"drop axis {single[0]}: maps[{index}]; {wanted}"
    if heats.ndim != 3:
        raise ModelError(
            f"the maps have the shape {heats.shape}",
            code="E_ARRAY_SHAPE",
            where=meta.model,
            remedy=remedy,
        )
    if len(heats) != count:
        raise ModelError(
            f"{len(heats):,} maps were given for {count:,} trials",
            code="E_ARRAY_SHAPE",
            where=meta.model,
            remedy="give one map for each trial, in the order of their ids",
        )
    with PredictionsWriter(path, meta, dtype=dtype) as writer:
        writer.add(trial_ids, heats)


def _as_array(values: Any) -> NDArray[Any]:
    """An array of numpy, from one or from a tensor, wherever it is."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if "bfloat16" in str(values.dtype):
            values = values.float()
    try:
        return np.asarray(values)
    except ValueError:  # a list of arrays of several sizes
        return np.empty(0, object)


class _Ids(Iterable[str]):
    """Ids in order, in some twenty bytes each: they may be many."""

    def __init__(self) -> None:
        # Valid ids hold no line break.
        self._lines: list[bytes] = []
        # Sorted hashes, in arrays each of which is at least twice as long as the next.
        self._hashes: list[NDArray[np.int64]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(lines.decode().split("\n") for lines in self._lines)

    def add(self, ids: Sequence[str]) -> None:
        """Put ids behind the others; none of them may be there already."""
        self._lines.append("\n".join(ids).encode())
        self._count += len(ids)
        new = np.sort(_hashes(ids))
        while self._hashes and len(self._hashes[-1]) < 2 * len(new):
            new = np.sort(np.concatenate([self._hashes.pop(), new]), kind="stable")
        self._hashes.append(new)

    def among(self, ids: Sequence[str]) -> set[str]:
        """Those of some ids that are there."""
        asked = _hashes(ids)
        alike = any(
            (hashes.take(np.searchsorted(hashes, asked), mode="clip") == asked).any()
            for hashes in self._hashes
        )
        return set(ids).intersection(self) if alike else set()


def _hashes(ids: Sequence[str]) -> NDArray[np.int64]:
    return np.fromiter(map(hash, ids), np.int64, len(ids))


def _next_of(spool: IO[bytes], of_row: int, rows: slice) -> bytes:
    return spool.read((rows.stop - rows.start) * of_row)


def _write(archive: zipfile.ZipFile, name: str, array: NDArray[Any]) -> None:
    _write_rows(archive, name, array.dtype, array.shape, lambda rows: array[rows].tobytes())


def _write_rows(
    archive: zipfile.ZipFile,
    name: str,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    read: Callable[[slice], bytes],
) -> None:
    """Write an array of which some rows are read at a time, in order."""
    # The member's header depends on nothing but its name.
    info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
    info.compress_type = archive.compression
    info.create_system = 3
    info.external_attr = 0o644 << 16
    of_row = dtype.itemsize * math.prod(shape[1:])
    info.file_size = shape[0] * of_row
    rows = max(1, _BLOCK_BYTES // of_row)
    header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with archive.open(info, "w") as member:
        npy.write_array_header_1_0(member, header)
        for start in range(0, shape[0], rows):
            member.write(read(slice(start, min(start + rows, shape[0]))))
