"""Trials that show what they ask, parts of a set, and filters."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from refusals import refused

import ssl_bench
from ssl_bench.trials.trial import OpenTrial, Trial, TrialSet


@pytest.fixture(scope="module")
def trials() -> TrialSet:
    return ssl_bench.open_trials("concat")


def test_a_trial_of_a_set_is_the_trial(trials: TrialSet) -> None:
    bare, opened = trials.trials[3], trials[3]
    assert opened == bare
    assert bare == opened
    assert opened != trials[4]
    assert [each.id for each in trials][3] == trials[3].id == trials.ids[3]
    assert trials[-1].id == trials.ids[-1]


def test_what_is_sent_elsewhere_does_not_carry_its_set(trials: TrialSet) -> None:
    sent = pickle.dumps(trials[0])
    assert len(sent) < 2000
    assert pickle.loads(sent) == trials[0]


def test_a_trial_gives_its_picture_sound_and_truth(trials: TrialSet) -> None:
    one = trials[0]
    np.testing.assert_array_equal(one.picture(), trials.image(one.image))
    np.testing.assert_array_equal(one.waveform().samples, trials.waveform(one.audio).samples)
    np.testing.assert_array_equal(one.truth(), trials.truths([0])[0])
    first = trials[:2]
    assert [each.shape for each in first.images()] == [each.picture().shape for each in first]
    assert [each.rate for each in first.sounds()] == [each.waveform().rate for each in first]


def test_a_slice_is_a_part(trials: TrialSet) -> None:
    part = trials[4:8:2]
    assert part.ids == [trials.ids[4], trials.ids[6]]
    assert part.whole is trials
    assert not part.rest_fails
    with refused("E_TRIALS_NONE"):
        trials[:0]


def test_filters_take_fields_attributes_and_conditions(trials: TrialSet) -> None:
    category = trials[0].category
    kept = trials.filter(lambda trial: trial.id != trials.ids[0], category=category)
    assert {each.category for each in kept} == {category}
    assert trials.ids[0] not in kept.ids
    everything = trials.filter(lambda trial: isinstance(trial, Trial))
    assert everything.ids == trials.ids
    with refused("E_TRIALS_NONE"):
        trials.filter(category="whale")


def test_a_shown_trial_has_a_panel_more_with_a_map(trials: TrialSet) -> None:
    assert isinstance(trials[0], OpenTrial)
    without, with_map = trials[0].show(), trials[0].show(np.eye(7))
    assert [len(each.figure.axes) for each in (without, with_map)] == [2, 3]
    assert without.rate == trials[0].waveform().rate
    for wrong in (np.ones((2, 7, 7)), [[np.nan]], np.ones((0, 7))):
        with refused("E_MAP_SHAPE"):
            trials[0].show(wrong)


def test_trials_as_a_table(trials: TrialSet) -> None:
    frame = trials.to_frame()
    assert frame["trial_id"].tolist() == trials.ids
    assert frame["sounding"].all()
    assert len(trials.plot(3).axes) == 3
