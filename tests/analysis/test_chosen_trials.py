"""Which trials are looked at."""

from __future__ import annotations

import pytest
from refusals import refused

from ssl_bench.analysis.chosen_trials import Choice, choose
from ssl_bench.protocols.protocol import TestSetTable, load_protocol
from ssl_bench.scoring.scores import trial_table
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial_set import TrialSet


@pytest.fixture(scope="module")
def trials() -> TrialSet:
    table = TestSetTable(name="synth", split="interactive", options={"count": 12})
    return open_trials(load_protocol("interactive").model_copy(update={"test_set": table}))


def names(trials: TrialSet, *values: dict[str, float], **asked: object) -> list[str]:
    by = Choice(**asked)  # type: ignore[arg-type]
    return [trials.ids[row] for row in choose(trials, set(trials.ids), values, by)]


def test_the_worst_and_the_best_go_by_the_first_model(trials: TrialSet) -> None:
    a, b, c = trials.ids[:3]
    first, second = {a: 0.5, b: 0.1, c: 0.9}, {a: 0.0, b: 1.0, c: 0.0}
    assert names(trials, first, second, how="worst", count=2) == [b, a]
    assert names(trials, first, second, how="best", count=9) == [c, a, b]


def test_equal_trials_stay_in_the_order_of_the_protocol(trials: TrialSet) -> None:
    same = dict.fromkeys(trials.ids, 0.5)
    for how in ("worst", "best"):
        assert names(trials, same, how=how, count=3) == trials.ids[:3]


def test_apart_is_the_range_over_all_models(trials: TrialSet) -> None:
    a, b, c = trials.ids[:3]
    values = ({a: 0.5, b: 0.1, c: 0.4}, {a: 0.5, b: 0.2, c: 0.4}, {a: 0.5, b: 0.0, c: 0.9})
    assert names(trials, *values, how="apart", count=9) == [c, b]
    with refused("E_NOTHING_CHANGED"):
        names(trials, values[0], values[0], how="apart", count=9)


def test_what_the_sound_turns_is_told_from_what_it_spoils(trials: TrialSet) -> None:
    a, b, c, d = trials.ids[:4]
    heard = {a: 0.6, b: 0.9, c: 0.4, d: 0.9}
    blind = {a: 0.4, b: 0.1, c: 0.5, d: 0.8}
    assert names(trials, heard, blind, how="heard", count=9) == [b, a]
    assert names(trials, heard, blind, how="heard", count=1) == [b]
    assert names(trials, heard, blind, how="misheard", count=9) == [c]
    with refused("E_TRIALS_NONE", where="missed by the audio-blind map"):
        names(trials, heard, heard, how="heard", count=9)


def test_random_trials_come_with_those_of_their_picture(trials: TrialSet) -> None:
    found = names(trials, how="random", count=4)
    assert len(set(found)) == 4
    first = trials.trials[trials.index[found[0]]]
    assert set(first.twins) <= set(found)
    assert found == names(trials, how="random", count=4)
    seeds = {tuple(names(trials, how="random", count=4, seed=seed)) for seed in range(5)}
    assert len(seeds) > 1
    assert sorted(names(trials, how="random", count=99)) == sorted(trials.ids)


def test_a_category_holds_for_every_choice(trials: TrialSet) -> None:
    category = trials.trials[0].category
    members = [trial.id for trial in trials if category in trial.category.split("+")]
    assert names(trials, category=category) == members
    values = {name: float(place) for place, name in enumerate(reversed(trials.ids))}
    assert names(trials, values, how="worst", count=99, category=category) == members[::-1]


def test_values_that_scores_are_broken_down_by_hold_for_every_choice(trials: TrialSet) -> None:
    kind = {trial.id: trial.attributes["type"] for trial in trials}
    capable = {trial.id: str(trial.attributes["n_capable"]) for trial in trials}
    one = kind[trials.ids[0]]
    members = [name for name in trials.ids if kind[name] == one]
    assert names(trials, where={"type": one}) == members
    assert set(names(trials, how="random", count=99, where={"type": one})) == set(members)
    many = capable[trials.ids[0]]
    both = [name for name in members if capable[name] == many]
    assert names(trials, where={"type": one, "n_capable": many}) == both
    category = trials.trials[0].category.split("+")[0]
    same = names(trials, category=category)
    assert names(trials, where={"category": category}) == same
    # What follows from the truth counts too.
    sizes = trial_table(trials).set_index("trial_id")["size"]
    size = sizes.iloc[0]
    assert names(trials, where={"size": size}) == list(sizes.index[sizes == size])


def test_named_trials_keep_their_order_and_commas_stand_between(trials: TrialSet) -> None:
    a, b, c = trials.ids[:3]
    assert names(trials, ids=(f"{c},{a}", b, a)) == [c, a, b]


def test_what_is_unknown_or_empty_is_refused(trials: TrialSet) -> None:
    almost = trials.ids[0][:-1]
    with refused("E_TRIAL_UNKNOWN", where=trials.ids[0]):
        names(trials, ids=(almost,))
    with refused("E_CATEGORY_UNKNOWN", where=trials.trials[0].category):
        names(trials, category=trials.trials[0].category + "s")
    with refused("E_TRIALS_NONE"):
        names(trials, {}, how="worst", count=3)
    with refused("E_ATTRIBUTE_UNKNOWN", where="Did you mean 'type'"):
        names(trials, where={"typ": "A"})
    with refused("E_ATTRIBUTE_VALUE", where="Use one of"):
        names(trials, where={"type": "C"})
