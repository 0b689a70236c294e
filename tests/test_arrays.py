"""Arrays from anywhere: whole and plain, or refused before anything is allocated."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ssl_bench.arrays import read_array, read_arrays


def stored(array: NDArray[np.generic]) -> bytes:
    np.save(stream := io.BytesIO(), array)
    return stream.getvalue()


def headed(header: str, version: int = 1) -> bytes:
    length = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + header.encode() + bytes(64)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3)),
        np.array(["a", "bcd"]),
        np.float32(3),
        np.zeros((0, 4)),
    ],
)
def test_an_array_comes_back_with_its_type(array: NDArray[np.generic]) -> None:
    read = read_array(stored(array))
    assert read.dtype == np.asarray(array).dtype
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no array",
        stored(np.arange(6.0))[:-1],
        stored(np.array([{}, {}])),
        headed("{'descr': '<f8', 'fortran_order': False, 'shape': (2147483647, 2147483647), }\n"),
        headed("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 8), }\n"),
        headed("{'descr': '|V0', 'fortran_order': False, 'shape': (9223372036854775807,), }\n"),
        headed("{'descr': '<f8', 'shape': (8,), }\n"),
        headed("(" * 500),
        headed("__import__('os').abort()"),
        headed("-" * 3000 + "1", version=2),
        headed("{" + "'a': 1, " * 800 + "}", version=3),
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
    ],
)
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        read_array(content)


def test_members_of_a_zip_file_come_by_name_and_once(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, a=np.arange(3), b=np.zeros((2, 2)))
    assert {name: array.shape for name, array in read_arrays(path).items()} == {
        "a": (3,),
        "b": (2, 2),
    }
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a.npy", stored(np.arange(4)))
    with pytest.raises(ValueError, match="more than once"):
        read_arrays(path)
