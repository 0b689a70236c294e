"""The command line: one sentence for bad input, exit code 2, JSON for programs."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import jsonschema
import pytest
from command_line import Call
from protocol_files import few_trials

from ssl_bench.measures.values import DEFINITIONS
from ssl_bench.models.registry import list_baselines
from ssl_bench.protocols.protocol import protocol_names


class TestListing:
    def test_help_names_every_command(self, call: Call) -> None:
        done = call("--help")
        assert done.code == 0
        for command in ("evaluate", "predict", "score", "protocols", "models", "data", "train"):
            assert command in done.out

    def test_the_package_runs_as_a_module(self) -> None:
        command = [sys.executable, "-m", "ssl_bench", "--version"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout == f"ssl-bench, version {version('ssl-bench')}\n"

    def test_help_shows_a_command_to_copy(self, call: Call) -> None:
        lines = call("--help").out.splitlines()
        assert "    ssl-bench evaluate --model ezvsl --protocol concat" in lines

    @pytest.mark.slow
    def test_protocols(self, call: Call) -> None:
        listed = json.loads(call("protocols", "--json").out)
        assert [protocol["name"] for protocol in listed] == protocol_names()
        assert all(name in call("protocols").out for name in protocol_names())

    def test_one_protocol(self, call: Call) -> None:
        facts = json.loads(call("protocols", "concat@vggss", "--json").out)
        assert facts["test_set"]["name"] == "vggss"
        assert facts["digest"] != json.loads(call("protocols", "concat", "--json").out)["digest"]
        assert "digest" in call("protocols", "concat").out

    def test_the_pairs_of_concat_can_be_published(self, call: Call) -> None:
        lines = call("protocols", "concat", "--trials").out.splitlines()
        assert lines[0].split("\t") == ["trial", "image", "sound", "targets", "group"]
        assert len(lines) == 501
        assert lines == call("protocols", "concat", "--trials").out.splitlines()
        first = json.loads(call("protocols", "concat", "--trials", "--json").out)[0]
        assert first["trial"] == lines[1].split("\t")[0]
        assert first["targets"][0] in first["image"]

    def test_models(self, call: Call) -> None:
        assert all(name in call("models").out for name in list_baselines())
        card = json.loads(call("models", "ezvsl", "--json").out)
        assert card["modality"] == "audio-visual"
        assert "Mo" in call("models", "ezvsl").out
        assert "original, sslalign" in call("models", "ezvsl").out

    @pytest.mark.parametrize("name", list_baselines())
    def test_a_card_shows_variants_presets_and_published_figures(
        self, call: Call, name: str
    ) -> None:
        printed = call("models", name).out
        shown = " ".join(printed.split())
        assert all(len(line) <= 80 or " " not in line.strip() for line in printed.splitlines())
        facts = json.loads(call("models", name, "--json").out)
        for fact in ("title", "modality", "summary", "paper", "code", "licence", "preprocessing"):
            assert " ".join(facts[fact].split()) in shown
        for variant, chosen in facts["recipe"]["variants"].items():
            assert f"{variant}: {' '.join(chosen['about'].split())}" in shown
            assert all(preset in shown for preset in chosen["presets"])
        assert bool(facts["published"]) == bool(facts["published_figures"])
        for figure in facts["published_figures"]:
            lines = [row for row in shown.split(" - ") if f", table {figure['table']}:" in row]
            assert any(f"{figure['metric']} {figure['value']:g}" in line for line in lines)

    def test_a_published_figure_is_named_with_paper_and_table(self, call: Call) -> None:
        shown = " ".join(call("models", "ezvsl").out.split())
        assert "Mo and Morgado 2022, table 1" in shown
        assert "flickr-soundnet" in shown

    def test_measures(self, call: Call) -> None:
        assert all(name in call("measures").out for name in DEFINITIONS)
        facts = json.loads(call("measures", "cIoU(adaptive)@0.5", "--json").out)
        assert facts["formula"].endswith(">= 0.5, else 0")
        assert facts.keys() >= {"P", "G", "rule"}
        assert "as many pixels as the truth" in facts["rule"]
        assert "G: the truth" in call("measures", "cIoU(adaptive)@0.5").out

    def test_schema(self, call: Call) -> None:
        schema = json.loads(call("schema").out)
        jsonschema.Draft202012Validator.check_schema(schema)


class TestEvaluate:
    def test_json_follows_the_schema_and_files_are_there(self, call: Call, tmp_path: Path) -> None:
        few, run = tmp_path / "few.toml", tmp_path / "run"
        few.write_text(few_trials(12, floors=["full"]))
        done = call("evaluate", "--model", "center", "--protocol", few, "--out", run, "--json")
        assert done.code == 0
        document = json.loads(done.out)
        jsonschema.validate(document, json.loads(call("schema").out))
        assert document == json.loads((run / "result.json").read_text())
        names = {path.name for path in run.iterdir()}
        assert names == {"predictions.npz", "scores.npz", "result.json", "trials.png"}

    @pytest.mark.slow
    def test_a_table_for_people(self, call: Call, tmp_path: Path) -> None:
        done = call(
            *("evaluate", "--model", "center", "--protocol", "concat", "--out", tmp_path),
            *("--sheet", "0"),
        )
        for text in (
            "side-accuracy",
            "without sound",
            "no hearing is shown",
            "ceiling",
            "Coverage: 500 of 500",
            "center",
        ):
            assert text in done.out
        assert done.err == ""

    @pytest.mark.slow
    def test_predict_then_score_equals_evaluate(self, call: Call, tmp_path: Path) -> None:
        whole = call(
            *("evaluate", "--model", "random", "--seed", "4", "--protocol", "synth"),
            *("--out", tmp_path / "a", "--sheet", "0", "--json"),
        )
        written = call(
            *("predict", "--model", "random", "--seed", "4", "--protocol", "synth"),
            *("--out", tmp_path / "b", "--json"),
        )
        (file,) = json.loads(written.out)["files"]
        scored = call("score", file, "--protocol", "synth", "--out", tmp_path / "c", "--json")
        first, second = json.loads(whole.out), json.loads(scored.out)
        for document in (first, second):
            del document["timings"]
        # Only a run knows why there are no audio-blind maps.
        assert second.pop("vision_only_note") is None
        assert first.pop("vision_only_note") == "random neither looks nor listens"
        assert first == second
        assert {path.name for path in (tmp_path / "c").iterdir()} == {
            *("predictions.npz", "scores.npz", "result.json", "trials.png"),
        }

    @pytest.mark.slow
    def test_all_dialects(self, call: Call, tmp_path: Path) -> None:
        few = tmp_path / "few.toml"
        few.write_text(few_trials(12))
        call("predict", "--model", "random", "--protocol", few, "--out", tmp_path)
        done = call("score", tmp_path / "predictions.npz", "--protocol", few, "--dialect", "all")
        assert all(name in done.out for name in ("canonical", "ezvsl", "lvs", "oya", "slavc"))

    @pytest.mark.slow
    def test_settings_reach_the_model(self, call: Call, tmp_path: Path) -> None:
        done = call(
            *("evaluate", "--model", "random", "--option", "resolution=3", "--protocol", "synth"),
            *("--out", tmp_path, "--sheet", "0", "--json"),
        )
        assert json.loads(done.out)["model"]["options"] == {"resolution": 3}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("evaluate", "--model", "ezvls", "--protocol", "concat"), ("ezvls", "ezvsl")),
        (("evaluate", "--model", "center", "--protocol", "konkat"), ("konkat", "concat")),
        (("evaluate", "--model", "center", "--protocol", "synth@mars"), ("mars", "vggss")),
        (("evaluate", "--model", "center", "--protocol", "vggss"), ("--data", "SSL_BENCH_DATA")),
        (
            ("evaluate", "--model", "ezvsl", "--variant", "full", "--protocol", "synth"),
            ("--weights",),
        ),
        (
            ("evaluate", "--model", "center", "--protocol", "synth", "--option", "x"),
            ("KEY=VALUE",),
        ),
        (
            ("evaluate", "--model", "center", "--protocol", "synth", "--dialect", "zz"),
            ("zz", "lvs"),
        ),
        (("score", "absent.npz", "--protocol", "synth"), ("absent.npz",)),
        (("measures", "mAP@50"), ("mAP@50",)),
        (("protocols", "none"), ("none",)),
        (("models", "none"), ("none", "ezvsl")),
        (("data", "layout", "mars"), ("mars",)),
        (("evaluate", "--protocol", "synth"), ("--model",)),
        (("nonsense",), ("nonsense",)),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    call: Call,
    arguments: tuple[str, ...],
    words: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SSL_BENCH_DATA", raising=False)
    done = call(*arguments)
    assert done.code == 2
    assert done.out == ""
    assert "Traceback" not in done.err
    assert all(word in done.err for word in words)
    assert list(tmp_path.iterdir()) == []


def test_a_data_folder_that_is_not_there(call: Call, tmp_path: Path) -> None:
    done = call(
        *("evaluate", "--model", "center", "--protocol", "vggss", "--data", tmp_path / "gone")
    )
    assert done.code == 2
    assert "data layout vggss" in done.err


def test_a_protocol_file_with_an_unknown_field(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\nspeed = 3\n')
    done = call("evaluate", "--model", "center", "--protocol", path)
    assert done.code == 2
    assert "speed" in done.err
    assert "mine.toml" in done.err


def test_a_protocol_file_with_an_unknown_measure(call: Call, tmp_path: Path) -> None:
    text = "\n".join(
        [
            'name = "mine"\ntitle = "Mine"\nversion = 1\nsource = "here"',
            'measures = ["cIoU@0.5", "beauty"]',
            '[test_set]\nname = "synth"\noptions = { count = 8 }',
            '[composition]\nkind = "single"',
        ]
    )
    path = tmp_path / "mine.toml"
    path.write_text(text)
    done = call("evaluate", "--model", "center", "--protocol", path, "--out", tmp_path / "run")
    assert done.code == 2
    assert "beauty" in done.err
    assert not (tmp_path / "run").exists()


def test_a_run_folder_that_is_a_file(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "taken"
    path.write_text("")
    done = call("predict", "--model", "center", "--protocol", "synth", "--out", path / "run")
    assert done.code == 2
    assert "taken" in done.err


def test_predictions_of_text_are_refused(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "text.npz"
    path.write_text("not a zip")
    done = call("score", path, "--protocol", "synth", "--json")
    assert (done.code, done.out) == (2, "")
    assert "text.npz" in done.err
