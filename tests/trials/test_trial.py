"""A trial is a value."""

from __future__ import annotations

from dataclasses import replace

from standins import trial


def test_a_trial_is_a_value() -> None:
    assert trial("x") == trial("x")
    assert replace(trial("x"), id="y") != trial("x")


def test_a_trial_sounds_where_it_has_a_target() -> None:
    assert trial("x").sounding
    assert not replace(trial("x"), targets=()).sounding
