"""Stored maps: small ones as they are, averages of areas, equal ones once, and the same bytes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from refusals import refused

from ssl_bench.leaderboard.compact import reduce_map, write_compact
from ssl_bench.measures.interpolation import upsample
from ssl_bench.predictions import (
    Predictions,
    PredictionsMeta,
    PredictionsWriter,
    open_predictions,
    save_predictions,
)

META = PredictionsMeta(
    protocol="p",
    protocol_digest="0" * 64,
    test_set="t",
    test_set_digest="1" * 64,
    model="m",
    complete=True,
)


LEVELS = st.sampled_from([0.1, 1 / 3, -2.7, 1e-7, 1e6])
MAPS = st.tuples(st.integers(1, 3), st.integers(1, 14), st.integers(1, 14)).flatmap(
    lambda shape: st.sampled_from([np.float16, np.float32]).flatmap(
        lambda dtype: arrays(dtype, shape, elements={"allow_nan": False, "allow_infinity": False})
    )
)


def written(path: Path, maps: np.ndarray, ids: list[str] | None = None) -> Predictions:
    save_predictions(path, ids or [f"t{row}" for row in range(len(maps))], maps, META)
    return open_predictions(path)


class TestReduceMap:
    def test_areas_around_the_points_by_hand(self) -> None:
        """Five pixels for three: a quarter, a half and a quarter; both ends are half outside."""
        grid = np.array([[6.0, 0.0, 8.0, 4.0, 2.0]])
        assert reduce_map(grid, 1, 3).tolist() == [[3.0, 5.0, 3.0]]

    def test_a_single_area_is_the_mean(self) -> None:
        grid = np.array([[1.0, 3.0, 0.0, 0.0], [5.0, 7.0, 0.0, 8.0]])
        assert reduce_map(grid, 1, 1).tolist() == [[3.0]]

    @pytest.mark.parametrize("place", range(14))
    def test_what_was_enlarged_stays_in_its_place(self, place: int) -> None:
        grid = np.zeros((1, 14))
        grid[0, place] = 1
        enlarged = upsample(grid, 224, "bilinear-corners")
        assert reduce_map(enlarged, 1, 14).argmax() == place
        assert reduce_map(enlarged, 1, 14)[0] == pytest.approx(
            reduce_map(enlarged[:, ::-1], 1, 14)[0, ::-1]
        )

    def test_a_ramp_stays_a_ramp(self) -> None:
        ramp = np.linspace(0, 13, 224)[None]
        # A pixel has one value over its width.
        assert reduce_map(ramp, 1, 14)[0, 1:-1] == pytest.approx(np.arange(1, 13), abs=1e-3)

    @given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 14), st.integers(0, 9))
    def test_keeps_the_range(self, height: int, width: int, side: int, seed: int) -> None:
        grid = np.random.default_rng(seed).random((height, width))
        small = reduce_map(grid, min(side, height), min(side, width))
        assert small.min() >= grid.min()
        assert small.max() <= grid.max()

    @given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 14), LEVELS, LEVELS)
    def test_an_average_of_equal_values_is_that_value(
        self, height: int, width: int, side: int, level: float, other: float
    ) -> None:
        grid = np.full((height, width), level)
        grid[: height // 4, : width // 4] = other
        small = reduce_map(grid, min(side, height), min(side, width))
        if min(height, side) > 1:
            assert (small[-1] == level).all()
        if min(width, side) > 1:
            assert (small[:, -1] == level).all()


class TestWriteCompact:
    @pytest.mark.slow
    @given(maps=MAPS)
    def test_small_maps_stay_as_they_are_so_that_no_score_changes(
        self, maps: NDArray[np.floating]
    ) -> None:
        """Whatever their range: softmax maps, logits, and those times 1e-9 alike."""
        with tempfile.TemporaryDirectory() as folder:
            given_maps = written(Path(folder) / "a.npz", maps)
            write_compact(given_maps, Path(folder) / "b.npz")
            held = open_predictions(Path(folder) / "b.npz").maps_of(given_maps.trial_ids)
        assert (np.stack([*held.values()]) == maps.astype(np.float32)).all()

    def test_large_maps_are_reduced(self, tmp_path: Path) -> None:
        maps = np.random.default_rng(0).random((2, 28, 10)).astype(np.float32)
        write_compact(written(tmp_path / "a.npz", maps), tmp_path / "b.npz")
        small = open_predictions(tmp_path / "b.npz").maps_of(["t1"])["t1"]
        assert small.shape == (14, 10)
        assert small == pytest.approx(reduce_map(maps[1], 14, 10))

    def test_doing_it_again_changes_nothing(self, tmp_path: Path) -> None:
        maps = np.random.default_rng(0).random((4, 20, 20)).astype(np.float32)
        maps[2] = maps[0]
        write_compact(written(tmp_path / "a.npz", maps), tmp_path / "b.npz")
        write_compact(open_predictions(tmp_path / "b.npz"), tmp_path / "c.npz")
        assert (tmp_path / "b.npz").read_bytes() == (tmp_path / "c.npz").read_bytes()

    def test_equal_maps_are_stored_once(self, tmp_path: Path) -> None:
        maps = np.ones((50, 14, 14), np.float32) * (np.arange(50) % 2)[:, None, None]
        write_compact(written(tmp_path / "a.npz", maps), tmp_path / "b.npz")
        stored = np.load(tmp_path / "b.npz")
        assert stored["map"].shape == (2, 14, 14)
        assert stored["map_index"].tolist() == [0, 1] * 25

    def test_the_order_of_shared_maps_is_that_of_trials(self, tmp_path: Path) -> None:
        with PredictionsWriter(tmp_path / "a.npz", META) as writer:
            maps = np.arange(3, dtype=np.float32)[:, None, None] * np.ones((3, 2, 2))
            writer.add(["x", "y", "z"], maps, map_index=[2, 0, 2])
        write_compact(open_predictions(tmp_path / "a.npz"), tmp_path / "b.npz")
        stored = np.load(tmp_path / "b.npz")
        assert stored["map"][:, 0, 0].tolist() == [2, 0]
        assert stored["map_index"].tolist() == [0, 1, 0]

    def test_shards_of_different_sizes_are_reduced_alike(self, tmp_path: Path) -> None:
        folder = tmp_path / "shards"
        folder.mkdir()
        written(folder / "0.npz", np.ones((1, 16, 16)), ["t0"])
        written(folder / "1.npz", np.ones((1, 6, 8)), ["t1"])
        write_compact(open_predictions(folder), tmp_path / "b.npz")
        assert open_predictions(tmp_path / "b.npz").map_shapes == {(6, 8)}

    def test_confidence_is_kept(self, tmp_path: Path) -> None:
        with PredictionsWriter(tmp_path / "a.npz", META) as writer:
            writer.add(["x", "y"], np.ones((2, 2, 2)), score=[0.25, -3.0])
        write_compact(open_predictions(tmp_path / "a.npz"), tmp_path / "b.npz")
        score = open_predictions(tmp_path / "b.npz").score
        assert score is not None
        assert score.tolist() == [0.25, -3.0]

    def test_embeddings_are_kept(self, tmp_path: Path) -> None:
        one, two = np.random.default_rng(0).random((2, 3, 4), np.float32)
        with PredictionsWriter(tmp_path / "a.npz", META) as writer:
            writer.add(["x", "y", "z"], None, image_embedding=one, audio_embedding=two)
        write_compact(open_predictions(tmp_path / "a.npz"), tmp_path / "b.npz")
        kept = open_predictions(tmp_path / "b.npz").image_embedding
        assert kept is not None
        assert (kept == one).all()

    def test_similarities_are_kept_however_small(self, tmp_path: Path) -> None:
        close = np.random.default_rng(0).random((3, 3), np.float32) * np.float32(1e-9)
        with PredictionsWriter(tmp_path / "a.npz", META) as writer:
            writer.add(["x", "y", "z"], None, similarity=close)
        write_compact(open_predictions(tmp_path / "a.npz"), tmp_path / "b.npz")
        [(_, kept)] = open_predictions(tmp_path / "b.npz").iter_similarity()
        assert (kept == close).all()

    def test_too_large_a_file_says_what_to_do(self, tmp_path: Path) -> None:
        maps = np.random.default_rng(0).random((50, 14, 14))
        with refused("E_MAPS_SIZE"):
            write_compact(written(tmp_path / "a.npz", maps), tmp_path / "b.npz", max_bytes=1000)
