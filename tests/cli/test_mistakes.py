"""Slips of the hand on the command line: one clear sentence each, with what was meant."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import Call
from protocol_files import few_trials

from ssl_bench.cli.options import whole_or_text
from ssl_bench.scoring.score_file import read_scores, write_scores

SMALL = {"scenes": "8", "batch": "4", "validation_scenes": "4", "epochs": "1"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of a baseline that needs no network."""
    from ssl_bench import evaluate

    folder = tmp_path_factory.mktemp("run")
    evaluate("center", "synth", folder=folder)
    return folder


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [
        ("net.py", "E_MODEL_UNKNOWN", "net.py:Mine; it has Mine"),
        ("net.py:Net", "E_CLASS_CONTRACT", "ssl_bench.wrap("),
        ("net.py:net", "E_CLASS_CONTRACT", "a Sequential"),
        ("net.py:Duck", "E_CLASS_CONTRACT", "class Duck(ssl_bench.Localizer)"),
    ],
)
def test_a_file_whose_content_is_no_localizer_says_how_to_make_one(
    call: Call, tmp_path: Path, name: str, code: str, told: str
) -> None:
    (tmp_path / "net.py").write_text(
        "import ssl_bench\nfrom torch import nn\n"
        "class Net(nn.Module): ...\n"
        "net = nn.Sequential(nn.Linear(3, 3))\n"
        "class Duck:\n    def localize(self, a, b): ...\n"
        "class Mine(ssl_bench.Localizer): ...\n"
    )
    done = call("evaluate", "--model", tmp_path / name, "--protocol", "synth")
    assert (done.code, f"error[{code}]" in done.err) == (2, True)
    assert told in done.err
    assert "in_features" not in done.err


def test_maps_are_no_weights(call: Call, tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", map=np.ones(3))
    words = ("evaluate", "--model", "ezvsl", "--protocol", "synth")
    done = call(*words, "--weights", tmp_path / "mine.npz")
    assert (done.code, "error[E_WEIGHTS_KIND]" in done.err) == (2, True)


def test_a_folder_without_a_description_names_the_command_that_writes_one(
    call: Call, tmp_path: Path
) -> None:
    (tmp_path / "bare").mkdir()
    done = call("data", "verify", "bare", "--data", tmp_path)
    assert (done.code, "error[E_TEST_SET]" in done.err) == (2, True)
    assert f"ssl-bench data new bare --data {tmp_path}" in done.err


def test_a_folder_of_runs_names_them(call: Call, run: Path) -> None:
    done = call("pictures", run.parent)
    assert done.code == 2
    assert str(run) in done.err


def test_a_number_is_asked_for_in_plain_words(call: Call) -> None:
    done = call("evaluate", "--model", "center", "--protocol", "synth", "--limit", "abc")
    assert done.code == 2
    assert "is not a whole number" in done.err
    assert "?." not in call("evaluat").err


def test_a_table_can_be_printed_in_place_of_a_file(call: Call, run: Path) -> None:
    done = call("export", run, "--format", "csv", "--out", "-")
    assert done.code == 0
    assert done.out.startswith("name,")
    assert not Path("-").exists()
    assert call("export", run, "--format", "parquet", "--out", "-").code == 2


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["evaluat"], "evaluate"),
        (["models", "ezvls"], "ezvsl"),
        (["measures", "ciou@0.5"], "cIoU"),
        (["protocols", "snyth"], "synth"),
        (["protocols", "concat@vgss"], "vggss"),
        (["data", "layout", "flikr"], "flickr"),
        (["evaluate", "--model", "center", "--protocol", "openst"], "openset"),
        (["evaluate", "--model", "center", "--protocol", "synth", "--dialect", "ezvls"], "ezvsl"),
        (["evaluate", "--model", "ezvsl", "--protocol", "synth", "--variant", "ful"], "full"),
        (["predict", "--model", "center", "--protocol", "synth:standart@"], None),
        (
            ["evaluate", "--model", "gradcam", "--protocol", "synth", "--option", "topp=1"],
            "top",
        ),
    ],
)
def test_a_misspelt_name_gets_a_suggestion(call: Call, words: list[str], meant: str | None) -> None:
    done = call(*words)
    assert (done.code, done.out) == (2, "")
    assert (f"Did you mean '{meant}'? Use one of: " in done.err) == (meant is not None)


@pytest.mark.parametrize("text", ["--5", "²", "9" * 5000, "1e3"])
def test_a_value_that_is_no_whole_number_is_left_as_text(text: str) -> None:
    assert whole_or_text(text) == text


@pytest.mark.parametrize(
    ("option", "value"),
    [("--jobs", "100000"), ("--dialect", f"acl-half:{10**20}"), ("--sheet", "201")],
)
def test_a_number_beyond_all_use_is_refused_before_any_work(
    call: Call, tmp_path: Path, option: str, value: str
) -> None:
    out = tmp_path / "run"
    words = ["evaluate", "--model", "center", "--protocol", "synth", "--out", out]
    done = call(*words, option, value)
    assert (done.code, done.out) == (2, "")
    assert value.removeprefix("acl-half:") in done.err
    assert not out.exists()


@pytest.mark.slow
def test_names_in_brackets_and_colons_are_printed_as_they_are(
    call: Call, tmp_path: Path, run: Path
) -> None:
    for name in ("[red]", "["):
        shutil.copytree(run, tmp_path / name / ":cat: run")
        done = call("analyse", tmp_path / name / ":cat: run", "--scores-only")
        assert (done.code, done.err) == (0, "")
        assert f"{name}/:cat: run/analysis." in done.out.replace("\n", "")
    closing = tmp_path / "a[" / "b]"
    few = tmp_path / "x]" / "few.toml"
    few.parent.mkdir()
    few.write_text(few_trials(12))
    done = call("evaluate", "--model", "full", "--protocol", few, "--sheet", 0, "--out", closing)
    assert (done.code, done.err) == (0, "")
    assert str(closing) in done.out


def test_trials_are_one_json_document(call: Call) -> None:
    rows = json.loads(call("protocols", "synth", "--trials", "--json").out)
    lines = call("protocols", "synth", "--trials").out.splitlines()
    assert [row["trial"] for row in rows] == [line.split("\t")[0] for line in lines[1:]]


@pytest.mark.parametrize("name", ["", "a\nb", "m" * 201])
def test_a_model_needs_a_usable_name(call: Call, tmp_path: Path, name: str) -> None:
    np.save(tmp_path / "standard-000000.npy", np.ones((7, 7)))
    out = tmp_path / "out.npz"
    words = ["import", "maps", tmp_path, "--protocol", "synth", "--missing-fail", "--out", out]
    done = call(*words, "--model", name)
    assert done.code == 2
    assert "error[E_MODEL_NAME]" in done.err
    assert not out.exists()


class TestRunFolders:
    def test_a_run_folder_stands_for_its_result(
        self, call: Call, run: Path, tmp_path: Path
    ) -> None:
        for given in (run, run / "result.json"):
            table = tmp_path / f"{given.name}.csv"
            assert call("export", given, "--format", "csv", "--out", table).code == 0
        first, second = tmp_path.glob("*.csv")
        assert first.read_text() == second.read_text()

    def test_a_folder_without_a_result_is_told(self, call: Call, tmp_path: Path) -> None:
        done = call("explain", tmp_path, tmp_path)
        assert done.code == 2
        assert "error[E_FILE_MISSING]" in done.err

    @pytest.mark.parametrize("command", ["compare", "analyse"])
    def test_a_score_table_with_two_rows_of_a_trial_is_refused(
        self, call: Call, run: Path, tmp_path: Path, command: str
    ) -> None:
        twice = tmp_path / "twice"
        shutil.copytree(run, twice)
        table = read_scores(run / "scores.npz")
        write_scores(twice / "scores.npz", pd.concat([table, table.head(1)]))
        words = [run, twice] if command == "compare" else [twice]
        done = call(command, *words)
        assert (done.code, done.out) == (2, "")
        assert "error[E_SCORES_REPEATED]" in done.err

    def test_a_score_table_that_lacks_trials_is_not_analysed(
        self, call: Call, run: Path, tmp_path: Path
    ) -> None:
        few = tmp_path / "few"
        shutil.copytree(run, few)
        table = read_scores(run / "scores.npz")
        write_scores(few / "scores.npz", table.head(10))
        done = call("analyse", few, "--scores-only")
        assert done.code == 2
        assert "error[E_SCORES_OTHER]" in done.err
        assert not (few / "analysis").exists()

    def test_a_result_holds_finite_numbers(self, call: Call, run: Path, tmp_path: Path) -> None:
        document = json.loads((run / "result.json").read_text())
        document["measures"][0]["value"] = float("nan")
        broken = tmp_path / "result.json"
        broken.write_text(json.dumps(document))
        done = call("explain", run, broken)
        assert done.code == 2
        assert "measures.0.value" in done.err


def test_a_model_file_that_ends_the_program_is_no_success(call: Call, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("raise SystemExit(0)\n")
    done = call("evaluate", "--model", f"{script}:Model", "--protocol", "synth")
    assert done.code == 2
    assert f"error[E_MODEL_FILE]: {script}" in done.err


@pytest.mark.parametrize("text", ["=mute.npz", "silence=", "=", ""])
def test_half_of_a_named_file_is_refused(call: Call, tmp_path: Path, text: str) -> None:
    words = ["contribution", "--predictions", "a.npz", "--protocol", "synth", "--out", tmp_path]
    done = call(*words, "--without", text)
    assert done.code == 2
    assert "is not [NAME=]FILE" in done.err


def test_a_seed_that_no_generator_takes_is_refused(call: Call) -> None:
    done = call("train", "--model", "ezvsl", "--seed", 10**20)
    assert done.code == 2
    assert "--seed" in done.err


def test_copies_of_predictions_must_be_there(call: Call, tmp_path: Path) -> None:
    done = call("leaderboard", "check", "--board", tmp_path, "--predictions", tmp_path / "absent")
    assert done.code == 2
    assert "absent" in done.err


def test_a_ciou_per_clip_answers_no_ranking(call: Call, tmp_path: Path) -> None:
    table = tmp_path / "iou_test_av.txt"
    table.write_text("0,0.5\n")
    done = call("import", "ezvsl-ciou", table, "--protocol", "retrieval")
    assert (done.code, done.out) == (2, "")
    assert "error[E_PROTOCOL_ANSWERS]" in done.err


def test_a_report_does_not_write_over_a_run(call: Call, run: Path) -> None:
    before = (run / "result.json").read_bytes()
    for option in ("--out", "--markdown", "--latex"):
        assert call("report", run, option, run / "result.json").code == 2
    assert (run / "result.json").read_bytes() == before


def test_a_report_does_not_write_one_file_twice(call: Call, run: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = call("report", run, "--out", page, "--markdown", tmp_path / "." / "page.html")
    assert done.code == 2
    assert not page.exists()


@pytest.mark.slow
def test_training_into_a_place_that_cannot_be_written_fails_at_once(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(*arguments: object, **settings: object) -> None:
        pytest.fail(f"training began: {arguments}, {settings}")

    monkeypatch.setattr("ssl_bench.training.run.fit", fit)
    (tmp_path / "file").touch()
    small = [word for pair in SMALL.items() for word in ("--change", "=".join(pair))]
    done = call("train", "--model", "ezvsl", "--out", tmp_path / "file" / "sub", *small)
    assert done.code == 2
    assert "error[E_FILE_ACCESS]" in done.err
