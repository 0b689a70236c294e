"""One file of predictions in the making: gathered in any number of batches, written once."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ssl_bench.predictions.batch import Batch
from ssl_bench.predictions.format import PredictionsMeta

_COPY_BYTES = 2**20


class Shard:
    """The trials of one file while it is being filled.

    Parameters
    ----------
    rows
        A path for the rows of maps and similarities meanwhile; nothing may exist under it yet.
    dtype
        Type in which maps and similarities are stored.
    """

    def __init__(self, rows: Path, dtype: np.dtype[Any]) -> None:
        self.ids: list[str] = []
        self._index: list[NDArray[np.int64]] = []
        self._rows: dict[str, list[NDArray[np.floating[Any]]]] = {}
        self._spools = {
            name: _Spool(rows.with_name(f"{rows.name}-{name}"), dtype)
            for name in ("map", "similarity")
        }

    def add(self, batch: Batch) -> None:
        """Append the trials of a batch."""
        maps = self._spools["map"]
        self._index.append(batch.index + maps.n_rows)
        if batch.maps is not None:
            maps.add(batch.maps)
        self.ids.extend(batch.ids)
        for name, values in batch.rows.items():
            if name in self._spools:
                self._spools[name].add(values)
            else:
                self._rows.setdefault(name, []).append(values)

    def write(self, path: Path, meta: PredictionsMeta) -> None:
        """Write the file, the same bytes for the same trials, and remove the spooled rows."""
        index = np.concatenate(self._index)
        n_maps = self._spools["map"].n_rows
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            _write_array(archive, "meta", np.frombuffer(meta.to_bytes(), np.uint8))
            _write_array(archive, "trial_id", np.array(self.ids, dtype=np.str_))
            if n_maps and (n_maps != len(index) or (index != np.arange(len(index))).any()):
                _write_array(archive, "map_index", index)
            for name, parts in self._rows.items():
                _write_array(archive, name, np.concatenate(parts))
            for name, spool in self._spools.items():
                if spool.n_rows:
                    spool.move_to(archive, name)


class _Spool:
    """Rows of one member, kept in a file until their number is known."""

    def __init__(self, path: Path, dtype: np.dtype[Any]) -> None:
        self.n_rows = 0
        self._path = path
        self._dtype = dtype
        self._row_shape: tuple[int, ...] = ()

    def add(self, rows: NDArray[np.floating[Any]]) -> None:
        with self._path.open("ab") as stream:
            stream.write(np.ascontiguousarray(rows).data)
        self._row_shape = rows.shape[1:]
        self.n_rows += len(rows)

    def move_to(self, archive: zipfile.ZipFile, name: str) -> None:
        shape = (self.n_rows, *self._row_shape)
        size = int(np.prod(shape, dtype=np.int64)) * self._dtype.itemsize
        with _open_member(archive, name, size) as member, self._path.open("rb") as stream:
            _write_header(member, self._dtype, shape)
            shutil.copyfileobj(stream, member, _COPY_BYTES)
        self._path.unlink()


def _open_member(archive: zipfile.ZipFile, name: str, size: int) -> IO[bytes]:
    """Open a member for writing whose header bytes depend on nothing but its name."""
    info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3
    info.external_attr = 0o644 << 16
    info.file_size = size
    return archive.open(info, "w")


def _write_header(member: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    description = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(member, description)


def _write_array(archive: zipfile.ZipFile, name: str, array: NDArray[Any]) -> None:
    with _open_member(archive, name, array.nbytes) as member:
        npy.write_array(member, array, allow_pickle=False)
