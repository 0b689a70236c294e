"""Trials that show what they ask."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from refusals import refused

import ssl_bench
from ssl_bench.trials.open_trial import OpenTrial
from ssl_bench.trials.trial_set import TrialSet


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


def test_a_shown_trial_has_a_panel_more_with_a_map(trials: TrialSet) -> None:
    assert isinstance(trials[0], OpenTrial)
    without, with_map = trials[0].show(), trials[0].show(np.eye(7))
    assert [len(each.figure.axes) for each in (without, with_map)] == [2, 3]
    assert without.rate == trials[0].waveform().rate
    for wrong in (np.ones((2, 7, 7)), [[np.nan]], np.ones((0, 7))):
        with refused("E_MAP_SHAPE"):
            trials[0].show(wrong)
