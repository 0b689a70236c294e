"""A submission is hostile until shown otherwise: a refusal each, in bounded memory and time."""

from __future__ import annotations

import io
import json
import os
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ssl_bench.cli.main import main
from ssl_bench.errors import LeaderboardError, SubmissionError
from ssl_bench.leaderboard.assess import Bench
from ssl_bench.leaderboard.card import TEMPLATE, SubmissionCard
from ssl_bench.leaderboard.check import check_board
from ssl_bench.leaderboard.documents import MOST_ENTRY_BYTES, read_card, read_entry
from ssl_bench.leaderboard.submit import prepare

from .conftest import MapsWriter, meta_of, snapshot

ENTRY = "entries/synth/my-model.json"
MAPS = "predictions/synth/my-model.npz"

Refusal = Callable[[Path, str], None]


def member(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """A ``.npy`` header that claims `shape`, without any data."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    text = text.ljust((len(text) + 10) // 64 * 64 + 118 - 64 + 63) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return path


@pytest.fixture
def plain(bench: Bench) -> dict[str, bytes]:
    """Members of a file that is right."""
    ids = np.array(bench.trials.ids)
    return {
        "trial_id.npy": member(ids),
        "map.npy": member(np.random.default_rng(0).random((len(ids), 4, 4), np.float32)),
        "meta.npy": member(np.frombuffer(meta_of(bench).to_bytes(), np.uint8)),
    }


@pytest.fixture
def refused(board: Path, bench: Bench, card: SubmissionCard) -> Refusal:
    """Submit a file, and expect a refusal that leaves the board as it is and takes no memory."""

    def submit(path: Path, told: str) -> None:
        before = snapshot(board)
        fresh = card.model_copy(update={"slug": "fresh"})
        tracemalloc.start()
        started = time.monotonic()
        with pytest.raises(SubmissionError, match=told):
            prepare(board, bench, path, fresh)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 64 * 2**20
        assert time.monotonic() - started < 60
        assert snapshot(board) == before

    return submit


class TestPredictions:
    def test_a_compressed_bomb(
        self, tmp_path: Path, plain: dict[str, bytes], refused: Refusal
    ) -> None:
        path = tmp_path / "bomb.npz"
        zeros = bytes(2**24)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
            for name in ("trial_id.npy", "meta.npy"):
                made.writestr(name, plain[name])
            with made.open("map.npy", "w", force_zip64=True) as stream:
                stream.write(header("<f4", (8, 1024, 1024)))
                for _ in range(8):
                    stream.write(zeros)
        assert path.stat().st_size < 2**18
        refused(path, "'map.npy' claims|'map' has 8 rows for 500 trials")

    def test_a_header_of_a_billion_rows(
        self, tmp_path: Path, plain: dict[str, bytes], refused: Refusal
    ) -> None:
        claimed = {"map.npy": header("<f4", (10**9, 14, 14)) + bytes(64)}
        refused(
            archive(tmp_path / "rows.npz", {**plain, **claimed}),
            r"claims 784,000,000,\d+ bytes .* and the member has",
        )

    def test_pickled_objects(
        self, tmp_path: Path, plain: dict[str, bytes], refused: Refusal
    ) -> None:
        trap = tmp_path / "opened"

        class Trap:
            def __reduce__(self) -> tuple[object, ...]:
                return Path.touch, (trap,)

        objects = np.array([Trap()] * 3, dtype=object)
        path = archive(tmp_path / "objects.npz", {**plain, "trial_id.npy": member(objects)})
        refused(path, "holds pickled objects, which are never loaded")
        assert not trap.exists()

    @pytest.mark.parametrize("name", ["../../escape.npy", "/etc/escape.npy", "a\\..\\b.npy"])
    def test_paths_as_names_of_members(
        self, name: str, tmp_path: Path, plain: dict[str, bytes], refused: Refusal
    ) -> None:
        path = archive(tmp_path / "paths.npz", {**plain, name: b"x"})
        refused(path, "holds members that the format does not have")
        assert not list(tmp_path.rglob("escape*"))

    @pytest.mark.parametrize(
        "name", ["../../escape", "<script>alert(1)</script>", "a\nb", "\x1b[2J"]
    )
    def test_paths_and_scripts_as_ids(
        self, name: str, tmp_path: Path, bench: Bench, plain: dict[str, bytes], refused: Refusal
    ) -> None:
        ids = np.array([name, *bench.trials.ids[1:]])
        path = archive(tmp_path / "ids.npz", {**plain, "trial_id.npy": member(ids)})
        refused(path, "not in the protocol|not printable")

    def test_no_archive_at_all(self, tmp_path: Path, refused: Refusal) -> None:
        path = tmp_path / "text.npz"
        path.write_bytes(b"#!/bin/sh\nexit 1\n")
        refused(path, "not a readable .npz file")

    def test_metadata_of_wrong_types(
        self, tmp_path: Path, bench: Bench, plain: dict[str, bytes], refused: Refusal
    ) -> None:
        meta = json.loads(meta_of(bench).to_bytes())
        raw = np.frombuffer(json.dumps({**meta, "complete": "yes"}).encode(), np.uint8)
        path = archive(tmp_path / "meta.npz", {**plain, "meta.npy": member(raw)})
        refused(path, "'complete' of the metadata cannot be used")

    def test_wrong_digests(self, write_maps: MapsWriter, refused: Refusal) -> None:
        refused(write_maps(protocol_digest="0" * 64), "another version of the protocol")
        refused(write_maps(test_set_digest="0" * 64), "another version of the test set")


class TestCards:
    @pytest.mark.parametrize(
        ("line", "told"),
        [
            ('slug = "../../escape"', "slug"),
            ('slug = "Upper"', "slug"),
            ("slug = 3", "slug: input should be a valid string"),
            ('slug = "a"\nslug = "b"', "not valid TOML"),
            ('name = "a\\u001b[2Jb"', "name: it holds the sign"),
            ('name = "a\\u202eb"', "name: it holds the sign"),
            (f'name = "{"x" * 81}"', "name: string should have at most 80 characters"),
            ('authors = "one"', "authors"),
            ("authors = []", "authors"),
            ('modality = "clairvoyant"', "modality"),
            (
                'paper_address = "javascript:alert(1)"',
                "paper_address: it does not start with https",
            ),
            ('code_address = "http://example.org"', "code_address: it does not start with https"),
            ('code_address = "https://user@example.org/x"', "it names a user or a port"),
            ('code_address = "https://example.org/\\"onload"', "a sign that an address must not"),
            ('code_address = "https://localhost/x"', "it names no host"),
            ('unknown = "x"', "unknown is not a known field"),
        ],
    )
    def test_a_card_with_one_wrong_line(self, line: str, told: str, tmp_path: Path) -> None:
        key = line.split(" ")[0]
        kept = [each for each in TEMPLATE.splitlines() if not each.startswith(f"{key} =")]
        path = tmp_path / "card.toml"
        path.write_text("\n".join([line, *kept]))
        with pytest.raises(LeaderboardError) as raised:
            read_card(path)
        assert told in str(raised.value)
        assert "\x1b" not in str(raised.value)

    def test_scripts_are_text_like_any_other(self, tmp_path: Path) -> None:
        script = "<script>alert(1)</script>"
        path = tmp_path / "card.toml"
        path.write_text(TEMPLATE.replace('"My model"', f'"{script}"'))
        assert read_card(path).name == script

    def test_all_faults_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "card.toml"
        path.write_text('slug = "A"\nname = 3\n')
        with pytest.raises(LeaderboardError) as raised:
            read_card(path)
        for told in ("slug: ", "name: ", "authors is missing", "training is missing"):
            assert told in str(raised.value)

    def test_a_huge_card(self, tmp_path: Path) -> None:
        path = tmp_path / "card.toml"
        path.write_text(TEMPLATE + "#" * 2**17)
        with pytest.raises(LeaderboardError, match="more than 65,536 bytes"):
            read_card(path)

    def test_a_deeply_nested_card(self, tmp_path: Path) -> None:
        path = tmp_path / "card.toml"
        path.write_text(f"a = {'[' * 20_000}{']' * 20_000}")
        with pytest.raises(LeaderboardError, match=r"not valid TOML|cannot be used"):
            read_card(path)

    def test_overlap_needs_its_count(self, tmp_path: Path) -> None:
        path = tmp_path / "card.toml"
        path.write_text(TEMPLATE.replace('overlap = "unknown"', 'overlap = "yes"'))
        with pytest.raises(LeaderboardError, match='overlap_clips goes with overlap = "yes"'):
            read_card(path)


def told_of(board: Path) -> str:
    found = check_board(board, skip=lambda _path, _entry: True)
    assert not found.proven
    return "\n".join(str(each) for each in found.findings)


class TestBoards:
    """Refused before anything is scored."""

    def test_a_link_among_entries(self, board: Path, tmp_path: Path) -> None:
        secret = tmp_path / "secret.json"
        secret.write_text("{}")
        (board / "entries/synth/link.json").symlink_to(secret)
        assert "entries/synth/link.json: links are not allowed" in told_of(board)

    def test_a_link_in_place_of_predictions(self, board: Path, tmp_path: Path) -> None:
        (board / MAPS).rename(tmp_path / "maps.npz")
        (board / MAPS).symlink_to(tmp_path / "maps.npz")
        assert f"{MAPS}: links are not allowed" in told_of(board)

    def test_a_link_in_place_of_a_folder(self, board: Path, tmp_path: Path) -> None:
        (board / "entries/synth").rename(tmp_path / "synth")
        (board / "entries/synth").symlink_to(tmp_path / "synth")
        assert "entries/synth: links are not allowed" in told_of(board)

    @pytest.mark.parametrize(
        "name",
        [
            "run.py",
            "entries/conftest.py",
            "entries/synth/My Model.json",
            "entries/synth/my-model.json.bak",
            "entries/synth/deeper/x.json",
            "predictions/synth/my-model.pkl",
            "predictions/..synth/x.npz",
        ],
    )
    def test_files_that_do_not_belong(self, name: str, board: Path) -> None:
        path = board / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        assert "this does not belong on a board" in told_of(board)

    def test_a_pipe_is_not_waited_for(self, board: Path) -> None:
        os.mkfifo(board / "entries/synth/pipe.json")
        assert "entries/synth/pipe.json: this does not belong" in told_of(board)

    def test_a_huge_entry(self, board: Path) -> None:
        with (board / ENTRY).open("ab") as stream:
            stream.truncate(2**32)
        assert f"more than {MOST_ENTRY_BYTES:,} bytes" in told_of(board)

    def test_a_deeply_nested_entry(self, board: Path) -> None:
        (board / ENTRY).write_text("[" * 2**20)
        assert "this is not an entry" in told_of(board)

    @pytest.mark.parametrize(
        ("old", "new", "told"),
        [
            ('"slug": "my-model"', '"slug": "../escape"', "slug"),
            ('"value": 0', '"value": NaN, "was": 0', "this is not an entry"),
            ('"format": "ssl-bench-entry/1"', '"format": "ssl-bench-entry/9"', "format"),
            ('"name": "mine"', '"name": "\\u001b[2J"', "not printable"),
            ('"partial": false', '"partial": true', "the result is partial"),
            ('"kind": "stored"', '"kind": "pickle"', "predictions"),
        ],
    )
    def test_an_entry_with_one_wrong_field(
        self, old: str, new: str, told: str, board: Path
    ) -> None:
        text = (board / ENTRY).read_text()
        assert old in text
        (board / ENTRY).write_text(text.replace(old, new))
        found = told_of(board)
        assert told in found
        assert "\x1b" not in found

    def test_a_stored_bomb_is_not_unpacked(self, board: Path, plain: dict[str, bytes]) -> None:
        from ssl_bench.files import sha256_of_file

        path = board / MAPS
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
            for name in ("trial_id.npy", "meta.npy"):
                made.writestr(name, plain[name])
            with made.open("map.npy", "w", force_zip64=True) as stream:
                stream.write(header("<f4", (500, 512, 512)))
                for _ in range(500):
                    stream.write(bytes(2**20))
        entry = json.loads((board / ENTRY).read_text())
        told = {"sha256": sha256_of_file(path), "bytes": path.stat().st_size}
        entry["predictions"].update(told)
        entry["result"]["predictions_sha256"] = told["sha256"]
        (board / ENTRY).write_text(json.dumps(entry))
        started = time.monotonic()
        (finding,) = check_board(board).findings
        assert "can be read here" in finding.message
        assert time.monotonic() - started < 60

    def test_the_command_ends_with_2_and_without_a_traceback(
        self, board: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (board / ENTRY).write_text("{")
        with pytest.raises(SystemExit) as stop:
            main(["leaderboard", "check", "--board", str(board)])
        assert stop.value.code == 2
        captured = capsys.readouterr()
        assert f"wrong: {ENTRY}: this is not an entry" in captured.err
        assert "Traceback" not in captured.out + captured.err

    def test_reading_an_entry_follows_no_link(self, board: Path, tmp_path: Path) -> None:
        link = tmp_path / "link.json"
        link.symlink_to(board / ENTRY)
        with pytest.raises(LeaderboardError, match="it is a link"):
            read_entry(link)
