"""One map in one file."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from refusals import refused

from ssl_bench.errors import DataError
from ssl_bench.interchange.map_folder import map_file_stem, read_map, trial_of_stem


class TestNames:
    @given(st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable()))
    def test_every_id_has_a_safe_name_that_leads_back(self, trial_id: str) -> None:
        stem = map_file_stem(trial_id)
        assert trial_of_stem(stem) == trial_id
        assert stem.isascii()
        assert not set(stem) & set('/\\:*?"<>| #')
        assert not stem.startswith(".")

    @pytest.mark.parametrize("trial_id", ["..", ".hidden", "a/../../b", "con|x#left"])
    def test_ids_that_would_be_dangerous_as_names(self, trial_id: str, tmp_path: Path) -> None:
        path = tmp_path / f"{map_file_stem(trial_id)}.npy"
        np.save(path, np.zeros((2, 2)))
        assert [item.name for item in tmp_path.iterdir()] == [path.name]

    def test_common_ids_stand_for_themselves(self) -> None:
        assert map_file_stem("-zYf0pcZ5q3M_000030") == "-zYf0pcZ5q3M_000030"


class TestNumpy:
    @pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", "u1", "i8", "bool"])
    def test_numbers_become_single_precision_as_they_are(self, dtype: str, tmp_path: Path) -> None:
        values = np.array([[0, 1, 1], [1, 0, 0]]).astype(dtype)
        np.save(tmp_path / "a.npy", values)
        read = read_map(tmp_path / "a.npy")
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, values.astype(np.float32))

    def test_integers_are_not_scaled(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.array([[200, 3]], np.uint8))
        assert read_map(tmp_path / "a.npy").tolist() == [[200, 3]]

    def test_columns_first_and_leading_axes_of_one(self, tmp_path: Path) -> None:
        values = np.arange(6.0).reshape(2, 3)
        np.save(tmp_path / "a.npy", np.asfortranarray(values))
        np.save(tmp_path / "b.npy", values[None, None])
        np.testing.assert_array_equal(read_map(tmp_path / "a.npy"), values)
        np.testing.assert_array_equal(read_map(tmp_path / "b.npy"), values)

    @pytest.mark.parametrize(
        ("array", "code"),
        [
            (np.zeros((2, 3, 4)), "E_ARRAY_SHAPE"),
            (np.zeros(5), "E_ARRAY_SHAPE"),
            (np.zeros((0, 3)), "E_MAP_SIZE"),
            (np.zeros((1, 1025)), "E_MAP_SIZE"),
            (np.full((2, 2), np.nan), "E_NOT_FINITE"),
            (np.full((2, 2), -np.inf), "E_NOT_FINITE"),
            (np.full((2, 2), 1e300), "E_NOT_FINITE"),
            (np.array([["a"]]), "E_ARRAY_TYPE"),
            (np.array([[1j]]), "E_ARRAY_TYPE"),
        ],
    )
    def test_arrays_that_are_no_maps(self, array: np.ndarray, code: str, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", array)
        with refused(code, where="a.npy", kind=DataError):
            read_map(tmp_path / "a.npy")

    def test_nothing_is_unpickled(self, tmp_path: Path) -> None:
        marker = tmp_path / "executed"

        class Hostile:
            def __reduce__(self) -> tuple[object, tuple[object, ...]]:
                return Path.touch, (marker,)

        np.save(tmp_path / "a.npy", np.array([[Hostile()]], object), allow_pickle=True)
        (tmp_path / "b.npy").write_bytes(pickle.dumps(Hostile()))
        for name in ("a.npy", "b.npy"):
            with pytest.raises(DataError):
                read_map(tmp_path / name)
        assert not marker.exists()

    @pytest.mark.parametrize("keep", [0, 3, 9, 40, 130])
    def test_truncated_files(self, keep: int, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.ones((3, 4)))
        content = (tmp_path / "a.npy").read_bytes()
        (tmp_path / "a.npy").write_bytes(content[:keep])
        with refused("E_FILE_DAMAGED", where=tmp_path / "a.npy", kind=DataError):
            read_map(tmp_path / "a.npy")

    def test_a_header_that_claims_more_than_there_is(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.ones((3, 4)))
        content = (tmp_path / "a.npy").read_bytes().replace(b"(3, 4)", b"(9, 9)")
        (tmp_path / "a.npy").write_bytes(content)
        with refused("E_FILE_DAMAGED"):
            read_map(tmp_path / "a.npy")

    def test_a_file_that_is_too_large_is_not_read(self, tmp_path: Path) -> None:
        with (tmp_path / "a.npy").open("wb") as stream:
            stream.truncate(17 * 1024**2 * 16)
        with refused("E_FILE_SIZE"):
            read_map(tmp_path / "a.npy")


class TestPng:
    def test_eight_bits(self, tmp_path: Path) -> None:
        Image.fromarray(np.array([[0, 128, 255]], np.uint8)).save(tmp_path / "a.png")
        expected = np.array([[0, 128, 255]], np.float32) / 255
        np.testing.assert_array_equal(read_map(tmp_path / "a.png"), expected)

    def test_sixteen_bits(self, tmp_path: Path) -> None:
        Image.fromarray(np.array([[0, 257, 65535]], np.uint16)).save(tmp_path / "a.png")
        read = read_map(tmp_path / "a.png")
        np.testing.assert_allclose(read, [[0, 257 / 65535, 1]], rtol=1e-6)

    def test_one_bit(self, tmp_path: Path) -> None:
        Image.fromarray(np.array([[False, True]])).save(tmp_path / "a.png")
        assert read_map(tmp_path / "a.png").tolist() == [[0, 1]]

    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
    def test_pictures_with_colours_or_transparency(self, mode: str, tmp_path: Path) -> None:
        Image.new(mode, (3, 2)).save(tmp_path / "a.png")
        with refused("E_MAP_COLOURS"):
            read_map(tmp_path / "a.png")

    @pytest.mark.parametrize("keep", [0, 5, 20, 50, -40])
    def test_truncated_files(self, keep: int, tmp_path: Path) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "a.png")
        content = (tmp_path / "a.png").read_bytes()
        (tmp_path / "a.png").write_bytes(content[:keep])
        with refused("E_FILE_DAMAGED"):
            read_map(tmp_path / "a.png")

    def test_another_format_under_the_name_of_png(self, tmp_path: Path) -> None:
        Image.new("L", (3, 2)).save(tmp_path / "a.bmp")
        (tmp_path / "a.bmp").rename(tmp_path / "a.png")
        with refused("E_FILE_DAMAGED"):
            read_map(tmp_path / "a.png")

    def test_a_picture_that_is_too_large(self, tmp_path: Path) -> None:
        Image.new("L", (1025, 2)).save(tmp_path / "a.png")
        with refused("E_MAP_SIZE"):
            read_map(tmp_path / "a.png")
