"""Admission: numbers of the stored file, a folder of two or three files, nothing partial."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from boards import FILLED, checked, codes, meta_of, submit
from boards import write_maps as write_maps_of
from kills import content, hidden, killed_everywhere
from refusals import refused

from ssl_bench.analysis.run_folder import write_scored
from ssl_bench.cli.submitted import submission_facts, submission_tables
from ssl_bench.errors import SubmissionError
from ssl_bench.files import content_folder
from ssl_bench.leaderboard.assess import Bench, open_bench
from ssl_bench.leaderboard.baselines import add_baselines
from ssl_bench.leaderboard.card import TEMPLATE
from ssl_bench.leaderboard.copies import answers_digest
from ssl_bench.leaderboard.submissions import (
    MAPS,
    find_submissions,
    shipped_protocol,
    submission_path,
)
from ssl_bench.leaderboard.submit import Prepared, SubmissionOptions, prepare, write_submission
from ssl_bench.predictions import PredictionsWriter, open_predictions, save_predictions
from ssl_bench.scoring.run import score_file

from .conftest import Maker, snapshot


@pytest.mark.slow
def test_an_entry_is_scored_from_the_file_that_the_board_stores(
    board: Path, bench: Bench, write_maps: Maker, card: Maker
) -> None:
    fine = np.random.default_rng(5).random((len(bench.trials), 28, 28))
    path = write_maps(maps=fine)
    done = submit(board, bench, path, card())
    folder = board / "submissions/synth/other"
    assert sorted(each.name for each in folder.iterdir()) == ["card.toml", "maps.npz"]
    stored = folder / "maps.npz"
    assert open_predictions(stored).map_shapes == {(14, 14)}
    assert done.entry.result.measures == score_file(stored, bench.trials).result.measures
    assert done.submitted == score_file(path, bench.trials).result.measures
    assert done.entry.result.measures != done.submitted
    assert checked(board).findings == ()


def test_a_card_is_stored_as_written_with_what_it_scores(
    board: Path, bench: Bench, write_maps: Maker, card: Maker
) -> None:
    path = card()
    done = submit(board, bench, write_maps(1), path)
    text = (board / "submissions/synth/other/card.toml").read_text()
    assert text.startswith(path.read_text())
    assert f'"cIoU@0.5" = {done.entry.headline.value!r}' in text


def test_preparing_writes_nothing(
    board: Path, bench: Bench, write_maps: Maker, card: Maker
) -> None:
    before = snapshot(board)
    prepare(board, bench, write_maps(1), card())
    assert snapshot(board) == before


@pytest.mark.slow
def test_a_slug_is_taken_once_unless_replaced(
    board: Path, bench: Bench, write_maps: Maker, card: Maker
) -> None:
    before = snapshot(board)
    mine = card("my-model", "My model")
    with refused("E_SLUG_TAKEN", where="my-model"):
        prepare(board, bench, write_maps(1), mine)
    assert snapshot(board) == before
    submit(
        board, bench, write_maps(1), mine, SubmissionOptions(replace=True, reason="Trained longer")
    )
    assert snapshot(board).keys() == before.keys()
    assert snapshot(board) != before


def test_only_its_authors_replace_an_entry(
    board: Path, bench: Bench, write_maps: Maker, card: Maker
) -> None:
    before = snapshot(board)
    stranger = card("my-model", "Mine", changes={"Ada Author": "Cleo Author"})
    with refused("E_ENTRY_OTHERS", where="my-model"):
        prepare(
            board,
            bench,
            write_maps(1),
            stranger,
            SubmissionOptions(replace=True, reason="Trained longer"),
        )
    (board / "submissions/synth/my-model/card.toml").write_text('baseline = "center"\n')
    with refused("E_ENTRY_OTHERS"):
        prepare(
            board,
            bench,
            write_maps(1),
            card("my-model"),
            SubmissionOptions(replace=True, reason="Trained longer"),
        )
    (board / "submissions/synth/my-model/card.toml").write_text("name = [\n")
    with refused("E_TOML", where="my-model/card.toml") as caught:
        prepare(
            board,
            bench,
            write_maps(1),
            card("my-model"),
            SubmissionOptions(replace=True, reason="Trained longer"),
        )
    assert "E_ENTRY_OTHERS" not in caught.value.codes
    assert snapshot(board).keys() == before.keys()


def test_what_is_replaced_is_shown_beside_what_replaces_it(
    board: Path, bench: Bench, write_maps: Maker, card: Maker
) -> None:
    mine = card("my-model", "My model")
    options = SubmissionOptions(replace=True, reason="Trained longer")
    prepared = prepare(board, bench, write_maps(1), mine, options)
    old = checked(board).competitions["synth"].entries["my-model"].result.measures
    assert prepared.replaced is not None
    assert prepared.replaced.result.measures == old
    shown = submission_facts(prepared, dry_run=True)
    assert [each["value"] for each in shown["replaced"]] == [each.value for each in old]
    tables = submission_tables(prepared, board, dry_run=True)
    titles = [str(each.title) for each in tables if not isinstance(each, str)]
    assert any("It replaces the entry my-model" in title for title in titles)


@pytest.mark.slow
def test_a_board_is_not_made_by_a_typing_error(
    tmp_path: Path, bench: Bench, write_maps: Maker, card: Maker
) -> None:
    with refused("E_BOARD_MISSING", where="nowhere"):
        prepare(tmp_path / "nowhere", bench, write_maps(1), card())
    options = SubmissionOptions(new_board=True)
    write_submission(
        tmp_path / "new", prepare(tmp_path / "new", bench, write_maps(1), card(), options)
    )
    assert codes(checked(tmp_path / "new")) == []


@pytest.mark.parametrize("field", list(FILLED))
def test_a_card_that_still_has_the_template_s_text(
    field: str, board: Path, bench: Bench, write_maps: Maker, card: Maker
) -> None:
    changes = {FILLED[field]: field} if field != '"such as ' else {'= "CC': '= "such as CC'}
    with refused("E_CARD_TEMPLATE"):
        prepare(board, bench, write_maps(1), card(changes=changes))


def test_the_template_itself_is_no_card(
    board: Path, bench: Bench, write_maps: Maker, tmp_path: Path
) -> None:
    (tmp_path / "card.toml").write_text(TEMPLATE)
    with refused("E_CARD_TEMPLATE", where="slug, name, authors, summary"):
        prepare(board, bench, write_maps(1), tmp_path / "card.toml")


class TestModality:
    """On trials that show one picture under two sounds, maps say whether a model listens."""

    @pytest.fixture(scope="class")
    @classmethod
    def pairs(cls) -> Bench:
        return open_bench("concat")

    def submitted(
        self, pairs: Bench, board: Path, card: Path, maps: np.ndarray, tmp_path: Path
    ) -> Prepared:
        path = write_maps_of(tmp_path / "pairs.npz", pairs, maps=maps)
        return prepare(board, pairs, path, card)

    def maps(self, pairs: Bench, *, noise: float) -> np.ndarray:
        pictures = {trial.image: None for trial in pairs.trials}
        own = dict(
            zip(pictures, np.random.default_rng(0).random((len(pictures), 7, 7)), strict=True)
        )
        whole = np.stack([own[trial.image] for trial in pairs.trials])
        return whole + noise * np.random.default_rng(1).random(whole.shape)

    def test_maps_that_never_change_with_the_sound_are_not_audio_visual(
        self, pairs: Bench, board: Path, card: Maker, tmp_path: Path
    ) -> None:
        with refused("E_CARD_MODALITY", where="vision-only"):
            self.submitted(pairs, board, card(), self.maps(pairs, noise=0), tmp_path)

    def test_maps_that_change_with_the_sound_are_not_vision_only(
        self, pairs: Bench, board: Path, card: Maker, tmp_path: Path
    ) -> None:
        blind = card(changes={'"audio-visual"\n#': '"vision-only"\n#'})
        with refused("E_CARD_MODALITY", where="audio-visual"):
            self.submitted(pairs, board, blind, self.maps(pairs, noise=0.1), tmp_path)

    @pytest.mark.slow
    @pytest.mark.parametrize(("noise", "modality"), [(0.1, "audio-visual"), (1e-6, "vision-only")])
    def test_a_true_claim_is_taken(
        self, pairs: Bench, board: Path, card: Maker, tmp_path: Path, noise: float, modality: str
    ) -> None:
        own = card(changes={'"audio-visual"\n#': f'"{modality}"\n#'})
        assert self.submitted(pairs, board, own, self.maps(pairs, noise=noise), tmp_path).files


@pytest.mark.slow
def test_predictions_of_a_mixed_folder_are_refused(
    board: Path, bench: Bench, write_maps: Maker, card: Maker, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    write_scored(folder, score_file(write_maps(1), bench.trials))
    path = write_maps(2).rename(folder / "predictions.npz")
    with refused("E_PREDICTIONS_OTHER", where=path):
        prepare(board, bench, path, card())


@pytest.mark.slow
def test_a_process_that_dies_leaves_the_old_entry_or_the_new(
    board: Path, bench: Bench, write_maps: Maker, card: Maker
) -> None:
    mine, options = (
        card("my-model", "My model"),
        SubmissionOptions(replace=True, reason="Trained longer"),
    )
    prepared = [prepare(board, bench, write_maps(seed), mine, options) for seed in (1, 2)]
    wanted = [dict(each.files) for each in prepared]
    folder = board / "submissions/synth/my-model"
    write_submission(board, prepared[0])
    for _ in killed_everywhere(lambda: write_submission(board, prepared[1])):
        assert content(folder) in wanted
        _, findings = find_submissions(board)
        assert findings == []
        assert hidden(folder) == []
        write_submission(board, prepared[0])


@pytest.mark.slow
def test_many_who_enter_one_slug_at_once(
    board: Path, bench: Bench, write_maps: Maker, card: Maker
) -> None:
    prepared = [prepare(board, bench, write_maps(seed), card()) for seed in (1, 2)]

    def write(number: int) -> tuple[str, ...]:
        try:
            write_submission(board, prepared[number])
        except SubmissionError as error:
            return error.codes
        return ()

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(write, range(2))) == [(), ("E_SLUG_TAKEN",)]
    assert codes(checked(board)) == []


def test_all_problems_come_at_once(board: Path, bench: Bench, card: Maker, tmp_path: Path) -> None:
    path = tmp_path / "maps.npz"
    meta = meta_of(bench, protocol_digest="0" * 64, complete=False)
    save_predictions(path, [*bench.trials.ids[:2], "stranger"], np.ones((3, 2, 2)), meta)
    with refused("E_SLUG_TAKEN") as caught:
        prepare(board, bench, path, card("my-model", "EZ-VSL"))
    assert "E_CARD_NAME" in caught.value.codes
    assert isinstance(caught.value, SubmissionError)
    assert len(caught.value.problems) >= 4


def test_a_protocol_file_of_ones_own_has_no_leaderboard(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text((content_folder("protocols") / "synth.toml").read_text())
    with refused("E_PROTOCOL_UNKNOWN"):
        shipped_protocol(str(own))


@pytest.mark.slow
def test_the_row_has_a_tie_group_and_what_would_move(
    board: Path, bench: Bench, write_maps: Maker, card: Maker
) -> None:
    same = prepare(board, bench, write_maps(1), card())
    assert same.tied_with == ("my-model",)
    assert same.standing is not None
    assert (same.standing.best_rank, same.standing.worst_rank) == (1, 2)
    truth = np.stack([bench.trials.truth(trial)[::16, ::16] for trial in bench.trials])
    better = prepare(board, bench, write_maps(2, maps=truth), card())
    assert better.tied_with == ()
    ((was, now),) = better.moved
    assert (was.name, was.group, now.group) == ("my-model", 1, 2)


@pytest.mark.parametrize("url", ["http://a.org/x", "https://localhost/x", "file:///etc/passwd"])
def test_a_url_is_https(
    url: str, board: Path, bench: Bench, write_maps: Maker, card: Maker
) -> None:
    with refused("E_URL"):
        prepare(board, bench, write_maps(1), card(), SubmissionOptions(url=url))


@pytest.mark.slow
def test_audio_blind_maps_are_stored_beside_and_count_as_made_without_sound(
    board: Path, bench: Bench, write_maps: Maker, card: Maker
) -> None:
    options = SubmissionOptions(vision_only=write_maps(2))
    done = submit(board, bench, write_maps(1), card(), options)
    assert (board / "submissions/synth/other/vision-only.npz").is_file()
    blind = done.entry.result.vision_only
    assert blind is not None
    (told, *_) = done.entry.result.hearing
    assert told.without_sound is not None
    assert (told.without_sound.value or 0) >= (blind.measures[0].value or 0)
    assert codes(checked(board)) == []


@pytest.mark.slow
def test_maps_of_ones_own_without_the_sound_are_told_and_not_stored(
    board: Path, bench: Bench, write_maps: Maker, card: Maker
) -> None:
    truth = np.stack([bench.trials.truth(trial)[::16, ::16] for trial in bench.trials])
    maps, better = write_maps(1), write_maps(2, maps=truth)
    told = prepare(board, bench, maps, card(), SubmissionOptions(without={"looks": better}))
    plain = prepare(board, bench, maps, card())
    adaptive = [each.measure for each in told.hearing].index("cIoU(adaptive)@0.5")
    assert told.hearing[adaptive].best_without == "prior looks"
    assert [each.score for each in told.hearing] == [
        each.score for each in told.entry.result.hearing
    ]
    assert plain.hearing == ()
    assert told.entry.result.hearing == plain.entry.result.hearing
    assert told.files.keys() == plain.files.keys()
    shown = [each for each in submission_tables(told, board, True) if isinstance(each, str)]
    assert any("--without" in each for each in shown)
    facts = submission_facts(told, True)["hearing_with_given_maps"]
    assert facts[adaptive]["best_without"] == "prior looks"
    with refused("E_PRIOR_SAME"):
        prepare(board, bench, maps, card(), SubmissionOptions(without={"looks": maps}))


def test_metadata_that_cannot_be_shown_are_refused(
    board: Path, bench: Bench, write_maps: Maker, card: Maker
) -> None:
    with refused("E_METADATA"):
        prepare(board, bench, write_maps(1, provenance={"note": "\x1b[2J"}), card())


def test_a_claim_that_is_not_true_is_refused(
    board: Path, bench: Bench, write_maps: Maker, card: Maker
) -> None:
    path = card()
    path.write_text(path.read_text() + '\n[claims]\n"AUC" = 0.99\n')
    with refused("E_CLAIM"):
        prepare(board, bench, write_maps(1), path)


def test_maps_of_an_entry_cannot_be_submitted_again(
    board: Path, bench: Bench, write_maps: Maker, card: Maker
) -> None:
    with refused("E_MAPS_COPIED"):
        prepare(board, bench, write_maps(0, model="yours"), card())


@pytest.mark.slow
def test_nor_can_those_of_a_trivial_baseline_which_are_not_stored(
    board: Path, bench: Bench, write_maps: Maker, card: Maker
) -> None:
    list(add_baselines(board, baselines=["full"], protocols=["synth"]))
    assert not (board / submission_path("synth", "full") / MAPS).exists()
    constant = np.zeros((len(bench.trials), 1, 1), np.float32)
    with refused("E_MAPS_COPIED"):
        prepare(board, bench, write_maps(1, maps=constant), card())


def test_order_and_layout_of_a_file_do_not_matter_to_copies(bench: Bench, tmp_path: Path) -> None:
    ids = bench.trials.ids
    maps = np.random.default_rng(0).random((2, 3, 3)).astype(np.float16)
    index = np.arange(len(ids)) % 2
    with PredictionsWriter(tmp_path / "shared.npz", meta_of(bench), dtype="float16") as writer:
        writer.add(ids, maps, map_index=index)
    full = maps[index].astype(np.float32)
    save_predictions(tmp_path / "turned.npz", ids[::-1], full[::-1], meta_of(bench, model="you"))
    full[7, 0, 0] += 2**-10
    save_predictions(tmp_path / "other.npz", ids, full, meta_of(bench))
    shared, turned, changed = (
        answers_digest(open_predictions(tmp_path / f"{name}.npz"))
        for name in ("shared", "turned", "other")
    )
    assert shared == turned
    assert shared != changed


@pytest.mark.slow
@pytest.mark.parametrize("place", ["submissions", "submissions/synth", "submissions/synth/other"])
def test_a_link_that_leads_out_of_the_board(
    place: str, board: Path, bench: Bench, write_maps: Maker, card: Maker, tmp_path: Path
) -> None:
    prepared = prepare(board, bench, write_maps(1), card())
    if (board / place).exists():
        (board / place).rename(tmp_path / "outside")
    else:
        (tmp_path / "outside").mkdir()
    (board / place).symlink_to(tmp_path / "outside")
    before = snapshot(tmp_path)
    with refused("E_BOARD_LINK", where=place):
        write_submission(board, prepared)
    assert snapshot(tmp_path) == before


def member(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """A ``.npy`` header that claims `shape`, without any data."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


class Trap:
    """Creates a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("trap"),)


HOSTILE_FILES = {
    "a billion rows": {"map.npy": header("<f4", (10**9, 14, 14)) + bytes(64)},
    "a path as a member": {"../../escape.npy": b"x"},
    "an absolute path as a member": {"/etc/escape.npy": b"x"},
    "pickled objects": {"trial_id.npy": member(np.array([Trap()] * 3, dtype=object))},
    "a script as an id": {"trial_id.npy": member(np.array(["<script>"] * 500))},
    "a terminal sequence as an id": {"trial_id.npy": member(np.array(["\x1b[2J"] * 500))},
    "no metadata": {"meta.npy": member(np.zeros(3, np.uint8))},
}


@pytest.mark.parametrize("name", HOSTILE_FILES)
def test_a_hostile_file_is_refused_in_bounded_memory(
    name: str,
    board: Path,
    bench: Bench,
    card: Maker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    members = {
        "trial_id.npy": member(np.array(bench.trials.ids)),
        "map.npy": member(np.random.default_rng(0).random((500, 4, 4), np.float32)),
        "meta.npy": member(np.frombuffer(meta_of(bench).to_bytes(), np.uint8)),
        **HOSTILE_FILES[name],
    }
    path = tmp_path / "hostile.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for each, content in members.items():
            made.writestr(each, content)
    own_card, before = card(), snapshot(board)
    tracemalloc.start()
    started = time.process_time()
    with pytest.raises(SubmissionError) as raised:
        prepare(board, bench, path, own_card)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 * 2**20
    assert time.process_time() - started < 60
    assert snapshot(board) == before
    assert not list(tmp_path.rglob("escape*")) + list(tmp_path.rglob("trap"))
    assert "\x1b" not in str(raised.value)


@pytest.mark.parametrize("digest", ["protocol_digest", "test_set_digest"])
def test_wrong_digests(
    digest: str, board: Path, bench: Bench, write_maps: Maker, card: Maker
) -> None:
    with pytest.raises(SubmissionError):
        prepare(board, bench, write_maps(1, **{digest: "0" * 64}), card())


@pytest.mark.slow
def test_maps_that_unpack_to_half_a_gigabyte_take_bounded_memory(
    board: Path, bench: Bench, card: Maker, tmp_path: Path
) -> None:
    """They are what the format allows, so they are reduced; the process stays small."""
    path, side = tmp_path / "wide.npz", 512
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
        made.writestr("trial_id.npy", member(np.array(bench.trials.ids)))
        made.writestr("meta.npy", member(np.frombuffer(meta_of(bench).to_bytes(), np.uint8)))
        with made.open("map.npy", "w", force_zip64=True) as stream:
            stream.write(header("<f4", (len(bench.trials), side, side)))
            # No constant map: that would be a copy of a baseline's.
            ramp = np.tile(np.arange(side, dtype=np.float32), side).tobytes()
            for _ in bench.trials:
                stream.write(ramp)
    # The peak that getrusage tells includes the process that started this one.
    script = (
        "import sys\nfrom pathlib import Path\nfrom ssl_bench.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "finally:\n    status = Path('/proc/self/status').read_text()\n"
        "    print(status.partition('VmHWM:')[2].split()[0])"
    )
    command = ["submit", path, "--protocol", "synth", "--card", card(), "--board", board]
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, command), "--dry-run"],
        capture_output=True,
        text=True,
        check=True,
    )
    # A third of it is torch, which runs the priors.
    assert int(done.stdout.split()[-1]) < 1024 * 2**10
