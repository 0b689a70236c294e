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
        A file for the map rows meanwhile; it must not exist yet.
    dtype
        Type in which the maps are stored.
    """

    def __init__(self, rows: Path, dtype: np.dtype[Any]) -> None:
        self.ids: list[str] = []
        self._dtype = dtype
        self._n_maps = 0
        self._map_shape: tuple[int, ...] = ()
        self._index: list[NDArray[np.int64]] = []
        self._rows: dict[str, list[NDArray[np.float32]]] = {}
        self._spool = rows

    def add(self, batch: Batch) -> None:
        """Append the trials of a batch."""
        with self._spool.open("ab") as stream:
            stream.write(np.ascontiguousarray(batch.maps).data)
        self._index.append(batch.index + self._n_maps)
        self._map_shape = batch.maps.shape[1:]
        self._n_maps += len(batch.maps)
        self.ids.extend(batch.ids)
        for name, values in batch.rows.items():
            self._rows.setdefault(name, []).append(values)

    def write(self, path: Path, meta: PredictionsMeta) -> None:
        """Write the file, the same bytes for the same trials, and remove the map rows."""
        index = np.concatenate(self._index)
        shape = (self._n_maps, *self._map_shape)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            _write_array(archive, "meta", np.frombuffer(meta.to_bytes(), np.uint8))
            _write_array(archive, "trial_id", np.array(self.ids, dtype=np.str_))
            if self._n_maps != len(self.ids) or (index != np.arange(len(index))).any():
                _write_array(archive, "map_index", index)
            for name, parts in self._rows.items():
                _write_array(archive, name, np.concatenate(parts))
            size = int(np.prod(shape, dtype=np.int64)) * self._dtype.itemsize
            with _open_member(archive, "map", size) as member, self._spool.open("rb") as stream:
                _write_header(member, self._dtype, shape)
                shutil.copyfileobj(stream, member, _COPY_BYTES)
        self._spool.unlink()


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
