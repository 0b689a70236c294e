"""A board proves itself: whatever is changed by hand is found, and named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_bench.errors import DataError, LeaderboardError
from ssl_bench.leaderboard import remaking as module
from ssl_bench.leaderboard.assess import Bench, open_bench
from ssl_bench.leaderboard.baselines import add_baselines
from ssl_bench.leaderboard.card import SubmissionCard
from ssl_bench.leaderboard.check import CheckOptions, check_board
from ssl_bench.leaderboard.documents import read_entry
from ssl_bench.leaderboard.entry import Replicates
from ssl_bench.leaderboard.findings import Checked
from ssl_bench.leaderboard.records import Records
from ssl_bench.leaderboard.submit import SubmissionOptions, prepare, write_submission
from ssl_bench.predictions import save_predictions

from .conftest import MapsWriter, meta_of

ENTRY = "entries/synth/my-model.json"
MAPS = "predictions/synth/my-model.npz"


def edit(board: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = board / ENTRY
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def only(found: Checked) -> Any:
    assert len(found.findings) == 1, [str(each) for each in found.findings]
    return found.findings[0]


def test_a_board_as_it_was_written_is_proven(board: Path) -> None:
    assert check_board(board) == Checked((), (ENTRY,))


@pytest.mark.slow
def test_several_processes_find_the_same(
    board: Path, bench: Bench, write_maps: MapsWriter, card: SubmissionCard
) -> None:
    another = card.model_copy(update={"slug": "another", "name": "Another"})
    write_submission(board, prepare(board, bench, write_maps(3), another))
    edit(board, lambda entry: entry["result"]["measures"][0].update(value=0.9))
    one, two = (check_board(board, CheckOptions(jobs=jobs)) for jobs in (1, 2))
    assert one == two
    assert one.entries == ("entries/synth/another.json",)


def test_a_number_changed_by_hand_is_named_with_both_values(board: Path) -> None:
    edit(board, lambda entry: entry["result"]["measures"][0].update(value=0.9))
    finding = only(check_board(board))
    assert (finding.level, finding.path, finding.field) == (
        "wrong",
        ENTRY,
        "result.measures.0.value",
    )
    assert finding.stored == "0.9"
    assert 0 < float(finding.recomputed) < 0.9


def test_a_change_below_the_tolerance_is_rounding(board: Path) -> None:
    def change(entry: dict[str, Any]) -> None:
        entry["result"]["measures"][1]["value"] += 5e-7

    edit(board, change)
    assert check_board(board).proven


def test_a_change_above_the_tolerance_is_found(board: Path) -> None:
    def change(entry: dict[str, Any]) -> None:
        entry["result"]["measures"][1]["value"] += 5e-6

    edit(board, change)
    assert only(check_board(board)).field == "result.measures.1.value"


EDITS: dict[str, object] = {
    "result.breakdown.size.medium.0.value": 1.0,
    "result.floors.0.measures.0.value": 0.0,
    "result.ceiling.measures.0.value": 1.5,
    "result.coverage.present": 499,
    "result.model.name": "yours",
    "result.statistics.seed": 1,
    "evidence.success_curve.4.value": 0.987,
    "evidence.dialects.0.measures.0.value": 0.987,
    "evidence.gallery.0.score": 0.123,
    "evidence.gallery.1.trial": "elsewhere",
    "evidence.gallery.2.truth.counts": "1",
    "evidence.gallery_seed": 9,
}


def test_every_part_of_an_entry_is_compared(board: Path) -> None:
    def change(entry: dict[str, Any]) -> None:
        for place, value in EDITS.items():
            *parents, last = place.split(".")
            inner: Any = entry
            for part in parents:
                inner = inner[int(part)] if isinstance(inner, list) else inner[part]
            assert inner[last] != value
            inner[last] = value

    edit(board, change)
    found = check_board(board)
    assert {each.field for each in found.findings} == EDITS.keys()


def test_replicates_are_compared(board: Path) -> None:
    def change(entry: dict[str, Any]) -> None:
        drawn = entry["evidence"]["replicates"][0]
        values = Replicates.model_validate(drawn).array()
        drawn["data"] = Replicates.of(drawn["measure"], values * 0.5 + 0.2).data

    edit(board, change)
    assert only(check_board(board)).field == "evidence.replicates.cIoU@0.5"


@pytest.mark.parametrize(
    "change",
    [
        {"timings": {"scoring": 1.0}},
        {"environment": {"proven": "yes"}},
        {"environment": {"python": "3.11, checked by everybody"}},
        {"environment": {"libraries": {"numpy": "2" * 61}}},
        {"environment": {"libraries": "all"}},
    ],
    ids=["timings", "another field", "a sentence", "a long word", "no table"],
)
def test_what_is_stated_is_short_and_plain(board: Path, change: dict[str, Any]) -> None:
    edit(board, lambda entry: entry["result"].update(change))
    finding = only(check_board(board))
    assert (finding.level, finding.path) == ("wrong", ENTRY)


def test_an_entry_states_no_checkout_with_changes(board: Path) -> None:
    stated = read_entry(board / ENTRY).result.environment
    assert not str(stated["commit"]).endswith("-dirty")


def test_library_versions_may_differ(board: Path) -> None:
    edit(board, lambda entry: entry["result"].update(environment={"python": "4.0"}))
    assert check_board(board).proven


def test_predictions_that_were_exchanged_are_found(board: Path, write_maps: MapsWriter) -> None:
    (board / MAPS).write_bytes(write_maps(9).read_bytes())
    finding = only(check_board(board))
    assert finding.field == "predictions"
    assert "the predictions are not those of the entry" in finding.message


def test_missing_predictions_are_found(board: Path) -> None:
    (board / MAPS).unlink()
    assert "are missing" in only(check_board(board)).message


def test_predictions_without_an_entry_are_found(board: Path) -> None:
    (board / ENTRY).unlink()
    finding = only(check_board(board))
    assert (finding.path, finding.message) == (MAPS, "no entry names these predictions")


def test_an_entry_under_another_name_is_found(board: Path) -> None:
    (board / ENTRY).rename(board / "entries/synth/other-name.json")
    assert "this entry belongs into entries/synth/my-model.json" in str(only(check_board(board)))


def test_another_version_of_the_protocol_is_found(board: Path) -> None:
    def change(entry: dict[str, Any]) -> None:
        entry["protocol_digest"] = entry["result"]["protocol"]["digest"] = "0" * 64

    edit(board, change)
    assert "another version of the protocol" in only(check_board(board)).message


def test_an_older_version_of_the_protocol_is_no_fault_and_not_proven(board: Path) -> None:
    def change(entry: dict[str, Any]) -> None:
        entry["protocol_digest"] = entry["result"]["protocol"]["digest"] = "0" * 64
        entry["result"]["protocol"]["version"] = 0

    edit(board, change)
    found = check_board(board)
    assert (only(found).level, found.entries, found.proven) == ("not checked", (), False)
    assert "made for version 0 of its protocol, and is not ranked" in only(found).message
    (board / MAPS).write_bytes(b"other")
    assert only(check_board(board)).level == "wrong"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda it: it["result"]["measures"].pop(), "its measures are not those"),
        (lambda it: it["result"]["measures"].reverse(), "its measures are not those"),
        (lambda it: it["evidence"]["replicates"].pop(), "its replicates are not"),
        (
            lambda it: it["evidence"]["replicates"][0].update(data="AAAAAA=="),
            "1 replicates of cIoU@0.5, and there are 1,000",
        ),
    ],
    ids=["a measure less", "measures in another order", "replicates less", "short replicates"],
)
def test_the_form_is_checked_before_anything_is_scored(
    board: Path, change: Callable[[dict[str, Any]], None], told: str
) -> None:
    edit(board, change)
    found = check_board(board, skip=lambda _path, _entry: True)
    assert told in only(found).message


def test_an_unknown_protocol_is_found(board: Path) -> None:
    def change(entry: dict[str, Any]) -> None:
        entry["protocol"] = entry["result"]["protocol"]["label"] = "nothing@synth:standard"

    edit(board, change)
    assert "no protocol is called 'nothing'" in only(check_board(board)).message


def test_a_card_that_borrows_a_baselines_name_is_found(board: Path) -> None:
    edit(board, lambda entry: entry["card"].update(baseline="ezvsl"))
    assert "only this project's own entries name a baseline" in only(check_board(board)).message


def test_a_card_that_claims_to_be_of_this_project_is_found(board: Path) -> None:
    edit(board, lambda entry: entry["card"].update(measured_by="this project"))
    assert "names no baseline that ships" in only(check_board(board)).message


def test_predictions_kept_elsewhere_are_not_passed_in_silence(
    board: Path, bench: Bench, write_maps: MapsWriter, card: SubmissionCard, tmp_path: Path
) -> None:
    path = write_maps(4)
    options = SubmissionOptions(address="https://example.org/maps.npz", replace=True)
    write_submission(board, prepare(board, bench, path, card, options))
    finding = only(check_board(board))
    assert (finding.level, finding.message) == (
        "not checked",
        "not scored again: it is kept elsewhere, and no copy was given",
    )
    copies = tmp_path / "copies"
    copies.mkdir()
    (copies / "any-name.npz").write_bytes(path.read_bytes())
    found = check_board(board, CheckOptions(predictions=copies))
    assert found == Checked((), (ENTRY,))
    (copies / "any-name.npz").write_bytes(path.read_bytes() + b"x")
    told = only(check_board(board, CheckOptions(predictions=copies)))
    assert "no copy has its digest" in told.message


def test_a_baseline_that_the_trusted_board_does_not_have(board: Path, tmp_path: Path) -> None:
    """Maps say what they score, and not that the baseline made them."""
    trusted = Path(shutil.copytree(board, tmp_path / "trusted"))
    assert list(add_baselines(board, baselines=["full"], protocols=["synth"]))
    options = CheckOptions(trusted=trusted)
    finding = only(check_board(board, options))
    assert (finding.level, finding.path) == ("not checked", "entries/synth/full.json")
    assert "the trusted board has no such entry" in finding.message
    assert check_board(board).proven
    assert check_board(board, CheckOptions(trusted=board)).proven


def test_a_baseline_keeps_its_maps_on_the_board(board: Path) -> None:
    assert list(add_baselines(board, baselines=["full"], protocols=["synth"]))
    path = board / "entries/synth/full.json"
    entry = json.loads(path.read_text())
    del entry["predictions"]["path"]
    entry["predictions"].update(kind="address", address="https://example.org/maps.npz")
    path.write_text(json.dumps(entry))
    (board / "predictions/synth/full.npz").unlink()
    found = check_board(board).findings
    assert any("which keeps its maps on the board" in each.message for each in found)


def test_a_test_set_that_is_not_at_hand_is_stated(
    board: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(_protocol: str, _data: Path | None) -> Bench:
        raise DataError("it needs a data folder, and none was given")

    monkeypatch.setattr(module, "_bench", absent)
    found = check_board(board)
    assert only(found).level == "not checked"
    assert "not scored again: test set not at hand" in only(found).message
    assert found.entries == ()


def test_another_revision_of_an_annotation_is_stated_and_nothing_else(
    tmp_path: Path, card: SubmissionCard
) -> None:
    """VGG-SS has revisions: an entry can be proven only with the one that it was scored on."""

    def annotated(name: str, corner: float) -> CheckOptions:
        box = [0.1, 0.2, corner, 0.9]
        clips = [
            {"file": f"video{n}_{n:06d}", "class": f"class {n % 3}", "bbox": [box]}
            for n in range(30)
        ]
        folder = tmp_path / name / "vggss"
        folder.mkdir(parents=True)
        (folder / "vggss.json").write_text(json.dumps(clips))
        return CheckOptions(data=folder.parent)

    own, other = annotated("own", 0.5), annotated("other", 0.6)
    bench = open_bench("vggss", own.data)
    maps = np.random.default_rng(0).random((30, 7, 7))
    save_predictions(tmp_path / "maps.npz", bench.trials.ids, maps, meta_of(bench))
    board = tmp_path / "board"
    write_submission(board, prepare(board, bench, tmp_path / "maps.npz", card))
    assert check_board(board, own).entries == ("entries/vggss/my-model.json",)
    found = check_board(board, other)
    assert (only(found).level, found.entries, found.proven) == ("not checked", (), False)
    assert "the test set at hand has the digest" in only(found).message
    # nor does anything of the annotation lie on the board
    assert all(each.truth is None for each in read_entry(board / only(found).path).evidence.gallery)


def test_what_was_found_right_is_left_out_until_it_changes(board: Path, tmp_path: Path) -> None:
    records = Records(tmp_path / "records.json")

    def again() -> Checked:
        found = check_board(board, skip=lambda path, entry: records.holds(board, path, entry))
        records.note(board, found.entries)
        return found

    assert again().entries == (ENTRY,)
    assert again().entries == ()
    assert Records(tmp_path / "records.json").holds(board, board / ENTRY, read_entry(board / ENTRY))
    edit(board, lambda entry: entry["result"]["measures"][0].update(value=0.9))
    assert not again().proven
    assert not again().proven


def test_a_damaged_record_counts_as_none(board: Path, tmp_path: Path) -> None:
    (tmp_path / "records.json").write_text("{")
    assert check_board(
        board,
        skip=lambda path, entry: Records(tmp_path / "records.json").holds(board, path, entry),
    ).entries == (ENTRY,)


def test_a_board_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LeaderboardError, match="there is no such board"):
        check_board(tmp_path / "absent")


def test_an_empty_board_is_proven(tmp_path: Path) -> None:
    assert check_board(tmp_path) == Checked((), ())


def test_an_entry_that_names_another_file_is_found(board: Path) -> None:
    edit(board, lambda entry: entry["predictions"].update(path="predictions/synth/other.npz"))
    found = check_board(board)
    assert any("names another file" in each.message for each in found.findings)
