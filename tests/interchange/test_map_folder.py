"""A folder of maps becomes predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from refusals import refused
from standins import sample, trials_of

from ssl_bench.errors import DataError, ImportedFilesError
from ssl_bench.interchange.map_folder import import_maps, map_file_stem
from ssl_bench.predictions import open_predictions
from ssl_bench.scoring.checks import check_predictions
from ssl_bench.trials.trial_set import TrialSet

Maps = dict[str, NDArray[np.float32]]


@pytest.fixture
def trials() -> TrialSet:
    """Concatenated pairs, whose ids are no file names."""
    samples = [sample(name, category=name) for name in ("a", "b", "c d", "e", "f", "g")]
    return trials_of(samples, "concat")


@pytest.fixture
def maps(trials: TrialSet) -> Maps:
    rng = np.random.default_rng(0)
    return {name: rng.random((4, 5), dtype=np.float32) for name in trials.ids}


@pytest.fixture
def folder(tmp_path: Path, maps: Maps) -> Path:
    made = tmp_path / "maps"
    made.mkdir()
    for name, heat in maps.items():
        np.save(made / f"{map_file_stem(name)}.npy", heat)
    return made


def test_every_map_comes_back_under_its_trial(
    folder: Path, trials: TrialSet, maps: Maps, tmp_path: Path
) -> None:
    out = tmp_path / "out.npz"
    done = import_maps(folder, trials, out, model="mine", weights_digest="ab" * 32)
    assert (done.n_maps, done.missing, done.shape) == (len(trials), (), (4, 5))
    read = check_predictions(out, trials)
    assert (read.meta.model, read.meta.weights_digest) == ("mine", "ab" * 32)
    for name, heat in read.maps_of(trials.ids).items():
        np.testing.assert_array_equal(heat, maps[name])


def test_pictures_arrays_and_hidden_files_may_be_mixed(
    folder: Path, trials: TrialSet, tmp_path: Path
) -> None:
    first = folder / f"{map_file_stem(trials.ids[0])}.npy"
    first.unlink()
    Image.fromarray(np.full((4, 5), 51, np.uint8)).save(first.with_suffix(".png"))
    (folder / ".DS_Store").write_text("")
    import_maps(folder, trials, tmp_path / "out.npz", model="mine")
    read = open_predictions(tmp_path / "out.npz").maps_of([trials.ids[0]])
    np.testing.assert_allclose(read[trials.ids[0]], 0.2, rtol=1e-6)


def test_many_maps_are_written_in_batches(tmp_path: Path) -> None:
    trials = trials_of([sample(f"s{number:03d}") for number in range(130)])
    for number, name in enumerate(trials.ids):
        np.save(tmp_path / f"{name}.npy", np.full((2, 2), number, np.float32))
    import_maps(tmp_path, trials, tmp_path / "out" / "o.npz", model="mine")
    read = open_predictions(tmp_path / "out" / "o.npz").maps_of(trials.ids)
    assert [int(read[name][0, 0]) for name in trials.ids] == list(range(130))


def test_everything_that_is_wrong_is_said_at_once_and_nothing_is_written(
    folder: Path, trials: TrialSet, tmp_path: Path
) -> None:
    missing, damaged, large, nan, twice, *_ = trials.ids
    (folder / f"{map_file_stem(missing)}.npy").unlink()
    (folder / f"{map_file_stem(damaged)}.npy").write_bytes(b"\x93NUMPY")
    np.save(folder / f"{map_file_stem(large)}.npy", np.zeros((9, 9)))
    np.save(folder / f"{map_file_stem(nan)}.npy", np.full((4, 5), np.nan))
    Image.new("L", (5, 4)).save(folder / f"{map_file_stem(twice)}.png")
    np.save(folder / "stranger.npy", np.zeros((4, 5)))
    (folder / "notes.txt").write_text("hello")
    out = tmp_path / "out.npz"
    with pytest.raises(ImportedFilesError) as caught:
        import_maps(folder, trials, out, model="mine")
    text = str(caught.value)
    assert len(caught.value.problems) == 7
    for words in ("stranger.npy", "notes.txt", "of one trial", "NaN", "9 x 9", "truncated"):
        assert words in text
    assert map_file_stem(missing) in text
    assert list(tmp_path.iterdir()) == [folder]


def test_missing_maps_are_failures_only_where_that_is_said(
    folder: Path, trials: TrialSet, tmp_path: Path
) -> None:
    (folder / f"{map_file_stem(trials.ids[0])}.npy").unlink()
    with refused("E_IDS_MISSING", kind=ImportedFilesError):
        import_maps(folder, trials, tmp_path / "out.npz", model="mine")
    done = import_maps(folder, trials, tmp_path / "out.npz", model="mine", missing_fail=True)
    assert done.missing == (trials.ids[0],)
    assert check_predictions(tmp_path / "out.npz", trials).missing == (trials.ids[0],)


def test_long_lists_of_problems_are_summed_up(tmp_path: Path) -> None:
    trials = trials_of([sample(f"s{number:03d}") for number in range(40)])
    with refused("E_IDS_MISSING", kind=ImportedFilesError):
        import_maps(tmp_path, trials, tmp_path / "o.npz", model="mine")


def test_an_empty_folder_and_no_folder(trials: TrialSet, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with refused("E_FOLDER_EMPTY", kind=ImportedFilesError):
        import_maps(tmp_path / "empty", trials, tmp_path / "o.npz", model="mine", missing_fail=True)
    with refused("E_FILE_UNREADABLE", kind=DataError):
        import_maps(tmp_path / "gone", trials, tmp_path / "o.npz", model="mine")
    assert [item.name for item in tmp_path.iterdir()] == ["empty"]


def test_files_may_spell_clips_in_another_way(tmp_path: Path) -> None:
    trials = trials_of([sample("zYf0pcZ5q3M_000030"), sample("---g-f_I2yQ_000001")])
    for name in ("zYf0pcZ5q3M_30000_40000.mp4", "Y---g-f_I2yQ_1"):
        np.save(tmp_path / f"{name}.npy", np.eye(3, dtype=np.float32))
    assert import_maps(tmp_path, trials, tmp_path / "o" / "o.npz", model="mine").n_maps == 2
    np.save(tmp_path / "zYf0pcZ5q3M_000030.npy", np.eye(3, dtype=np.float32))
    with refused("E_IDS_DUPLICATE", where="zYf0pcZ5q3M_000030"):
        import_maps(tmp_path, trials, tmp_path / "o" / "o.npz", model="mine")
