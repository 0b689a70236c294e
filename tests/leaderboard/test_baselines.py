"""The project's own entries: made by one call, proven like any other."""

from __future__ import annotations

from pathlib import Path

import pytest
from boards import checked, codes
from refusals import refused

from ssl_bench.errors import DataError
from ssl_bench.leaderboard import assess, board, submissions
from ssl_bench.leaderboard import baselines as module
from ssl_bench.leaderboard.assess import Bench
from ssl_bench.leaderboard.baselines import add_baselines, contestants, embedded_protocols
from ssl_bench.models.registry import list_baselines

from .conftest import snapshot


def test_who_enters() -> None:
    slugs = [each.slug for each in contestants()]
    assert len(set(slugs)) == len(slugs)
    assert {"center", "full", "oracle", "random", "ezvsl", "ezvsl-ogl", "ogl-l1"} <= set(slugs)
    assert {each.name for each in contestants()} <= set(list_baselines())


def test_every_annotation_only_baseline_enters_on_published_test_sets() -> None:
    free = {each.slug for each in contestants() if each.needs_no_media}
    assert free == {"center", "full", "oracle", "random", "random-pixel"}


def test_where_they_enter() -> None:
    assert {"synth", "concat", "type-ab", "retrieval"} <= set(embedded_protocols())
    assert "vggss" not in embedded_protocols()


@pytest.mark.slow
def test_a_submission_is_written_once_and_proven(tmp_path: Path) -> None:
    def add() -> list[tuple[str, str]]:
        done = add_baselines(tmp_path, baselines=["center"], protocols=["synth"])
        return [(each.slug, each.outcome) for each in done]

    assert add() == [("center", "written")]
    before = snapshot(tmp_path)
    assert checked(tmp_path).n_scored == 1
    assert add() == [("center", "unchanged")]
    assert snapshot(tmp_path) == before


@pytest.mark.slow
def test_maps_that_are_made_again_are_not_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as on a test set whose annotation must not be copied
    for each in (assess, submissions):
        monkeypatch.setattr(each, "is_embedded", lambda _protocol: False)
    monkeypatch.setattr(board, "is_embedded", lambda _protocol: False)
    list(add_baselines(tmp_path, baselines=["random"], protocols=["synth"]))
    folder = "submissions/synth/random"
    assert list(snapshot(tmp_path)) == [f"{folder}/card.toml", f"{folder}/lock.json"]
    found = checked(tmp_path)
    assert codes(found) == []
    (entry,) = found.competitions["synth"].entries.values()
    assert all(each.truth is None and each.map is None for each in entry.evidence.gallery)
    path = tmp_path / folder / "card.toml"
    path.write_text(path.read_text().replace('"pointing" = ', '"pointing" = 1'))
    assert codes(checked(tmp_path)) == ["E_CLAIM"]


def test_a_test_set_that_is_not_at_hand_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*_arguments: object, **_settings: object) -> Bench:
        raise DataError("this folder does not exist")

    monkeypatch.setattr(module, "open_bench", absent)
    (done,) = add_baselines(tmp_path, baselines=["center"], protocols=["vggss"])
    assert (done.outcome, done.reason) == (
        "left out",
        "test set not available (this folder does not exist)",
    )


def test_an_unknown_baseline(tmp_path: Path) -> None:
    with refused("E_BASELINE", where="nobody"):
        list(add_baselines(tmp_path, baselines=["nobody"]))


def test_a_mistyped_board_is_not_begun(tmp_path: Path) -> None:
    with refused("E_BOARD_MISSING", where="bord"):
        list(add_baselines(tmp_path / "bord", baselines=["center"], new_board=False))
    assert not (tmp_path / "bord").exists()
