"""The commands that audit, import, export, analyse and compare, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import Call
from protocol_files import few_trials
from standin_results import measured, result

from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.scoring.results import write_result
from ssl_bench.scoring.score_file import read_scores
from ssl_bench.trials.compositions import open_trials

PROTOCOL = few_trials(12, ["center"])


@pytest.fixture
def protocol(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(PROTOCOL)
    return path


@pytest.fixture
def ids(protocol: Path) -> list[str]:
    return open_trials(load_protocol(str(protocol))).ids


class TestAudit:
    def test_overlap_in_words_as_json_and_as_a_list(
        self, call: Call, protocol: Path, ids: list[str], tmp_path: Path
    ) -> None:
        training = tmp_path / "train.txt"
        training.write_text("\n".join([*ids[:3], "elsewhere_000010"]))
        clean = tmp_path / "clean.txt"
        done = call("data", "audit", training, "--protocol", protocol, "--out", clean)
        assert done.code == 0
        assert "3   25.0 %  are in the list themselves" in done.out
        assert clean.read_text().split() == ids[3:]
        facts = json.loads(call("data", "audit", training, "--protocol", protocol, "--json").out)
        assert (facts["listed"], facts["same_clip"], facts["clean"]) == (4, 3, 9)
        assert facts["ids"]["same_clip"] == ids[:3]

    def test_a_bad_list_writes_nothing(self, call: Call, protocol: Path, tmp_path: Path) -> None:
        (tmp_path / "train.txt").write_bytes(b"\x1f\x8bbroken")
        done = call(
            *("data", "audit", tmp_path / "train.txt", "--protocol", protocol),
            *("--out", tmp_path / "clean.txt"),
        )
        assert (done.code, done.out) == (2, "")
        assert "error[E_FILE_DAMAGED]" in done.err
        assert not (tmp_path / "clean.txt").exists()

    def test_scores_with_and_without_the_overlap(
        self, call: Call, protocol: Path, ids: list[str], tmp_path: Path
    ) -> None:
        call("predict", "--model", "random", "--protocol", protocol, "--out", tmp_path / "run")
        (tmp_path / "train.txt").write_text("\n".join(ids[:4]))
        arguments = (
            *("score", tmp_path / "run" / "predictions.npz", "--protocol", protocol),
            *("--exclude-overlap", tmp_path / "train.txt"),
        )
        arguments += ("--out", tmp_path / "scored")
        done = call(*arguments)
        assert done.code == 0
        assert all(text in done.out for text in ("full (12)", "leaked (4)", "clean (8)"))
        document = json.loads(call(*arguments, "--overwrite", "--json").out)
        assert document["overlap"] == json.loads((tmp_path / "scored/overlap.json").read_text())
        subsets = {subset["name"]: subset for subset in document["overlap"]["subsets"]}
        assert subsets["full"]["measures"] == document["result"]["measures"]
        scores = read_scores(tmp_path / "scored" / "scores.npz")
        expected = (scores["cIoU"].iloc[4:] >= 0.5).mean()
        assert subsets["clean"]["measures"][0]["value"] == pytest.approx(expected)

    def test_overlap_under_all_dialects_at_once_is_refused(
        self, call: Call, protocol: Path, tmp_path: Path
    ) -> None:
        done = call(
            *("score", "p.npz", "--protocol", protocol, "--dialect", "all"),
            *("--exclude-overlap", tmp_path / "train.txt"),
        )
        assert done.code == 2
        assert "one dialect" in done.err


class TestImport:
    def test_maps_then_score(
        self, call: Call, protocol: Path, ids: list[str], tmp_path: Path
    ) -> None:
        folder = tmp_path / "maps"
        folder.mkdir()
        for number, name in enumerate(ids):
            np.save(folder / f"{name}.npy", np.random.default_rng(number).random((5, 5)))
        out = tmp_path / "mine.npz"
        arguments = ("import", "maps", folder, "--protocol", protocol, "--out", out)
        done = call(*arguments, "--model", "mine")
        assert done.code == 0
        assert "12 of 12 maps of 5 x 5" in done.out
        scored_in = ("--out", tmp_path / "scored")
        assert call("score", out, "--protocol", protocol, *scored_in).code == 0
        (folder / f"{ids[0]}.npy").unlink()
        refused = call(*arguments, "--model", "mine")
        assert (refused.code, refused.out) == (2, "")
        assert ids[0] in refused.err
        facts = json.loads(call(*arguments, "--model", "mine", "--missing-fail", "--json").out)
        assert facts["missing"] == [ids[0]]
        scored = json.loads(
            call("score", out, "--protocol", protocol, *scored_in, "--json", "--overwrite").out
        )
        assert scored["coverage"]["present"] == 11

    def test_ciou_of_each_clip(
        self, call: Call, protocol: Path, ids: list[str], tmp_path: Path
    ) -> None:
        path, out = tmp_path / "iou_test_av.txt", tmp_path / "scores.npz"
        path.write_text("".join(f"{index},{index / 12}\n" for index in range(12)))
        arguments = ("import", "ezvsl-ciou", path, "--protocol", protocol)
        done = call(*arguments, "--out", out)
        assert done.code == 0
        assert "12 of 12 trials" in done.out
        table = read_scores(out).set_index("trial_id")["cIoU"]
        assert [table[name] for name in sorted(ids)] == pytest.approx(np.arange(12) / 12)
        facts = json.loads(call(*arguments, "--json").out)
        assert facts["measures"][0]["value"] == 0.5

    def test_lines_that_cannot_be_told_apart_have_no_table(
        self, call: Call, protocol: Path, ids: list[str], tmp_path: Path
    ) -> None:
        path, out = tmp_path / "iou_test_av.txt", tmp_path / "scores.npz"
        path.write_text("0,0.75\n")
        arguments = ("import", "ezvsl-ciou", path, "--protocol", protocol)
        done = call(*arguments)
        assert "1 of 12 trials" in done.out
        assert "--tested" in done.out
        refused = call(*arguments, "--out", out)
        assert refused.code == 2
        assert not out.exists()
        (tmp_path / "tested.txt").write_text(ids[5])
        assert call(*arguments, "--tested", tmp_path / "tested.txt", "--out", out).code == 0
        table = read_scores(out)
        assert table["trial_id"][table["present"]].tolist() == [ids[5]]


class TestExport:
    @pytest.mark.parametrize("form", ["csv", "parquet", "latex", "markdown", "json"])
    def test_results(self, form: str, call: Call, tmp_path: Path) -> None:
        write_result(tmp_path / "a.json", result(model="one"))
        write_result(tmp_path / "b.json", result(model="two", digest="c" * 64))
        done = call(
            *("export", tmp_path / "a.json", tmp_path / "b.json"),
            *("--format", form, "--out", tmp_path / "table"),
        )
        assert done.code == 0
        assert "2 groups that do not compare" in done.out
        assert b"two" in (tmp_path / "table").read_bytes()

    def test_scores(self, call: Call, protocol: Path, tmp_path: Path) -> None:
        call(
            *("evaluate", "--model", "center", "--protocol", protocol),
            *("--out", tmp_path / "run", "--sheet", "0"),
        )
        scores = tmp_path / "run" / "scores.npz"
        done = call("export", scores, "--format", "csv", "--out", tmp_path / "s.csv")
        assert "12 trials" in done.out
        assert len(pd.read_csv(tmp_path / "s.csv")) == 12
        mixed = call(
            *("export", scores, tmp_path / "run" / "result.json"),
            *("--format", "csv", "--out", tmp_path / "m.csv"),
        )
        assert mixed.code == 2
        assert not (tmp_path / "m.csv").exists()

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": "ssl-bench-result/1"}'])
    def test_hostile_results_write_nothing(
        self, content: bytes, call: Call, tmp_path: Path
    ) -> None:
        (tmp_path / "a.json").write_bytes(content)
        done = call(
            *("export", tmp_path / "a.json", "--format", "csv"),
            *("--out", tmp_path / "t.csv"),
        )
        assert (done.code, done.out) == (2, "")
        assert "a.json" in done.err
        assert not (tmp_path / "t.csv").exists()


@pytest.mark.slow
def test_analyse(call: Call, protocol: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    call("evaluate", "--model", "center", "--protocol", protocol, "--out", run, "--sheet", "0")
    done = call("analyse", run, "--protocol", protocol)
    assert done.code == 0
    assert {"analysis.csv", "analysis.png"} <= {item.name for item in (run / "analysis").iterdir()}
    refused = call("analyse", tmp_path / "gone")
    assert refused.code == 2
    assert "result.json" in refused.err


class TestCompareSets:
    def test_in_words_and_as_json(self, call: Call, tmp_path: Path) -> None:
        write_result(tmp_path / "a.json", result(measured("cIoU@0.5", 0.4), split="heard"))
        write_result(
            tmp_path / "b.json",
            result(measured("cIoU@0.5", 0.5), split="unheard", test_set_digest="e" * 64),
        )
        done = call("compare-sets", tmp_path / "a.json", tmp_path / "b.json")
        assert done.code == 0
        assert all(text in done.out for text in ("memory:heard", "memory:unheard", "20.0", "40.0"))
        facts = json.loads(
            call("compare-sets", tmp_path / "a.json", tmp_path / "b.json", "--json").out
        )
        assert facts["changes"][0]["share"]["value"] == pytest.approx(0.2)

    def test_another_dialect_is_refused(self, call: Call, tmp_path: Path) -> None:
        write_result(tmp_path / "a.json", result())
        write_result(tmp_path / "b.json", result(dialect="lvs", digest="f" * 64))
        done = call("compare-sets", tmp_path / "a.json", tmp_path / "b.json")
        assert (done.code, done.out) == (2, "")
        assert "error[E_COMPARE_DIFFERENT]" in done.err
