"""One setting over several values: its scores are those of runs with each value."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from own_sets import table
from PIL import Image
from protocol_files import few_trials
from refusals import refused

import ssl_bench
from ssl_bench.analysis.sweep import ALPHA, SHORT, THRESHOLD, Sweep
from ssl_bench.analysis.sweep_request import SweepError
from ssl_bench.cli.main import commands
from ssl_bench.cli.sweep import _SETTINGS
from ssl_bench.errors import SslBenchError
from ssl_bench.figures.sweep import write_sweep
from ssl_bench.training.record import read_record, write_record
from ssl_bench.training.run import plan_training

N = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sweep")
    (made / "few.toml").write_text(few_trials(N))
    return made


@pytest.fixture(scope="module")
def protocol(folder: Path) -> str:
    return str(folder / "few.toml")


@pytest.fixture(scope="module")
def alphas(protocol: str) -> Sweep:
    return ssl_bench.sweep("alpha", "ezvsl", protocol, [0, 0.4, 1])


def score_of(found: Sweep, value: str, measure: str = "AUC") -> float:
    [point] = [each for each in found.points if each.value == value]
    [measured] = [each for each in point.measures if each.measure == measure]
    assert measured.value is not None
    return measured.value


class TestAlpha:
    @pytest.mark.parametrize("alpha", [0.4, 1.0])
    def test_a_mix_scores_as_the_model_that_mixes(
        self, alphas: Sweep, protocol: str, folder: Path, alpha: float
    ) -> None:
        done = ssl_bench.evaluate(
            "ezvsl", protocol, alpha=alpha, folder=folder / f"alpha{alpha}", overwrite=True
        )
        assert score_of(alphas, f"{alpha:g}") == pytest.approx(done.result["AUC"].value, abs=1e-12)

    def test_no_weight_of_the_model_is_the_prior_alone(
        self, alphas: Sweep, protocol: str, folder: Path
    ) -> None:
        done = ssl_bench.evaluate("ogl-l1", protocol, folder=folder / "prior", overwrite=True)
        assert score_of(alphas, "0") == pytest.approx(done.result["AUC"].value, abs=1e-12)

    def test_stored_maps_need_no_model(self, alphas: Sweep, protocol: str, folder: Path) -> None:
        own, prior = (
            ssl_bench.predict(name, protocol, folder=folder / f"maps-{name}", overwrite=True)
            for name in ("ezvsl", "ogl-l1")
        )
        found = ssl_bench.sweep(
            *("alpha", "ezvsl", protocol, [0, 0.4, 1]),
            maps=own.predictions,
            prior_maps=prior.predictions,
        )
        assert [point.measures for point in found.points] == [
            point.measures for point in alphas.points
        ]

    def test_maps_of_a_model_alone_cannot_be_mixed(self, protocol: str, folder: Path) -> None:
        with pytest.raises(SweepError) as caught:
            ssl_bench.sweep("alpha", "ezvsl", protocol, [0, 1], maps=folder / "maps.npz")
        assert caught.value.code == "E_SWEEP_MAPS"


class TestThreshold:
    def test_each_threshold_scores_as_its_dialect_does(self, protocol: str, folder: Path) -> None:
        found = ssl_bench.sweep("threshold", "ezvsl", protocol, [0.3, 0.5], dialect="lin")
        for value, dialect in (("0.3", "lin:0.3"), ("0.5", "lin")):
            done = ssl_bench.evaluate(
                "ezvsl", protocol, dialect=dialect, folder=folder / "lin", overwrite=True
            )
            assert score_of(found, value) == pytest.approx(done.result["AUC"].value, abs=1e-12)

    def test_a_rule_without_a_value_is_refused(self, protocol: str) -> None:
        with pytest.raises(SweepError) as caught:
            ssl_bench.sweep("threshold", "ezvsl", protocol, [0.3, 0.5])
        assert caught.value.code == "E_SWEEP_RULE"


def test_options_are_run_one_by_one(protocol: str, folder: Path) -> None:
    found = ssl_bench.sweep("top", "gradcam", protocol, [1, 5])
    done = ssl_bench.evaluate("gradcam", protocol, settings={"top": 5}, folder=folder / "top5")
    assert score_of(found, "5") == pytest.approx(done.result["AUC"].value, abs=1e-12)


@pytest.mark.slow
def test_changes_are_trained_and_loaded_with_their_shape(protocol: str, tmp_path: Path) -> None:
    """The dimension of the file decides that of the network."""
    values = [8, 16]
    few = {"scenes": 16, "validation_scenes": 2, "batch": 8, "epochs": 1}
    for value in values:
        ssl_bench.train(
            "ezvsl",
            out=tmp_path / f"ezvsl-synth-dimension-{value}-seed0",
            changes={"architecture.dimension": value, **few},
        )
    swept = ssl_bench.sweep(
        "dimension", "ezvsl", protocol, values, weights_dir=tmp_path, changes=few
    )
    assert [point.value for point in swept.points] == ["8", "16"]
    assert swept.points[0].without_sound


FEW = {"validation_scenes": 2, "batch": 4, "epochs": 1}
SIZES = [4, 6]


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 12 clips, and beside it a test set of two of them with its protocol."""
    root = tmp_path_factory.mktemp("mine")
    names = [f"video{number:02d}_000010" for number in range(12)]
    noise = np.random.default_rng(0)
    for name in names:
        sound = noise.integers(-9000, 9000, 33075).astype(np.int16)
        for place in (root / "clips", *([root / "mine"] if name in names[:2] else [])):
            for part in ("frames", "audio"):
                (place / part).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 30), (90, 90, 90)).save(place / "frames" / f"{name}.png")
            soundfile.write(place / "audio" / f"{name}.wav", sound, 11025)
    table(root, [f"{name}.png,{name}.wav,dog,0.1,0.1,0.5,0.5" for name in names[:2]])
    (root / "mine.toml").write_text(
        'name = "mine"\ntitle = "Mine"\nversion = 1\nsource = "a test"\nmeasures = ["AUC"]\n'
        '[test_set]\nname = "mine"\n[composition]\nkind = "single"\n'
    )
    return root


def sizes(root: Path, **given: Any) -> Sweep:
    """A sweep over two sizes of the folder."""
    given = {"changes": FEW, "skip_held_out": True, "weights_dir": root / "trained", **given}
    return ssl_bench.sweep(
        *("train-size", "ezvsl", str(root / "mine.toml"), given.pop("values", SIZES)),
        variant="synth",
        data=root,
        training_data=root / "clips",
        **given,
    )


@pytest.fixture(scope="module")
def sized(mine: Path) -> Sweep:
    return sizes(mine)


class TestOwnClips:
    def test_sizes_are_trained_without_the_clips_that_are_scored(
        self, mine: Path, sized: Sweep
    ) -> None:
        assert [point.value for point in sized.points] == ["4", "6"]
        for size in SIZES:
            folder = mine / "trained" / f"ezvsl-synth-clips-scenes-{size}-seed0"
            record = read_record(folder / "synth.training.json")
            assert (record.recipe.scenes, record.held_out) == (size, 2)
            assert record.checked_against == ("mine@mine:all",)

    @pytest.mark.parametrize("values", [(1, 2), (8,), (), ("many", "more")])
    def test_a_missing_folder_is_told_before_what_is_wrong_with_the_values(
        self, values: tuple[Any, ...], mine: Path, tmp_path: Path
    ) -> None:
        with refused("E_FOLDER_MISSING", where="nowhere"):
            ssl_bench.sweep(
                *("train-size", "ezvsl", str(mine / "mine.toml"), values),
                data=mine,
                training_data=tmp_path / "nowhere",
            )

    @pytest.mark.parametrize(
        ("values", "code", "remedy"),
        [
            ((2, 4), "E_SWEEP_VALUES", "values=..."),
            ((0, 4), "E_SWEEP_VALUES", "values=..."),
            (("many", 4), "E_SWEEP_VALUES", "values=..."),
            ((4, 4000), "E_CLIPS_FEW", "values=..."),
        ],
    )
    def test_a_size_that_cannot_be_had_is_told_in_the_users_words(
        self, values: tuple[Any, ...], code: str, remedy: str, mine: Path, tmp_path: Path
    ) -> None:
        with refused(code) as caught:
            sizes(mine, values=values, weights_dir=tmp_path)
        assert remedy in str(caught.value)
        assert code == "E_CLIPS_FEW" or f"{str(values[0])!r} is no value of train-size" in str(
            caught.value
        )
        assert "scenes" not in str(caught.value)
        assert not any(tmp_path.iterdir())  # known before anything is trained

    def test_the_batch_of_a_folder_is_not_held_against_the_scenes_of_a_world(self) -> None:
        plan = plan_training("ezvsl", variant="synth", data=None, changes={"batch": 5000})
        assert plan.recipe.scenes is None
        with refused("E_SCHEMA"):
            plan_training("ezvsl", variant="synth", changes={"batch": 5000})

    def test_clips_that_are_scored_are_refused_unless_they_may_be_left_out(
        self, mine: Path, tmp_path: Path
    ) -> None:
        with refused("E_CLIPS_HELD_OUT"):
            sizes(mine, skip_held_out=False, weights_dir=tmp_path)

    def test_weights_are_taken_again_but_not_those_of_another_training(
        self, mine: Path, sized: Sweep
    ) -> None:
        written = mine / "trained" / "ezvsl-synth-clips-scenes-4-seed0" / "synth.safetensors"
        before = written.stat().st_mtime_ns
        assert sizes(mine).points == sized.points
        assert written.stat().st_mtime_ns == before
        with refused("E_SWEEP_WEIGHTS", where="epochs is 1 there and 2 here"):
            sizes(mine, changes={**FEW, "epochs": 2})
        with refused("E_SWEEP_WEIGHTS", where="compared with those of flickr"):
            sizes(mine, held_out=["flickr"])

    def test_weights_that_nothing_says_of_are_told(
        self, mine: Path, sized: Sweep, tmp_path: Path
    ) -> None:
        assert not any("mine@mine:all" in each for each in sized.notes)
        shutil.copytree(mine / "trained", tmp_path / "trained")
        for path in (tmp_path / "trained").glob("*/synth.training.json"):
            record = read_record(path)
            write_record(record.model_copy(update={"checked_against": ()}), path)
        told = sizes(mine, weights_dir=tmp_path / "trained").notes
        assert len(told) == len(SIZES)
        assert all("mine@mine:all" in each for each in told)

    def test_the_command_takes_the_same_choices(
        self, mine: Path, sized: Sweep, tmp_path: Path
    ) -> None:
        words = [
            *("sweep", "train-size", "--model", "ezvsl", "--variant", "synth", "--json"),
            *("--protocol", str(mine / "mine.toml"), "--data", str(mine), "--values", "4,6"),
            *("--training-data", str(mine / "clips"), "--weights-dir", str(mine / "trained")),
            *("--skip-held-out", "--out", str(tmp_path / "out")),
            *(f"--change={name}={value}" for name, value in FEW.items()),
        ]
        done = CliRunner().invoke(commands, words)
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["points"] == json.loads(sized.model_dump_json())["points"]

    def test_what_is_varied_cannot_be_changed_as_well(self, mine: Path) -> None:
        with refused("E_CHANGE_TWICE"):
            sizes(mine, changes={"scenes": 5})


@pytest.mark.parametrize(
    ("setting", "values", "code"),
    [
        ("alhpa", [0, 1], "E_SWEEP_SETTING"),
        ("option.", [0, 1], "E_SWEEP_SETTING"),
        ("alpha", [0.5], "E_SWEEP_VALUES"),
        ("alpha", [0, 2], "E_SWEEP_VALUES"),
        ("alpha", [0, "half"], "E_SWEEP_VALUES"),
        ("alpha", [0, "nan"], "E_SWEEP_VALUES"),
    ],
)
def test_what_cannot_be_varied_is_refused(
    setting: str, values: list[float | str], code: str, protocol: str
) -> None:
    with pytest.raises(SslBenchError) as caught:
        ssl_bench.sweep(setting, "ezvsl", protocol, values)
    assert caught.value.code == code


def test_files_are_written_together_and_not_over_earlier_ones(
    alphas: Sweep, tmp_path: Path
) -> None:
    files = write_sweep(alphas, tmp_path)
    assert {path.name for path in files} == {"sweep.csv", "sweep.json", "sweep.png"}
    assert all(path.is_file() for path in files)
    with pytest.raises(SslBenchError) as caught:
        write_sweep(alphas, tmp_path)
    assert caught.value.code == "E_RUN_EXISTS"
    write_sweep(alphas, tmp_path, overwrite=True, ending="svg")
    assert not (tmp_path / "sweep.png").exists()


def test_the_command_knows_the_settings_by_the_same_names() -> None:
    assert set(_SETTINGS) == {ALPHA, THRESHOLD, *SHORT}
