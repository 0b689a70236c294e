"""A board proves itself: whatever does not belong, or was changed by hand, is found and named."""

from __future__ import annotations

import json
import os
import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boards import checked, codes, meta_of, submit
from boards import write_card as own_card
from boards import write_maps as own_maps

from ssl_bench.cli.main import main
from ssl_bench.files import content_folder
from ssl_bench.leaderboard.assess import Bench, open_bench
from ssl_bench.leaderboard.baselines import add_baselines
from ssl_bench.leaderboard.submit import SubmissionOptions
from ssl_bench.predictions import save_predictions

from .conftest import Maker

FOLDER = "submissions/synth/my-model"


@pytest.mark.slow
def test_a_board_as_it_was_written_is_proven(board: Path) -> None:
    found = checked(board)
    assert (found.findings, found.n_scored, found.n_entries) == ((), 1, 1)
    assert checked(board, use_cache=False).findings == ()


@pytest.mark.slow
def test_several_processes_find_the_same(
    board: Path, bench: Bench, write_maps: Maker, card: Maker
) -> None:
    submit(board, bench, write_maps(3), card())
    path = board / FOLDER / "card.toml"
    path.write_text(path.read_text().replace('"AUC" = 0', '"AUC" = 7'))
    one, two = (checked(board, jobs=jobs) for jobs in (1, 2))
    assert one.findings == two.findings
    assert codes(one) == ["E_CLAIM"]


@pytest.mark.parametrize(("by", "found"), [(5e-7, []), (5e-6, ["E_CLAIM"])])
def test_a_claim_is_what_the_maps_score_but_for_rounding(
    by: float, found: list[str], board: Path
) -> None:
    path = board / FOLDER / "card.toml"
    lines = path.read_text().splitlines()
    row = next(number for number, line in enumerate(lines) if line.startswith('"AUC"'))
    lines[row] = f'"AUC" = {float(lines[row].split(" = ")[1]) + by!r}'
    path.write_text("\n".join(lines))
    assert codes(checked(board)) == found


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('slug = "my-model"', 'slug = "other"', "E_SLUG"),
        ('licence = "CC', 'measured_by = "this project"\nlicence = "CC', "E_CARD_CLAIM"),
        ('"AUC" =', '"AUC(adaptive)@0.7" =', "E_CLAIM"),
        ('"AUC" =', '"rm -rf" =', "E_CLAIM"),
        ("'''My model'''", '"EZ-VSL"', "E_CARD_NAME"),
        ('overlap = "unknown"', 'overlap = "yes"\noverlap_clips = 501', "E_CARD_OVERLAP"),
        ('"audio-visual"', '"\\u001b[2J"', "E_SCHEMA"),
    ],
)
def test_a_card_with_one_wrong_line(old: str, new: str, code: str, board: Path) -> None:
    path = board / FOLDER / "card.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    found = checked(board)
    assert code in codes(found)
    assert "\x1b" not in "".join(map(str, found.findings))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("run.py", "E_BOARD_FILE"),
        ("entries/synth/x.json", "E_BOARD_FILE"),
        ("submissions/conftest.py", "E_PROTOCOL"),
        ("submissions/nothing/x/card.toml", "E_PROTOCOL"),
        ("submissions/synth--synth--standard/x/card.toml", "E_PROTOCOL_FOLDER"),
        ("submissions/synth/My Model/card.toml", "E_SLUG"),
        ("submissions/synth/x.npz", "E_SLUG"),
        (f"{FOLDER}/card.toml.bak", "E_BOARD_FILE"),
        (f"{FOLDER}/deeper/x", "E_BOARD_FILE"),
        (f"{FOLDER}/maps.pkl", "E_BOARD_FILE"),
        ("submissions/synth/empty/note.txt", "E_BOARD_FILE"),
    ],
)
def test_files_that_do_not_belong(name: str, code: str, board: Path) -> None:
    path = board / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    found = codes(checked(board))
    assert any(each.startswith(code) for each in found), found


@pytest.mark.parametrize(
    "place", ["submissions", "submissions/synth", FOLDER, f"{FOLDER}/maps.npz", "site"]
)
def test_links_are_not_followed(place: str, board: Path, tmp_path: Path) -> None:
    if (board / place).exists():
        (board / place).rename(tmp_path / "outside")
    (board / place).symlink_to(tmp_path / "outside")
    assert "E_BOARD_LINK" in codes(checked(board))


def test_a_pipe_is_not_waited_for(board: Path) -> None:
    os.mkfifo(board / "submissions/synth/pipe")
    os.mkfifo(board / FOLDER / "lock.json")
    assert {"E_SLUG", "E_BOARD_FILE"} <= set(codes(checked(board)))


def test_maps_that_are_missing_exchanged_or_huge(
    board: Path, bench: Bench, write_maps: Maker
) -> None:
    path = board / FOLDER / "maps.npz"
    shutil.copy(write_maps(9), path)
    assert set(codes(checked(board))) == {"E_CLAIM"}
    with path.open("ab") as stream:
        stream.truncate(2**32)
    assert codes(checked(board)) == ["E_MAPS_SIZE"]
    path.unlink()
    assert codes(checked(board)) == ["E_MAPS_MISSING"]


@pytest.mark.slow
def test_a_stored_bomb_is_not_unpacked(board: Path, bench: Bench) -> None:
    with zipfile.ZipFile(board / FOLDER / "maps.npz", "w", zipfile.ZIP_DEFLATED) as made:
        for name, array in (
            ("trial_id", np.array(bench.trials.ids)),
            ("meta", np.frombuffer(meta_of(bench).to_bytes(), np.uint8)),
        ):
            with made.open(f"{name}.npy", "w") as stream:
                np.save(stream, array)
        with made.open("map.npy", "w", force_zip64=True) as stream:
            facts = {"descr": "<f4", "fortran_order": False, "shape": (500, 512, 512)}
            np.lib.format.write_array_header_1_0(stream, facts)
            for _ in range(500):
                stream.write(bytes(2**20))
    started = time.process_time()
    (finding,) = checked(board).findings
    assert finding.level == "wrong"
    assert time.process_time() - started < 60


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\nexit 1\n", b"PK\x03\x04" * 99])
def test_maps_that_are_no_archive(content: bytes, board: Path) -> None:
    (board / FOLDER / "maps.npz").write_bytes(content)
    (finding,) = checked(board).findings
    assert (finding.level, finding.path) == ("wrong", FOLDER)


def test_maps_of_another_version_are_no_fault_and_not_proven(
    board: Path, write_maps: Maker
) -> None:
    shutil.copy(write_maps(0, protocol_digest="0" * 64), board / FOLDER / "maps.npz")
    found = checked(board)
    assert [(each.level, each.code) for each in found.findings] == [("not checked", "E_NOT_SCORED")]
    assert (found.n_entries, found.n_scored) == (0, 0)
    (unscored,) = found.competitions["synth"].unscored
    assert unscored[0].slug == "my-model"


@pytest.mark.slow
def test_copied_maps_and_names_that_look_alike(
    board: Path, bench: Bench, write_maps: Maker, card: Maker
) -> None:
    submit(board, bench, write_maps(3), card())
    shutil.copy(board / FOLDER / "maps.npz", board / "submissions/synth/other/maps.npz")
    shutil.copy(board / FOLDER / "card.toml", board / "submissions/synth/other/card.toml")
    text = (board / FOLDER / "card.toml").read_text()
    text = text.replace('"my-model"', '"other"').replace("My model", "MY-M0DEL")
    (board / "submissions/synth/other/card.toml").write_text(text)
    assert set(codes(checked(board))) == {"E_CARD_NAME", "E_MAPS_COPIED"}


def test_printed_figures_are_those_that_ship(board: Path, tmp_path: Path) -> None:
    own = content_folder("leaderboard") / "published.csv"
    (board / "published.csv").write_bytes(own.read_bytes())
    assert codes(checked(board)) == []
    trusted = Path(shutil.copytree(board, tmp_path / "trusted"))
    (board / "published.csv").write_text("".join(own.read_text().splitlines(True)[:-1]))
    assert codes(checked(board)) == ["E_FIGURES"]
    (board / "published.csv").write_text("paper\n<script>\n")
    assert len(codes(checked(board))) == 1
    (board / "published.csv").unlink()
    assert codes(checked(board, trusted=trusted)) == ["E_FIGURES"]


@pytest.mark.slow
def test_a_baseline_that_the_trusted_board_does_not_have(board: Path, tmp_path: Path) -> None:
    """Maps prove what they score, and not that the baseline made them."""
    trusted = Path(shutil.copytree(board, tmp_path / "trusted"))
    assert list(add_baselines(board, baselines=["full"], protocols=["synth"]))
    assert codes(checked(board)) == []
    assert codes(checked(board, trusted=board)) == []
    (finding,) = checked(board, trusted=trusted).findings
    assert (finding.level, finding.code) == ("not checked", "E_NOT_VOUCHED")


@pytest.mark.parametrize(
    ("card", "code"),
    [
        ('baseline = "ezvsl"\n', "E_BASELINE"),
        ('baseline = "ezvsl"\nseed = 0\n', "E_BASELINE"),
        ('baseline = "nonsense"\nseed = 0\n', "E_BASELINE"),
    ],
)
def test_a_card_that_borrows_a_baselines_name(card: str, code: str, board: Path) -> None:
    folder = board / FOLDER
    folder.rename(folder.with_name("ezvsl"))
    (folder.with_name("ezvsl") / "card.toml").write_text(card)
    assert code in codes(checked(board))


def test_the_command_ends_with_1_and_without_a_traceback(
    board: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (board / FOLDER / "card.toml").write_text("{")
    with pytest.raises(SystemExit) as stop:
        main(["leaderboard", "check", "--board", str(board)])
    assert stop.value.code == 1
    captured = capsys.readouterr()
    assert f"wrong: {FOLDER}/card.toml" in captured.err
    assert "[E_TOML]" in captured.err
    assert "Traceback" not in captured.out + captured.err


def test_an_empty_board_is_proven(tmp_path: Path) -> None:
    assert checked(tmp_path).findings == ()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A board with an entry on a small VGG-SS, and the folder with the annotation."""
    scratch = tmp_path_factory.mktemp("vggss")
    data = annotated(scratch / "data", 0.5)
    bench = open_bench("vggss", data)
    maps = own_maps(scratch / "maps.npz", bench)
    submit(scratch / "board", bench, maps, own_card(scratch / "card.toml"))
    return scratch / "board", data


class TestLocks:
    """Where an annotation does not ship, what was accepted is kept, and marked."""

    @pytest.fixture
    def locked(self, made: tuple[Path, Path], tmp_path: Path) -> Path:
        return Path(shutil.copytree(made[0], tmp_path / "locked"))

    def test_without_the_annotation_it_is_stated_and_marked(self, locked: Path) -> None:
        found = checked(locked)
        assert [(each.level, each.code) for each in found.findings] == [
            ("not checked", "E_NOT_SCORED")
        ]
        (entry,) = found.competitions["vggss"].entries.values()
        assert (entry.scored, entry.can_be_ranked) == (False, True)
        assert all(each.truth is None for each in entry.evidence.gallery)
        assert [each.level for each in checked(locked, trusted=locked).findings] == ["trusted"]

    def test_with_the_annotation_it_is_proven(
        self, locked: Path, made: tuple[Path, Path], tmp_path: Path
    ) -> None:
        assert codes(checked(locked, data=made[1])) == []
        other = annotated(tmp_path / "revision", 0.6)
        (finding,) = checked(locked, data=other).findings
        assert (finding.level, finding.code) == ("not checked", "E_NOT_SCORED")

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            (lambda it: it["result"]["measures"][0].update(value=0.99), "E_LOCK_VALUE"),
            (lambda it: it["result"]["measures"][0].update(low=0.001), "E_LOCK_VALUE"),
            (lambda it: it["result"]["breakdown"].clear(), "E_LOCK_VALUE"),
            (lambda it: it["result"]["coverage"].update(present=3), "E_LOCK_VALUE"),
            (lambda it: it["evidence"]["gallery"][0].update(score=0.5), "E_LOCK_VALUE"),
            (lambda it: it["evidence"]["success_curve"][4].update(value=0.9), "E_LOCK_VALUE"),
            (lambda it: it["result"]["measures"].pop(), "E_LOCK_FORM"),
            (lambda it: it["evidence"]["replicates"].pop(), "E_LOCK_FORM"),
            (lambda it: it["evidence"]["replicates"][0].update(data="AAAAAA=="), "E_LOCK_FORM"),
            (lambda it: it["result"].update(predictions_sha256="0" * 64), "E_LOCK_DIGEST"),
            (lambda it: it["result"]["protocol"].update(digest="0" * 64), "E_LOCK_PROTOCOL"),
            (lambda it: it["result"]["protocol"].update(label="x"), "E_LOCK_PROTOCOL"),
            (lambda it: it["result"]["coverage"].update(partial=True), "E_LOCK"),
            (lambda it: it["result"]["model"].update(name="\x1b[2J"), "E_LOCK"),
            (lambda it: it.update(format="ssl-bench-lock/9"), "E_LOCK"),
            (lambda it: it.update(url="javascript:alert(1)"), "E_LOCK"),
            (lambda it: it["result"]["measures"][0].update(n_trials=10**400), "E_LOCK"),
        ],
    )
    def test_a_lock_that_was_changed_by_hand(
        self,
        change: Callable[[dict[str, Any]], object],
        code: str,
        locked: Path,
        made: tuple[Path, Path],
    ) -> None:
        path = locked / "submissions/vggss/my-model/lock.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
        found = checked(locked, data=made[1])
        assert code in codes(found)
        assert "\x1b" not in "".join(map(str, found.findings))

    @pytest.mark.parametrize("content", ["[" * 2**20, "{", "x" * 2**22])
    def test_a_lock_that_is_none(self, content: str, locked: Path) -> None:
        (locked / "submissions/vggss/my-model/lock.json").write_text(content)
        assert [each.level for each in checked(locked).findings] == ["wrong"]

    def test_without_lock_and_annotation_there_is_no_entry(self, locked: Path) -> None:
        (locked / "submissions/vggss/my-model/lock.json").unlink()
        found = checked(locked)
        assert (codes(found), found.n_entries) == (["E_LOCK_MISSING"], 0)

    def test_an_older_version_is_listed_apart(self, locked: Path) -> None:
        path = locked / "submissions/vggss/my-model/lock.json"
        content = json.loads(path.read_text())
        content["result"]["protocol"].update(digest="0" * 64, version=0)
        path.write_text(json.dumps(content))
        (entry,) = checked(locked).competitions["vggss"].entries.values()
        assert "version 0" in entry.apart
        assert not entry.can_be_ranked

    @pytest.mark.slow
    def test_maps_kept_elsewhere(
        self, board: Path, bench: Bench, write_maps: Maker, card: Maker, tmp_path: Path
    ) -> None:
        maps = write_maps(4)
        options = SubmissionOptions(
            url="https://example.org/maps.npz", replace=True, reason="Too large"
        )
        submit(board, bench, maps, card("my-model", "My model"), options)
        assert sorted(each.name for each in (board / FOLDER).iterdir()) == [
            "card.toml",
            "lock.json",
        ]
        assert codes(checked(board)) == ["E_NOT_SCORED"]
        copies = tmp_path / "copies"
        copies.mkdir()
        shutil.copy(maps, copies / "any-name.npz")
        found = checked(board, copies=copies)
        assert codes(found) == []
        assert not found.competitions["synth"].entries["my-model"].can_be_ranked
        (copies / "any-name.npz").write_bytes(maps.read_bytes() + b"x")
        assert codes(checked(board, copies=copies)) == ["E_NOT_SCORED"]


def annotated(data: Path, corner: float) -> Path:
    """A data folder with a small VGG-SS."""
    clips = [
        {"file": f"video{n}_{n:06d}", "class": f"class {n % 3}", "bbox": [[0.1, 0.2, corner, 0.9]]}
        for n in range(30)
    ]
    (data / "vggss").mkdir(parents=True)
    (data / "vggss" / "vggss.json").write_text(json.dumps(clips))
    return data


def test_a_partial_file_scores_what_is_there(board: Path, bench: Bench, tmp_path: Path) -> None:
    """What is not answered counts as failed, in a file that says that it is complete."""
    ids = bench.trials.ids[:10]
    path = board / FOLDER / "maps.npz"
    save_predictions(path, ids, np.ones((10, 2, 2)), meta_of(bench, complete=False))
    (finding,) = checked(board).findings
    assert finding.level == "wrong"
