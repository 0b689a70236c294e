"""The commands validate, submit and leaderboard: for people, for programs, and for bad input."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from boards import write_card
from command_line import Call

from ssl_bench.files import CACHE_VARIABLE, cache_folder, content_folder
from ssl_bench.leaderboard.submissions import default_board
from ssl_bench.predictions import PredictionsMeta, open_predictions, save_predictions
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.trials.compositions import open_trials


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    trials = open_trials(load_protocol("synth"))
    meta = PredictionsMeta(
        protocol=trials.protocol.label,
        protocol_digest=trials.protocol.digest,
        test_set=trials.test_set.name,
        test_set_digest=trials.test_set.digest,
        model="mine",
        complete=True,
    )
    path = tmp_path_factory.mktemp("maps") / "maps.npz"
    noise = np.random.default_rng(0).random((len(trials) - 1, 20, 20))
    save_predictions(path, trials.ids[1:], noise, meta)
    return path


@pytest.fixture
def card(tmp_path: Path) -> Path:
    return write_card(tmp_path / "card.toml")


def test_validate_says_how_many_trials_are_answered(call: Call, maps: Path) -> None:
    done = call("validate", maps, "--protocol", "synth")
    assert done.code == 0
    assert "answers 499 of 500 trials" in " ".join(done.out.split())
    assert "1 missing ones count as failures: standard-000000" in done.out


def test_validate_for_programs(call: Call, maps: Path) -> None:
    right = call("validate", maps, "--protocol", "synth", "--json")
    assert (right.code, json.loads(right.out)["missing"]) == (0, ["standard-000000"])
    wrong = call("validate", maps, "--protocol", "concat", "--json")
    told = json.loads(wrong.out)
    assert (wrong.code, told["scorable"]) == (1, False)
    assert {"E_OTHER_PROTOCOL", "E_IDS_UNKNOWN"} <= {each["code"] for each in told["problems"]}
    assert all(each["remedy"] for each in told["problems"])


def test_the_protocol_is_found_in_the_file(call: Call, maps: Path) -> None:
    named, found = (
        call("validate", maps, *protocol, "--json") for protocol in (["--protocol", "synth"], [])
    )
    assert (found.code, found.out) == (0, named.out)
    assert json.loads(found.out)["protocol"] == "synth@synth:standard"


@pytest.mark.parametrize(
    ("stated", "code"),
    [
        ("/tmp/mine.toml", "E_PROTOCOL_UNKNOWN"),
        ("mine@synth", "E_PROTOCOL_UNKNOWN"),
        ("synth@../elsewhere", "E_TEST_SET"),
    ],
)
@pytest.mark.parametrize("command", ["validate", "score"])
def test_a_protocol_that_a_file_names_is_one_that_ships(
    call: Call, tmp_path: Path, command: str, stated: str, code: str
) -> None:
    meta = PredictionsMeta(
        protocol=stated,
        protocol_digest="0" * 64,
        test_set="synth",
        test_set_digest="1" * 64,
        model="mine",
        complete=True,
    )
    save_predictions(tmp_path / "maps.npz", ["a"], np.ones((1, 2, 2)), meta)
    done = call(command, tmp_path / "maps.npz")
    assert (done.code, done.out) == (1 if command == "validate" and code != "E_TEST_SET" else 2, "")
    assert code in done.err


def test_validate_lists_all_problems(call: Call, maps: Path) -> None:
    done = call("validate", maps, "--protocol", "concat")
    assert done.code == 1
    assert "E_OTHER_PROTOCOL" in done.err
    assert "E_IDS_UNKNOWN" in done.err


@pytest.mark.slow
def test_submit_check_and_replace(
    call: Call, maps: Path, card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No score is kept yet; scenes and maps of priors may be.
    (tmp_path / "cache").mkdir()
    for name in ("synth", "priors"):
        cache_folder(name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "cache" / name).symlink_to(cache_folder(name))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    board = tmp_path / "board"
    board.mkdir()
    submit = ["submit", maps, "--protocol", "synth", "--card", card, "--board", board]
    submit += ["--new-board"]
    dry = call(*submit, "--dry-run")
    assert dry.code == 0
    told_once = " ".join(dry.out.split())  # sentences break at the edge of the screen
    assert told_once.startswith("My model on synth@synth:standard: cIoU@0.5 ")
    assert ", the only entry of this protocol." in told_once
    assert "As stored, it scores" not in told_once
    for told in ("file as submitted", "499 of 500", "Would write", "Next: the same command"):
        assert told in told_once
    assert "-0.00" not in dry.out
    assert list(board.iterdir()) == []

    written = json.loads(call(*submit, "--json").out)
    assert written["written"]
    assert (written["slug"], written["tied_with"], written["ranks"]) == ("my-model", [], [1, 1])
    files = sorted(str(path.relative_to(board)) for path in board.rglob("*.*"))
    folder = "submissions/synth/my-model"
    assert files == [f"{folder}/card.toml", f"{folder}/maps.npz"]

    again = call(*submit)
    assert again.code == 2
    assert "error[E_SLUG_TAKEN]" in again.err

    replace = [*submit, "--replace"]
    assert "--reason" in call(*replace, "--dry-run").err
    (board / folder / "vision-only.npz").write_bytes((board / folder / "maps.npz").read_bytes())
    told = call(*replace, "--reason", "A test", "--dry-run").out
    assert "It replaces the entry my-model: My model" in told
    assert "Would remove vision-only.npz there, the model's own audio-blind maps" in told
    (board / folder / "vision-only.npz").unlink()

    check = ["leaderboard", "check", "--board", board, "--no-pages"]
    first = call(*check)
    assert first.code == 0, first.err
    assert "1 submissions scored again and found right" in first.out
    second = json.loads(call(*check, "--changed-only", "--json").out)
    assert (second["proven"], second["entries"], second["findings"]) == (True, 1, [])

    path = board / folder / "card.toml"
    path.write_text(path.read_text().replace('"AUC" = 0', '"AUC" = 1'))
    third = call(*check, "--changed-only", "--json")
    assert third.code == 1
    (finding,) = json.loads(third.out)["findings"]
    assert (finding["level"], finding["path"], finding["code"]) == ("wrong", folder, "E_CLAIM")


@pytest.mark.slow
def test_submit_shows_score_floor_ceiling_and_hearing(
    call: Call, maps: Path, card: Path, tmp_path: Path
) -> None:
    submit = ["submit", maps, "--protocol", "synth", "--card", card, "--board", tmp_path]
    submit += ["--new-board", "--dry-run"]
    dry = call(*submit)
    digest = load_protocol("synth").digest
    for told in (
        "without sound",
        "ceiling",
        f"Dialect canonical, protocol digest {digest[:12]}",
        "no hearing is shown",
    ):
        assert told in " ".join(dry.out.split())
    done = call(*submit, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["dialect"], told["digest"]) == ("canonical", digest)
    first = told["headline"][0]
    values = [first[name]["value"] for name in ("entry", "floor", "ceiling")]
    assert first["measure"] == "cIoU@0.5"
    assert first["entry"] == told["measures"][0]
    assert first["share_of_distance"] == (values[0] - values[1]) / (values[2] - values[1])
    assert first["without_sound"]["value"] >= values[1]
    assert first["hearing"]["value"] == pytest.approx(values[0] - first["without_sound"]["value"])


@pytest.mark.slow
def test_submit_says_how_much_is_hearing(
    call: Call, maps: Path, card: Path, tmp_path: Path
) -> None:
    trials = open_trials(load_protocol("synth"))
    blind = tmp_path / "blind.npz"
    flat = np.ones((len(trials) - 1, 1, 1))
    save_predictions(blind, trials.ids[1:], flat, open_predictions(maps).meta)
    submit = ["submit", maps, "--protocol", "synth", "--card", card, "--board", tmp_path]
    submit += ["--new-board"]
    submit += ["--dry-run", "--vision-only", blind]
    done = call(*submit, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    added = told["headline"][0]["hearing"]
    assert added["low"] <= added["value"] <= added["high"]
    shown = f"[{100 * added['low']:.1f}, {100 * added['high']:.1f}]"
    assert told["headline"][0]["best_without"] in call(*submit).out
    assert shown in call(*submit).out


@pytest.mark.slow
def test_submit_says_that_a_model_which_only_looks_hears_nothing(
    call: Call, maps: Path, card: Path, tmp_path: Path
) -> None:
    card.write_text(card.read_text().replace('"audio-visual"', '"vision-only"'))
    submit = ["submit", maps, "--protocol", "synth", "--card", card, "--board", tmp_path]
    submit += ["--new-board"]
    assert "no hearing is shown" in call(*submit, "--dry-run").out


@pytest.mark.slow
def test_a_board_that_is_not_there_is_asked_about(
    call: Call, maps: Path, card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = ["submit", maps, "--protocol", "synth", "--card", card, "--board", tmp_path / "new"]
    refused = call(*submit)
    assert (refused.code, "E_BOARD_MISSING" in refused.err) == (2, True)
    for answer, code in (("n\n", 2), ("y\n", 0)):
        terminal = io.StringIO(answer)
        monkeypatch.setattr(terminal, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stdin", terminal)
        asked = call(*submit)
        assert (asked.code, "Begin one?" in asked.err) == (code, True)
        assert (tmp_path / "new").exists() == (code == 0)


def test_the_board_of_the_checkout_that_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "checkout/leaderboard"
    (own / "submissions").mkdir(parents=True)
    (tmp_path / "checkout/deep/er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "checkout/deep/er")
    assert default_board() == own
    monkeypatch.chdir(tmp_path)
    assert default_board() == content_folder("leaderboard")


def entry_of(root: Path, slug: str, lines: str = "") -> Path:
    """A submission of a trivial baseline, whose maps are made again."""
    folder = root / "submissions/synth" / slug
    folder.mkdir(parents=True)
    (folder / "card.toml").write_text(f'baseline = "{slug}"\nseed = 0\n{lines}')
    return folder


def test_a_check_has_one_line_for_each_cause(call: Call, tmp_path: Path) -> None:
    entry_of(tmp_path, "full", '[claims]\n"AUC" = 0.9\n"cIoU@0.5" = 0.9\n')
    entry_of(tmp_path, "center")
    done = call("leaderboard", "check", "--board", tmp_path, "--entry", "full")
    (line,) = [line for line in done.err.splitlines() if line.startswith("wrong: ")]
    assert line.startswith("wrong: submissions/synth/full: its card claims 0.9 for AUC")
    assert line.endswith("(and 1 more of this kind). [E_CLAIM]")
    assert (done.code, "2 faults" in done.out, "pages not built" in done.out) == (1, True, True)
    others = ["leaderboard", "check", "--board", tmp_path, "--entry", "center"]
    done = call(*others, "--protocol", "synth")
    assert (done.code, done.out[:14]) == (0, "1 submissions ")
    done = call(*others, "--protocol", "concat")
    assert (done.code, "E_ENTRY_UNKNOWN" in done.err) == (2, True)


def test_withdraw_says_what_is_gone_and_what_to_do(call: Call, tmp_path: Path) -> None:
    folder = entry_of(tmp_path, "full")
    (folder / "notes.txt").write_text("x")
    withdraw = ["leaderboard", "withdraw", "full", "--board", tmp_path]
    assert "--reason" in call(*withdraw).err
    done = call(*withdraw, "--reason", "A test")
    assert done.code == 0, done.err
    assert "Withdrawn: submissions/synth/full (cIoU@0.5 " in done.out
    assert "removed notes.txt." in done.out
    assert "Next: ssl-bench leaderboard build" in done.out
    assert call("leaderboard", "check", "--board", tmp_path, "--no-pages").code == 0
    built = call("leaderboard", "build", "--board", tmp_path, "--no-media")
    assert built.code == 0, built.err
    page = (tmp_path / "site/protocols/synth.html").read_text()
    assert "A test" in page


def test_submit_needs_a_card(call: Call, maps: Path) -> None:
    done = call("submit", maps, "--protocol", "synth")
    assert done.code == 2
    assert "--card" in done.err


def test_submit_names_what_is_wrong_with_a_card(call: Call, maps: Path, tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    path.write_text("slug = 3")
    done = call("submit", maps, "--protocol", "synth", "--card", path)
    assert done.code == 2
    assert "slug" in done.err
    assert "Traceback" not in done.err


def test_faults_of_card_and_maps_come_at_once(call: Call, maps: Path, tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    path.write_text("slug = 3")
    done = call("submit", maps, "--protocol", "concat", "--card", path, "--board", tmp_path)
    assert done.code == 2
    for told in ("slug", "name", "E_OTHER_PROTOCOL"):
        assert told in done.err


@pytest.mark.slow
def test_strict_fails_where_something_was_not_checked(
    call: Call, maps: Path, card: Path, tmp_path: Path
) -> None:
    board = tmp_path / "board"
    board.mkdir()
    url = ["--url", "https://example.org/maps.npz"]
    submit = ["submit", maps, "--protocol", "synth", "--card", card, "--board", board]
    submit += ["--new-board"]
    assert call(*submit, *url).code == 0
    check = ["leaderboard", "check", "--board", board, "--no-pages"]
    loose = call(*check)
    assert (loose.code, "1 not checked" in " ".join(loose.out.split())) == (0, True)
    assert "NOT PROVEN: 1 submissions" in loose.err
    assert json.loads(call(*check, "--json").out)["proven"] is False
    assert call(*check, "--strict").code == 1
    trusted = shutil.copytree(board, tmp_path / "trusted")
    trusting = call(*check, "--strict", "--trusted", trusted)
    assert (trusting.code, "1 not checked but trusted" in " ".join(trusting.out.split())) == (
        0,
        True,
    )
    lock = tmp_path / "trusted/submissions/synth/my-model/lock.json"
    lock.write_text(lock.read_text() + " ")
    assert call(*check, "--strict", "--trusted", trusted).code == 1


def test_help_of_the_group(call: Call) -> None:
    done = call("leaderboard", "--help")
    assert done.code == 0
    for name in ("add-baselines", "build", "check"):
        assert name in done.out


@pytest.mark.slow
def test_build_and_check_make_the_same_pages(
    call: Call, maps: Path, card: Path, tmp_path: Path
) -> None:
    board = tmp_path / "board"
    call("submit", maps, "--protocol", "synth", "--card", card, "--board", board, "--new-board")
    built = call("leaderboard", "build", "--board", board, "--no-media")
    assert built.code == 0, built.err
    assert f"Open {board / 'site' / 'index.html'} in a browser." in " ".join(built.out.split())
    page = board / "site" / "entries" / "synth" / "my-model.html"
    text = page.read_text()
    assert "0 changed" in call("leaderboard", "build", "--board", board, "--no-media").out
    out = tmp_path / "out"
    checked = call("leaderboard", "check", "--board", board, "--changed-only", "--out", out)
    assert checked.code == 0, checked.err
    assert (out / "entries" / "synth" / "my-model.html").read_text() == text


@pytest.mark.slow
def test_nothing_is_built_from_a_board_with_faults(
    call: Call, maps: Path, card: Path, tmp_path: Path
) -> None:
    board = tmp_path / "board"
    call("submit", maps, "--protocol", "synth", "--card", card, "--board", board, "--new-board")
    (board / "run.py").write_text("x")
    for command, code in (("build", 2), ("check", 1)):
        assert call("leaderboard", command, "--board", board).code == code
    assert not (board / "site").exists()


def test_build_refuses_a_folder_with_something_else(call: Call, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    (tmp_path / "board").mkdir()
    built = call("leaderboard", "build", "--board", tmp_path / "board", "--out", tmp_path / "out")
    assert built.code == 2
    assert built.err.startswith("error[E_")


@pytest.mark.slow
def test_report_writes_a_page_and_tables(call: Call, maps: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    call("score", maps, "--protocol", "synth", "--out", run)
    done = call(
        "report",
        run,
        "--out",
        tmp_path / "report.html",
        "--markdown",
        tmp_path / "report.md",
        "--latex",
        tmp_path / "report.tex",
    )
    assert done.code == 0, done.err
    assert "<!DOCTYPE html>" in (tmp_path / "report.html").read_text()
    assert "| mine | 499 of 500 |" in (tmp_path / "report.md").read_text()
    assert r"\begin{tabular}" in (tmp_path / "report.tex").read_text()


def test_report_of_no_run_is_one_sentence(call: Call, tmp_path: Path) -> None:
    done = call("report", tmp_path, "--out", tmp_path / "report.html")
    assert done.code == 2
    assert "error[E_RUN_FOLDER]" in done.err
    assert not (tmp_path / "report.html").exists()
