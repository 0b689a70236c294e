"""Clips that are alike: found by cosine, drawn by seed, pass and row; files of features checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from refusals import refused

from ssl_bench.training.neighbours import (
    Features,
    Neighbours,
    find_neighbours,
    nearest,
    read_features,
)

IDS = ("a", "b", "c")
VALUES = np.array([[1, 0], [0, 1], [1, 1]], np.float32)


def _write(path: Path, **arrays: object) -> Path:
    np.savez(path, **{"ids": np.array(IDS), "features": VALUES, **arrays})
    return path


@pytest.mark.parametrize(("seed", "k"), [(0, 1), (1, 3), (2, 6), (3, 7)])
def test_neighbours_are_the_others_of_largest_cosine(seed: int, k: int) -> None:
    features = np.random.default_rng(seed).normal(size=(8, 3)).astype(np.float32)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -2)
    found = nearest(features, k)
    assert found.shape == (8, k)
    for row, chosen in enumerate(found):
        assert row not in chosen
        expected = np.sort(cosines[row])[::-1][:k]
        np.testing.assert_allclose(cosines[row][chosen], expected, atol=1e-5)


def test_length_does_not_matter() -> None:
    features = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    scales = np.arange(1, 10, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(nearest(features * scales, 4), nearest(features, 4))


def _neighbours(count: int = 200, k: int = 10) -> Neighbours:
    generator = np.random.default_rng(0)
    images, sounds = (generator.normal(size=(count, 4)).astype(np.float32) for _ in range(2))
    return find_neighbours(Features(images, "i"), Features(sounds, "s"), k)


def test_what_is_drawn_is_a_neighbour_whatever_the_batch() -> None:
    neighbours = _neighbours()
    rows = np.arange(200)
    drawn = neighbours.draw(rows, seed=1, epoch=2)
    for row in rows:
        assert drawn.images[row] in neighbours.images[row]
        assert drawn.sounds[row] in neighbours.sounds[row]
    some = np.array([150, 3, 77])
    again = neighbours.draw(some, seed=1, epoch=2)
    np.testing.assert_array_equal(again.images, drawn.images[some])
    np.testing.assert_array_equal(again.sounds, drawn.sounds[some])


def test_each_pass_and_seed_draws_anew() -> None:
    neighbours, rows = _neighbours(), np.arange(200)
    first = neighbours.draw(rows, seed=0, epoch=0).images
    for seed, epoch in ((0, 1), (1, 0)):
        same = np.mean(neighbours.draw(rows, seed, epoch).images == first)
        assert same == pytest.approx(0.1, abs=0.07)


def test_image_and_sound_are_drawn_independently_and_uniformly() -> None:
    table = np.tile(np.arange(4, dtype=np.int32), (4000, 1))
    neighbours = Neighbours(table, table, "")
    drawn = neighbours.draw(np.arange(4000), seed=0, epoch=0)
    pairs = np.histogram2d(drawn.images, drawn.sounds, bins=4)[0]
    np.testing.assert_allclose(pairs, 250, atol=70)


def test_more_neighbours_than_clips_are_refused() -> None:
    features = Features(VALUES, "")
    assert find_neighbours(features, features, 2).images.shape == (3, 2)
    with refused("E_NEIGHBOURS_FEW"):
        find_neighbours(features, features, 3)


def test_the_digest_tells_features_and_number() -> None:
    one, other = Features(VALUES, "one"), Features(VALUES, "other")
    found = {
        find_neighbours(*pair, k).digest
        for pair, k in (((one, one), 1), ((one, other), 1), ((other, one), 1), ((one, one), 2))
    }
    assert len(found) == 4


def test_rows_come_in_the_order_that_is_asked_for(tmp_path: Path) -> None:
    path = _write(tmp_path / "f.npz")
    np.testing.assert_array_equal(read_features(path, ["c", "a"]).values, VALUES[[2, 0]])


def test_rows_are_found_by_other_spellings_of_their_ids(tmp_path: Path) -> None:
    spelt = np.array(["dog/YzYf0pcZ5q3M_30.mp4", "zYf0pcZ5q3M_40000_50000", "a-b_c-d_e-f_000001"])
    path = _write(tmp_path / "f.npz", ids=spelt)
    found = read_features(path, ["zYf0pcZ5q3M_000040", "zYf0pcZ5q3M_000030"])
    np.testing.assert_array_equal(found.values, VALUES[[1, 0]])
    with refused("E_FEATURES_MISSING", where="zYf0pcZ5q3M_000050"):
        read_features(path, ["zYf0pcZ5q3M_000050"])


def test_a_plain_table_has_its_ids_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "f.npy"
    np.save(path, VALUES)
    (tmp_path / "f.txt").write_text("a\nb\nc\n")
    np.testing.assert_array_equal(read_features(path, ["b"]).values, VALUES[[1]])
    (tmp_path / "f.txt").write_text("a\nb\n")
    with refused("E_FEATURES_FORM", where=path):
        read_features(path, ["b"])
    (tmp_path / "f.txt").unlink()
    with refused("E_FILE_MISSING", where="f.txt"):
        read_features(path, ["b"])


def _filled(row: int, value: float) -> np.ndarray:
    values = VALUES.copy()
    values[row] = value
    return values


@pytest.mark.parametrize(
    ("arrays", "code"),
    [
        ({"ids": np.array(["a", "b", "x"])}, "E_FEATURES_MISSING"),
        ({"ids": np.array(["a", "b", "b"])}, "E_FEATURES_REPEATED"),
        ({"ids": np.array(["a", "b"])}, "E_FEATURES_FORM"),
        ({"features": VALUES[:, 0]}, "E_FEATURES_FORM"),
        ({"features": VALUES.astype(str)}, "E_FEATURES_FORM"),
        ({"features": VALUES[:, :0]}, "E_FEATURES_FORM"),
        ({"features": _filled(1, np.nan)}, "E_FEATURES_UNUSABLE"),
        ({"features": _filled(0, -np.inf)}, "E_FEATURES_UNUSABLE"),
        ({"features": _filled(2, 0)}, "E_FEATURES_UNUSABLE"),
        ({"features": np.array([{}, {}, {}])}, "E_FEATURES_UNREADABLE"),
    ],
)
def test_unusable_features_are_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], code: str
) -> None:
    path = _write(tmp_path / "f.npz", **arrays)
    with refused(code, where=path):
        read_features(path, IDS)


def test_files_of_another_form_are_refused(tmp_path: Path) -> None:
    lacking, torn, text = tmp_path / "l.npz", tmp_path / "t.npz", tmp_path / "x.npz"
    np.savez(lacking, features=VALUES)
    whole = _write(tmp_path / "f.npz").read_bytes()
    torn.write_bytes(whole[: len(whole) // 2])
    text.write_text("no numbers")
    for path in (lacking, torn, text, tmp_path / "none.npz", tmp_path):
        with refused("E_FEATURES_UNREADABLE", where=path):
            read_features(path, IDS)
