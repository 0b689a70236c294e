"""``ssl-bench train``: what it writes, says and refuses."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ssl_bench.cli import main
from ssl_bench.cli.train import train
from ssl_bench.training import run
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.record import read_record


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


def test_json_is_the_record(tmp_path: Path):
    done = CliRunner().invoke(train, ["--model", "ogl-l1", "--out", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.output
    written = json.loads((tmp_path / "synth.training.json").read_text())
    assert json.loads(done.stdout) == written


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
        (["--model", "center"], "not trained on 'synth'"),
        (["--model", "ogl-l1", "--data", "vggss"], "not trained on 'vggss'"),
        (["--model", "ogl-l1", "--image-trunk", "absent"], "no image trunk to start from"),
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
