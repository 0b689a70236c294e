"""The project's own entries: made by one call, proven like any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssl_bench.errors import DataError, LeaderboardError
from ssl_bench.leaderboard import baselines as module
from ssl_bench.leaderboard.assess import Bench
from ssl_bench.leaderboard.baselines import add_baselines, contestants, embedded_protocols
from ssl_bench.leaderboard.check import check_board
from ssl_bench.leaderboard.claims import card_problems
from ssl_bench.leaderboard.documents import entry_bytes, read_entry
from ssl_bench.leaderboard.entry import RemadePredictions
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


def test_an_entry_is_written_once_and_proven(tmp_path: Path) -> None:
    def add() -> list[tuple[str, str]]:
        done = add_baselines(tmp_path, baselines=["center"], protocols=["synth"])
        return [(each.slug, each.outcome) for each in done]

    assert add() == [("center", "written")]
    before = snapshot(tmp_path)
    assert check_board(tmp_path).entries == ("entries/synth/center.json",)
    assert add() == [("center", "unchanged")]
    assert snapshot(tmp_path) == before


def test_an_entry_of_a_checkout_with_changes_is_written_again(tmp_path: Path) -> None:
    list(add_baselines(tmp_path, baselines=["center"], protocols=["synth"]))
    path = tmp_path / "entries/synth/center.json"
    stated = {**read_entry(path).result.environment, "commit": "0123456789ab-dirty"}
    result = read_entry(path).result.model_copy(update={"environment": stated})
    path.write_bytes(entry_bytes(read_entry(path).model_copy(update={"result": result})))
    (done,) = add_baselines(tmp_path, baselines=["center"], protocols=["synth"])
    assert done.outcome == "written"
    assert "dirty" not in str(read_entry(path).result.environment["commit"])


def test_a_card_that_is_not_the_baselines_own_is_found(tmp_path: Path) -> None:
    list(add_baselines(tmp_path, baselines=["full"], protocols=["synth"]))
    entry = read_entry(tmp_path / "entries/synth/full.json")
    assert card_problems(entry) == []
    card = entry.card.model_copy(update={"summary": "Wonderful.", "licence": "none"})
    (problem,) = card_problems(entry.model_copy(update={"card": card}))
    assert problem == "it differs from the baseline's own card in: summary, licence"


def test_weights_must_be_those_that_ship(tmp_path: Path) -> None:
    list(add_baselines(tmp_path, baselines=["center"], protocols=["synth"]))
    entry = read_entry(tmp_path / "entries/synth/center.json")
    model = entry.result.model.model_copy(
        update={"name": "ogl-l1", "variant": "synth", "weights_sha256": "0" * 64}
    )
    result = entry.result.model_copy(update={"model": model})
    found = card_problems(entry.model_copy(update={"result": result}))
    assert "it names the baseline center, and the maps are of 'ogl-l1'" in found
    assert any("are not those that ship with ogl-l1" in each for each in found)


@pytest.mark.parametrize("name", ["oracle", "random-pixel"])
def test_maps_that_are_made_again_are_not_stored(
    name: str, tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as on a test set whose annotation must not be copied
    monkeypatch.setattr(module.Bench, "embedded", property(lambda _bench: False))
    list(add_baselines(tmp_path, baselines=[name], protocols=["synth"]))
    entry = read_entry(tmp_path / f"entries/synth/{name}.json")
    assert isinstance(entry.predictions, RemadePredictions)
    assert list(snapshot(tmp_path)) == [f"entries/synth/{name}.json"]
    assert all(each.truth is None and each.map is None for each in entry.evidence.gallery)
    assert check_board(tmp_path).entries == (f"entries/synth/{name}.json",)
    wrong = entry.result.measures[0].model_copy(update={"value": 0.5})
    result = entry.result.model_copy(update={"measures": (wrong, *entry.result.measures[1:])})
    changed = entry.model_copy(update={"result": result})
    (tmp_path / f"entries/synth/{name}.json").write_bytes(entry_bytes(changed))
    (finding,) = check_board(tmp_path).findings
    assert finding.field == "result.measures.0.value"


def test_a_test_set_that_is_not_at_hand_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*_arguments: object, **_settings: object) -> Bench:
        raise DataError("this folder does not exist")

    monkeypatch.setattr(module, "open_bench", absent)
    (done,) = add_baselines(tmp_path, baselines=["center"], protocols=["vggss"])
    assert (done.outcome, done.reason) == (
        "left out",
        "test set not at hand (this folder does not exist)",
    )


def test_an_unknown_baseline(tmp_path: Path) -> None:
    with pytest.raises(LeaderboardError, match="no baseline called 'nobody'"):
        list(add_baselines(tmp_path, baselines=["nobody"]))
