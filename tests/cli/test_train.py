"""``ssl-bench train``: what it writes, says and refuses."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from command_line import document_of
from refusals import refused

from ssl_bench.cli import main
from ssl_bench.cli.train import _Lines, train
from ssl_bench.models.checkpoints import read_checkpoint
from ssl_bench.training import run
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.record import read_record
from ssl_bench.training.run_state import Step


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = TrainingRecipe(
        objective="classification",
        scenes=16,
        validation_scenes=8,
        epochs=1,
        batch=8,
        peak_learning_rate=1e-3,
    )
    monkeypatch.setattr(run, "train", functools.partial(run.train, recipe=recipe))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_writes_weights_record_and_picture_and_says_where(tmp_path: Path):
    out = tmp_path / "out"
    done = CliRunner().invoke(train, ["--model", "ogl-l1", "--seed", "5", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert files(out) == ["synth.safetensors", "synth.training.json", "synth.training.png"]
    record = read_record(out / "synth.training.json")
    assert record.seed == 5
    assert record.weights_sha256 in done.output
    assert f"accuracy {record.validation['accuracy']:.3f}" in done.output
    assert str(out) in done.output


SEEDS = ["--model", "ogl-l1", "--seed", "5", "--seed", "6"]


@pytest.mark.slow
def test_several_seeds_have_a_folder_each(tmp_path: Path):
    done = CliRunner().invoke(train, [*SEEDS, "--out", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.output
    records = json.loads(done.stdout)
    assert document_of(["train"], records) == "train"
    assert [record["seed"] for record in records] == [5, 6]
    weights = {seed: tmp_path / f"seed{seed}" / "synth.safetensors" for seed in (5, 6)}
    assert weights[5].read_bytes() != weights[6].read_bytes()
    alone = [*SEEDS[:-2], "--out", str(tmp_path / "alone")]
    assert CliRunner().invoke(train, alone).exit_code == 0
    assert (tmp_path / "alone" / "synth.safetensors").read_bytes() == weights[5].read_bytes()


@pytest.mark.slow
def test_two_processes_train_what_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()  # Another process has the recipe that ships.
    changes = ("scenes=16", "validation_scenes=8", "epochs=1", "batch=8")
    small = [f"--change={each}" for each in changes]
    made = []
    for workers in ("1", "2"):
        out = tmp_path / workers
        arguments = [*SEEDS, *small, "--workers", workers, "--out", str(out)]
        done = CliRunner().invoke(train, arguments)
        assert done.exit_code == 0, done.output
        made.append([file.read_bytes() for file in sorted(out.glob("*/*.safetensors"))])
    assert made[0] == made[1]
    assert len(made[0]) == 2


@pytest.fixture
def clips(tmp_path: Path, write_media) -> Path:
    """Twelve clips whose sounds have the rate that the small models take."""
    folder = tmp_path / "mine"
    write_media(folder, [f"video{number:02d}_000010" for number in range(12)])
    for path in (folder / "audio").iterdir():
        samples, _ = soundfile.read(path, dtype="int16")
        soundfile.write(path, samples, 11025)
    return folder


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch, quick: None) -> None:
    recipe = TrainingRecipe(
        objective="ez-vsl", epochs=2, batch=4, peak_learning_rate=1e-3, settings={"tau": 0.1}
    )
    changed = functools.partial(run.train.func, recipe=recipe)
    monkeypatch.setattr(run, "train", changed)


@pytest.mark.slow
@pytest.mark.usefixtures("small_steps")
def test_trains_on_a_folder_of_ones_own(clips: Path, tmp_path: Path):
    listed = tmp_path / "train.csv"
    names = [path.stem for path in sorted((clips / "frames").iterdir())]
    listed.write_text("".join(f"{name},label\n" for name in (*names, "absent_000000")))
    (tmp_path / "test.txt").write_text("other_000010\n")
    arguments = [
        *("--model", "ezvsl", "--variant", "synth", "--data", str(clips), "--ids", str(listed)),
        *("--held-out", str(tmp_path / "test.txt"), "--skip-missing"),
        *("--jobs", "1", "--save-every", "1", "--out", str(tmp_path / "out")),
    ]
    done = CliRunner().invoke(train, arguments)
    assert done.exit_code == 0, done.output
    assert "Left out 1 clip: 1 with missing or unusable files, 0 held out" in done.output
    record = read_record(tmp_path / "out" / "synth.training.json")
    assert (record.data, record.data_version, record.left_out) == ("mine", None, 1)
    assert len(record.losses) == 2 * (10 // 4)
    assert set(record.validation) == {"loss", "recall(i2a)@1", "recall(a2i)@1"}
    stored = read_checkpoint(tmp_path / "out" / "synth.safetensors").tensors
    assert stored["sound_bank"].shape == (10, 64)
    assert stored["img_proj.weight"].dtype == torch.float32
    again = [*arguments[:-1], str(tmp_path / "again"), "--jobs", "0"]
    assert CliRunner().invoke(train, again).exit_code == 0
    weights = [(tmp_path / name / "synth.safetensors").read_bytes() for name in ("out", "again")]
    assert weights[0] == weights[1]


@pytest.mark.usefixtures("small_steps")
def test_sounds_that_the_model_does_not_take_are_left_out_before_the_first_step(
    clips: Path, tmp_path: Path
):
    path = clips / "audio" / "video05_000010.wav"
    soundfile.write(path, np.ones(4000, np.int16), 44100)
    arguments = ["--model", "ezvsl", "--variant", "synth", "--data", str(clips)]
    arguments += ["--out", str(tmp_path / "out")]
    with refused("E_CLIPS_UNUSABLE", "E_SOUND_RATE", where=path):
        CliRunner().invoke(train, arguments, catch_exceptions=False)
    assert not (tmp_path / "out").exists()
    report = tmp_path / "problems.csv"
    done = CliRunner().invoke(train, [*arguments, "--skip-missing", "--problems", str(report)])
    assert done.exit_code == 0, done.output
    assert "1 with missing or unusable files" in done.output
    assert "E_SOUND_RATE" in report.read_text()


@pytest.mark.usefixtures("small_steps")
def test_sounds_of_another_rate_are_converted_when_asked_and_odd_ones_are_named(
    clips: Path, tmp_path: Path
):
    soundfile.write(clips / "audio" / "video05_000010.wav", np.ones((44100, 2), np.int16), 44100)
    soundfile.write(clips / "audio" / "video06_000010.wav", np.zeros(11025, np.int16), 11025)
    out = tmp_path / "out"
    arguments = ["--model", "ezvsl", "--variant", "synth", "--data", str(clips), "--resample"]
    done = CliRunner().invoke(train, [*arguments, "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "N_SOUND_SILENT: 1 sound, such as video06_000010" in done.output
    record = read_record(out / "synth.training.json")
    assert (record.left_out, record.recipe.resample) == (0, True)


@pytest.mark.usefixtures("small_steps")
def test_clips_that_are_held_out_are_refused(clips: Path, tmp_path: Path):
    held_out = tmp_path / "test.txt"
    held_out.write_text("video03_000070\n")
    arguments = ["--model", "ezvsl", "--variant", "synth", "--data", str(clips)]
    with refused("E_CLIPS_HELD_OUT"):
        CliRunner().invoke(train, [*arguments, "--held-out", str(held_out)], catch_exceptions=False)


@pytest.mark.slow
@pytest.mark.usefixtures("small_steps")
def test_clips_that_are_held_out_may_be_left_out_instead(clips: Path, tmp_path: Path):
    held_out = tmp_path / "test.txt"
    held_out.write_text("video03_000070\nvideo04_000010\n")
    arguments = ["--model", "ezvsl", "--variant", "synth", "--data", str(clips)]
    arguments += ["--held-out", str(held_out), "--skip-held-out", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(train, arguments)
    assert done.exit_code == 0, done.output
    assert "Left out 2 clips: 0 with missing or unusable files, 2 held out" in done.output
    assert read_record(tmp_path / "out" / "synth.training.json").held_out == 2


@pytest.mark.usefixtures("small_steps")
def test_an_objective_that_is_no_number_stops_training_and_names_the_batch(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out"
    words = ["train", "--model", "ezvsl", "--variant", "synth", "--data", str(clips)]
    with pytest.raises(SystemExit) as stop:
        main([*words, "--out", str(out), "--change", "peak_learning_rate=1e30"])
    said = " ".join(capsys.readouterr().err.split())
    assert stop.value.code == 2
    assert "Traceback" not in said
    batch = re.search(r"objective became (nan|inf) in epoch \d, in the batch of ([\w, ]+)\.", said)
    assert batch is not None, said
    named = batch[2].split(", ")
    assert len(set(named)) == 4
    assert set(named) <= {path.stem for path in (clips / "frames").iterdir()}
    assert not list(out.glob("*.safetensors"))
    assert not list(out.glob("*.json"))


def test_logs_get_a_line_soon_and_then_one_each_minute(capsys: pytest.CaptureFixture[str]):
    now = 0.0
    lines = _Lines(shown=True, clock=lambda: now)
    for second in range(130):
        now = float(second)
        lines.tell(Step("training", second + 1, 1000, 0.5, 1234.4))
        lines.tell(Step("drawing training scenes", 1, 2))
    assert capsys.readouterr().err.splitlines() == [
        f"step {step} of 1,000: loss 0.500, 1234 examples a second" for step in (6, 66, 126)
    ]


@pytest.mark.slow
def test_json_is_the_record(tmp_path: Path):
    done = CliRunner().invoke(train, ["--model", "ogl-l1", "--out", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.output
    written = json.loads((tmp_path / "synth.training.json").read_text())
    assert json.loads(done.stdout) == written


def test_fields_of_the_recipe_may_be_changed_and_the_record_says_so(tmp_path: Path):
    changes = [
        "--change",
        "batch=4",
        "--change",
        "crop_area=[0.5, 0.9]",
        "--change",
        "optimizer=sgd",
    ]
    done = CliRunner().invoke(train, ["--model", "ogl-l1", "--out", str(tmp_path), *changes])
    assert done.exit_code == 0, done.output
    record = read_record(tmp_path / "synth.training.json")
    assert (record.recipe.batch, record.recipe.crop_area) == (4, (0.5, 0.9))
    assert record.recipe.optimizer == "sgd"
    assert len(record.losses) == 4


@pytest.mark.slow
def test_folder_is_named_after_the_run_unless_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(train, ["--model", "ogl-l1"])
    assert done.exit_code == 0, done.output
    assert files(tmp_path / "trained") == ["ogl-l1-synth-seed0"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "nobody"], "no localizer is called 'nobody'"),
        (["--model", "center"], "[E_VARIANT_UNTRAINED]"),
        ([*SEEDS, "--seed", "5"], "a seed is given twice"),
        ([*SEEDS, "--devices", "2"], "several seeds need one device each"),
        (["--model", "ogl-l1", "--data", "vggss"], "vggss: there is no such folder to train on"),
        (["--model", "ogl-l1", "--variant", "vggss"], "[E_VARIANT_UNTRAINED]"),
        (["--model", "ogl-l1", "--ids", "list.txt"], "choose among the clips of a folder"),
        (["--model", "ogl-l1", "--accelerator", "cuda", "--devices", "64"], "[E_DEVICES]"),
        (["--model", "ogl-l1", "--change", "batch"], "'batch' is not KEY=VALUE"),
        (["--model", "ogl-l1", "--change", "speed=9"], "speed is not a known field"),
        (["--model", "ogl-l1", "--change", "flip=often"], "flip: input should be a valid number"),
        (["--model", "ogl-l1", "--devices", "7"], "[E_BATCH_SHARE]"),
        (["--model", "ogl-l1", "--image-trunk", "absent"], "[E_IMAGE_TRUNK_UNUSED]"),
    ],
)
def test_what_cannot_be_trained_is_one_sentence_and_exit_code_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["train", *arguments])
    assert stop.value.code == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert "Traceback" not in printed
    assert list(tmp_path.iterdir()) == []


def _features(path: Path, ids: list[str], seed: int) -> str:
    np.savez(path, ids=ids, features=np.random.default_rng(seed).normal(size=(len(ids), 4)))
    return str(path)


@pytest.mark.slow
def test_clips_are_compared_by_features_of_ones_own(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    recipe = TrainingRecipe(
        objective="alignment",
        epochs=1,
        batch=4,
        peak_learning_rate=1e-3,
        settings={"tau": 0.1, "neighbours": 3},
    )
    monkeypatch.setattr(run, "train", functools.partial(run.train.func, recipe=recipe))
    names = [path.stem for path in sorted((clips / "frames").iterdir())]
    arguments = ["--model", "sslalign", "--variant", "synth", "--data", str(clips)]
    images = ["--neighbour-images", _features(tmp_path / "images.npz", names, 0)]
    sounds = ["--neighbour-sounds", _features(tmp_path / "sounds.npz", names, 1)]
    others = ["--neighbour-sounds", _features(tmp_path / "other.npz", names, 2)]
    digests = set()
    for heard in (sounds, others):
        out = tmp_path / f"out{len(digests)}"
        given = [*arguments, *images, *heard, "--out", str(out)]
        assert CliRunner().invoke(train, given, catch_exceptions=False).exit_code == 0
        digests.add(read_record(out / "synth.training.json").data_digest)
    assert len(digests) == 2
    for alone in (images, sounds):
        done = CliRunner().invoke(train, [*arguments, *alone])
        assert done.exit_code == 2
        assert "give both" in done.output


def test_features_where_no_clips_are_compared_are_refused(tmp_path: Path):
    given = [_features(tmp_path / f"{kind}.npz", ["a"], 0) for kind in ("images", "sounds")]
    arguments = [
        "--model",
        "ogl-l1",
        "--neighbour-images",
        given[0],
        "--neighbour-sounds",
        given[1],
    ]
    with refused("E_NEIGHBOURS_UNUSED"):
        CliRunner().invoke(train, arguments, catch_exceptions=False)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        # What is wrong with the arguments needs no file, and is told first.
        (["nosuch=1"], "E_SCHEMA"),
        (["scenes=8", "batch=16"], "E_SCHEMA"),
        # The number of scenes that the variant states is one of the embedded world.
        (["batch=5000"], "E_FOLDER_MISSING"),
        ([], "E_FOLDER_MISSING"),
    ],
)
def test_changes_are_checked_before_the_folder_is_looked_for(
    changes: list[str], code: str, tmp_path: Path
):
    words = ["--model", "ezvsl", "--variant", "synth", "--data", str(tmp_path / "none")]
    words += [f"--change={each}" for each in changes]
    with refused(code):
        CliRunner().invoke(train, words, catch_exceptions=False)
