"""Attacks that a stranger tried: each is refused in one sentence, and the board stays as it is."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_bench.errors import LeaderboardError, SubmissionError
from ssl_bench.files import content_folder
from ssl_bench.leaderboard.assess import Bench
from ssl_bench.leaderboard.card import TEMPLATE, SubmissionCard
from ssl_bench.leaderboard.check import CheckOptions, check_board
from ssl_bench.leaderboard.documents import read_card, read_entry
from ssl_bench.leaderboard.findings import Finding
from ssl_bench.leaderboard.submit import SubmissionOptions, prepare, write_submission

from .conftest import MapsWriter, meta_of, snapshot

ENTRY = "entries/synth/my-model.json"
MAPS = "predictions/synth/my-model.npz"

Edit = Callable[[dict[str, Any]], object]


def edit(board: Path, change: Edit) -> None:
    content = json.loads((board / ENTRY).read_text())
    change(content)
    (board / ENTRY).write_text(json.dumps(content))


def make_again(board: Path, model: str) -> None:
    """Let the entry say that its maps are those of a baseline."""
    (board / MAPS).unlink()

    def change(entry: dict[str, Any]) -> None:
        facts = {"model": model, "seed": 0, "sha256": entry["predictions"]["sha256"], "bytes": 1}
        entry["predictions"] = {"kind": "remade", **facts}

    edit(board, change)


def findings(board: Path) -> list[Finding]:
    """What a check of a board finds wrong, without scoring what is well-formed."""
    found = check_board(board, skip=lambda _path, _entry: True)
    return [each for each in found.findings if each.level == "wrong"]


class TestCards:
    @pytest.mark.parametrize(
        ("content", "told"),
        [
            ("a" + ".a" * 30_000 + " = 1", "a line with more than 250 dots"),
            ("[a" + ".a" * 15_000 + "]", "a line with more than 250 dots"),
            ("\n".join(f"[a{'.a' * 249}]" for _ in range(100)), "not valid TOML|cannot be used"),
            ("x = " + "{a = " * 9_000 + "1" + "}" * 9_000, "not valid TOML"),
            (f"overlap_clips = {'9' * 5_000}", "not valid TOML"),
            ("name = 1979-05-27", "a date or time .* stands where a text belongs"),
            ("name = nan", "name: input should be a valid string"),
        ],
        ids=["long name", "long table", "tables", "inline tables", "number", "date", "nan"],
    )
    def test_what_a_parser_chokes_on(self, content: str, told: str, tmp_path: Path) -> None:
        path = tmp_path / "card.toml"
        path.write_text(content)
        tracemalloc.start()
        with pytest.raises(LeaderboardError, match=told) as raised:
            read_card(path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 128 * 2**20
        assert len(str(raised.value)) < 1000

    @pytest.mark.parametrize(
        ("old", "new", "told"),
        [
            ('"my-model"', '"con"', "slug: .* name of a device"),
            ('"my-model"', '"lpt1"', "slug: .* name of a device"),
            ('"my-model"', '"my-\u212aodel"', "slug: string should match"),
            ('"my-model"', '"fresh\\n"', "slug: string should match"),
            ('"My model"', '" "', "name: it is blank"),
            ('"My model"', f'"a{chr(0x301) * 70}"', "name: it piles up accents"),
            *(
                ('"My model"', f'"My {chr(code)}model"', f"name: it holds the sign U[+]{code:04X}")
                for code in (0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0)
            ),
            ('"https://example.org/paper"', '"HTTP://example.org"', "paper_address: it does not"),
        ],
    )
    def test_names_that_hide_or_spill(self, old: str, new: str, told: str, tmp_path: Path) -> None:
        path = tmp_path / "card.toml"
        path.write_text(TEMPLATE.replace(old, new, 1))
        with pytest.raises(LeaderboardError, match=told):
            read_card(path)

    def test_an_address_that_is_accepted_is_linked(self, tmp_path: Path) -> None:
        path = tmp_path / "card.toml"
        path.write_text(TEMPLATE.replace("https://example.org/paper", "HTTPS://example.org/Paper"))
        assert read_card(path).paper_address == "https://example.org/Paper"

    def test_letters_with_accents_are_welcome(self, tmp_path: Path) -> None:
        path = tmp_path / "card.toml"
        path.write_text(TEMPLATE.replace('"My model"', '"Mode\u0301le \u1ec7 \u65b9\u6cd5"'))
        assert read_card(path).name.endswith("\u65b9\u6cd5")


class TestSubmitting:
    @pytest.mark.parametrize(
        "claim", [{"measured_by": "this project"}, {"baseline": "ezvsl"}], ids=["author", "name"]
    )
    def test_a_card_that_borrows_this_projects_name(
        self,
        claim: dict[str, str],
        board: Path,
        bench: Bench,
        write_maps: MapsWriter,
        card: SubmissionCard,
    ) -> None:
        before = snapshot(board)
        false = card.model_copy(update={"slug": "fresh", **claim})
        with pytest.raises(SubmissionError, match="its card cannot be true"):
            prepare(board, bench, write_maps(), false)
        assert snapshot(board) == before

    def test_more_clips_than_the_test_set_has(
        self, board: Path, bench: Bench, write_maps: MapsWriter, card: SubmissionCard
    ) -> None:
        def trained_on(clips: int) -> SubmissionCard:
            training = card.training.model_copy(update={"overlap": "yes", "overlap_clips": clips})
            names = {"slug": "fresh", "name": "Fresh", "training": training}
            return card.model_copy(update=names)

        prepare(board, bench, write_maps(1), trained_on(500))
        with pytest.raises(SubmissionError, match="on 501 clips of a test set that has 500"):
            prepare(board, bench, write_maps(1), trained_on(501))

    @pytest.mark.parametrize("place", ["entries", "entries/synth", "predictions/synth", MAPS])
    def test_a_link_that_leads_out_of_the_board(
        self,
        place: str,
        board: Path,
        bench: Bench,
        write_maps: MapsWriter,
        card: SubmissionCard,
        tmp_path: Path,
    ) -> None:
        outside = tmp_path / "outside"
        (board / place).rename(outside)
        (board / place).symlink_to(outside)
        before = snapshot(tmp_path)
        with pytest.raises(SubmissionError, match=f"{place} is a link"):
            prepare(board, bench, write_maps(), card, SubmissionOptions(replace=True))
        assert snapshot(tmp_path) == before

    def test_a_link_that_appears_before_writing(
        self, board: Path, bench: Bench, write_maps: MapsWriter, card: SubmissionCard
    ) -> None:
        fresh = card.model_copy(update={"slug": "fresh", "name": "Fresh"})
        submission = prepare(board, bench, write_maps(1), fresh)
        (board / "predictions/synth/fresh.npz").symlink_to(board / MAPS)
        before = snapshot(board)
        with pytest.raises(SubmissionError, match=r"fresh\.npz is a link"):
            write_submission(board, submission)
        assert snapshot(board) == before

    def test_many_who_enter_one_slug_at_once(
        self, board: Path, bench: Bench, write_maps: MapsWriter, card: SubmissionCard
    ) -> None:
        fresh = card.model_copy(update={"slug": "fresh", "name": "Fresh"})
        prepared = [prepare(board, bench, write_maps(seed), fresh) for seed in range(1, 5)]

        def write(number: int) -> str:
            try:
                write_submission(board, prepared[number])
            except SubmissionError as error:
                return str(error)
            return ""

        with ThreadPoolExecutor(4) as threads:
            told = list(threads.map(write, range(4)))
        assert sum("an entry is called 'fresh' already" in each for each in told) == 3
        stored = read_entry(board / "entries/synth/fresh.json")
        assert stored == prepared[told.index("")].entry
        assert check_board(board).proven

    @pytest.mark.slow
    def test_maps_that_unpack_to_two_gigabytes_take_bounded_memory(
        self, board: Path, bench: Bench, tmp_path: Path
    ) -> None:
        """They are what the format allows, so they are reduced; the process stays small."""
        path, side = tmp_path / "wide.npz", 1024
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
            for name, array in (
                ("trial_id", np.array(bench.trials.ids)),
                ("meta", np.frombuffer(meta_of(bench).to_bytes(), np.uint8)),
            ):
                with made.open(f"{name}.npy", "w") as stream:
                    np.save(stream, array)
            with made.open("map.npy", "w", force_zip64=True) as stream:
                shape = (len(bench.trials), side, side)
                facts = {"descr": "<f4", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(stream, facts)
                # No constant map: that would be a copy of a baseline's.
                ramp = np.tile(np.arange(side, dtype=np.float32), side).tobytes()
                for _ in bench.trials:
                    stream.write(ramp)
        card = tmp_path / "card.toml"
        named = TEMPLATE.replace('"my-model"', '"fresh"').replace('"My model"', '"Fresh"')
        card.write_text(named)
        # The peak that getrusage tells includes the process that started this one.
        script = (
            "import sys\nfrom pathlib import Path\nfrom ssl_bench.cli.main import main\n"
            "try:\n    main(sys.argv[1:])\n"
            "finally:\n    status = Path('/proc/self/status').read_text()\n"
            "    print(status.partition('VmHWM:')[2].split()[0])"
        )
        command = ["submit", path, "--protocol", "synth", "--card", card, "--board", board]
        done = subprocess.run(
            [sys.executable, "-c", script, *map(str, command), "--dry-run"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert int(done.stdout.split()[-1]) < 768 * 2**10


class TestEntries:
    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (lambda it: it["result"]["measures"][0].update(n_trials="500"), "of another type"),
            (lambda it: it["result"]["measures"][0].update(n_trials=10**300), "too large"),
            (lambda it: it["evidence"]["gallery"][0]["map"].update(height=-4), "height"),
            (lambda it: it["predictions"].update(bytes=-5), "bytes"),
        ],
        ids=["text for a number", "large number", "negative size", "negative bytes"],
    )
    def test_a_value_that_is_not_what_it_seems(self, change: Edit, told: str, board: Path) -> None:
        edit(board, change)
        (found,) = findings(board)
        assert told in found.message
        assert len(str(found)) < 1000

    def test_a_field_that_is_there_twice(self, board: Path) -> None:
        text = (board / ENTRY).read_text()
        (board / ENTRY).write_text(text.replace('"slug":', '"slug": "other", "slug":', 1))
        (found,) = findings(board)
        assert "a field is there twice" in found.message

    @pytest.mark.parametrize(
        ("model", "told"),
        [
            ("ezvsl", "only maps of an annotation-only baseline"),
            ("nonsense", "only maps of an annotation-only baseline"),
            ("../escape", "predictions.remade.model: string should match"),
        ],
    )
    def test_only_trivial_maps_are_made_again(self, model: str, told: str, board: Path) -> None:
        make_again(board, model)
        found = check_board(board)
        assert any(told in each.message for each in found.findings)
        assert all(each.level == "wrong" for each in found.findings)

    def test_maps_made_again_are_those_of_the_cards_baseline(self, board: Path) -> None:
        """An oracle sees the truth: nobody enters what it makes under a name of their own."""
        make_again(board, "oracle")
        found = check_board(board).findings
        assert any("those of the baseline oracle" in each.message for each in found)

    def test_audio_blind_maps_are_the_models_own(self, board: Path) -> None:
        def change(entry: dict[str, Any]) -> None:
            facts = {"model": "center", "seed": 0, "sha256": "0" * 64, "bytes": 7}
            entry["vision_only"] = {"kind": "remade", **facts}

        edit(board, change)
        (found,) = findings(board)
        assert "vision_only" in found.message

    def test_maps_made_again_that_score_otherwise(self, board: Path) -> None:
        make_again(board, "center")
        found = check_board(board).findings
        assert any(each.field == "result.measures.0.value" for each in found)

    def test_many_edits_are_counted_and_not_listed(
        self, board: Path, bench: Bench, write_maps: MapsWriter, card: SubmissionCard
    ) -> None:
        other = prepare(board, bench, write_maps(9), card, SubmissionOptions(replace=True))
        maps = other.files[MAPS]
        assert maps is not None
        (board / MAPS).write_bytes(maps)
        told = other.entry.predictions

        def change(entry: dict[str, Any]) -> None:
            entry["predictions"].update(sha256=told.sha256, bytes=told.bytes)
            entry["result"]["predictions_sha256"] = told.sha256

        edit(board, change)
        found = check_board(board).findings
        assert len(found) == 21
        assert "fields beside those named do not agree" in found[0].message

    def test_printed_figures_that_are_none(self, board: Path) -> None:
        (board / "published.csv").write_text("paper\n<script>\n")
        (found,) = findings(board)
        assert (found.path, found.message) == ("published.csv", "this table has other columns")

    def test_printed_figures_that_no_paper_printed(self, board: Path, tmp_path: Path) -> None:
        own = content_folder("leaderboard") / "published.csv"
        (board / "published.csv").write_bytes(own.read_bytes())
        assert findings(board) == []
        rows = own.read_text().splitlines(keepends=True)
        (board / "published.csv").write_text("".join(rows[:-1]))
        (found,) = findings(board)
        assert found.message == "these are not the figures that ship with ssl-bench"
        trusted = Path(shutil.copytree(board, tmp_path / "trusted"))
        (board / "published.csv").unlink()
        options = CheckOptions(trusted=trusted)
        (found,) = check_board(board, options, skip=lambda _path, _entry: True).findings
        assert (found.path, found.level) == ("published.csv", "wrong")
