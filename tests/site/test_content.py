"""What the pages show: ranks, contributions, printed figures, commands."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from ssl_bench.leaderboard.board import Board, Competition, Entry
from ssl_bench.scoring.results import MeasuredValue, Prior
from ssl_bench.site.entry_page import contribution_lines, entry_content


@pytest.fixture
def entry(competition: Competition) -> Entry:
    return competition.entries["my-model"]


def changed(entry: Entry, **changes: object) -> Entry:
    """An entry with another result."""
    result = entry.result.model_copy(update=changes)
    return replace(entry, assessment=entry.assessment.model_copy(update={"result": result}))


def test_ranks_under_a_dialect_are_those_of_its_own_values(competition: Competition) -> None:
    assert {"ezvsl", "slavc"} <= competition.under_dialects.keys()
    for name, (_, ranks) in competition.under_dialects.items():
        values = {
            entry.slug: next(
                each.measures[0].value or 0.0
                for each in entry.evidence.dialects
                if each.dialect == name
            )
            for entry in competition.ranked
        }
        assert ranks == {
            one: 1 + sum(other > values[one] + 1e-9 for other in values.values()) for one in values
        }


def test_an_entry_shows_everything_that_is_known(competition: Competition, entry: Entry) -> None:
    content = entry_content(competition, entry)
    assert [line["measure"] for line in content["measures"]] == list(competition.protocol.measures)
    assert content["curve"] is not None
    assert len(content["breakdowns"]) == len(entry.result.breakdown)
    assert "how many boxes" in {each["name"] for each in content["breakdowns"]}
    assert {page.kind for page in content["gallery"]} == {"best", "worst", "gained", "random"}
    for line in content["dialects"]:
        assert (line["rank"] == 1) == ("my-model" in line["winners"])


def test_the_gallery_shows_what_is_heard_beside_what_is_not(
    competition: Competition, entry: Entry
) -> None:
    cards = [card for page in entry_content(competition, entry)["gallery"] for card in page.cards]
    for card in cards:
        assert [view.kind for view in card.views] == ["heard", "blind"]
        assert all(view.map and view.predicted for view in card.views)
        assert card.truth is not None
    deaf = entry_content(competition, competition.entries["center"])
    assert {len(card.views) for page in deaf["gallery"] for card in page.cards} == {1}


def test_the_curve_stands_beside_floor_blind_maps_and_ceiling(
    competition: Competition, entry: Entry
) -> None:
    curve = entry_content(competition, entry)["curve"]
    assert [kind for kind, _, _ in curve.references] == ["floor", "blind", "ceiling"]
    assert curve.references[1][1] == entry.result.hearing[0].best_without


def test_every_trial_is_listed_with_its_score_without_sound(
    competition: Competition, entry: Entry, pages: dict[str, str]
) -> None:
    def content(path: str) -> dict[str, list[float]]:
        return json.loads(pages[path].partition(" = ")[2].rstrip(";\n"))

    shared, own = content("entries/synth/_trials.js"), content("entries/synth/my-model.js")
    assert len(shared["trials"]) == len(own["scores"]) == len(own["without"]) == 500
    reached = sum(value >= 50 for value in own["scores"]) / 500
    assert reached == pytest.approx(entry.headline.value, abs=0.005)
    without = entry.result.hearing[0].without_sound
    assert without is not None
    assert sum(value >= 50 for value in own["without"]) / 500 == pytest.approx(
        without.value, abs=0.005
    )


def test_breakdowns_say_what_hearing_adds_on_each_level(
    competition: Competition, entry: Entry
) -> None:
    told = {each["name"]: each["lines"] for each in entry_content(competition, entry)["breakdowns"]}
    lines = told["size"]
    adds = entry.result.hearing[0].adds
    assert adds is not None
    total = sum(line.hearing.value * line.hearing.n_trials for line in lines)
    assert total / sum(line.hearing.n_trials for line in lines) == pytest.approx(adds.value)


def test_priors_stand_best_first_and_are_named(competition: Competition, entry: Entry) -> None:
    def prior(name: str, value: float) -> Prior:
        measured: MeasuredValue = entry.headline.model_copy(update={"value": value})
        return Prior(name=name, predictions_sha256="0" * 64, measures=(measured,))

    told = changed(entry, priors=(prior("weak", 0.1), prior("strong", 0.3)))
    kinds = [(line.kind, line.name) for line in contribution_lines(competition, told)]
    assert [name for kind, name in kinds if kind == "blind"] == [
        "prior strong",
        "prior weak",
        "its own audio-blind map",
    ]
    assert kinds[0][0] == "floor"
    assert kinds[-1][0] == "ceiling"


def test_commands_name_files_that_are_there(competition: Competition, entry: Entry) -> None:
    own = entry_content(competition, entry)
    folder = "leaderboard/submissions/synth/my-model"
    assert own["score_command"] == (
        f"ssl-bench score {folder}/maps.npz --protocol synth@synth:standard "
        f"--vision-only {folder}/vision-only.npz"
    )
    assert own["evaluate_command"] is None
    assert "--without silence=silence.npz" in own["contribution_command"]
    assert "7x7" in own["storage_note"]
    center = entry_content(competition, competition.entries["center"])
    assert "--model center --protocol synth@synth:standard" in center["evaluate_command"]
    assert center["contribution_command"] is None


def test_what_is_not_proven_has_a_badge(pages: dict[str, str], board: Board) -> None:
    from ssl_bench.site.rendering import render

    competition = board.competitions["synth"]
    stated = replace(competition.entries["my-model"], scored=False, unproven="no annotation")
    page = render("entry.html.jinja", up="../../", path="x", **entry_content(competition, stated))
    assert "not proven here" in page
    assert "not proven here" not in pages["entries/synth/my-model.html"]


def test_every_page_names_its_digest(pages: dict[str, str], competition: Competition) -> None:
    digest = competition.protocol.digest
    assert digest in pages["protocols/synth.html"]
    assert re.search(digest, pages["entries/synth/center.html"])
