"""Negative audio: one picture, four sounds, and groups that are set apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from standins import MemoryTestSet, sample, trials_of

from ssl_bench.protocols.protocol import CompositionTable
from ssl_bench.testsets.base import UNLABELLED, Sample
from ssl_bench.trials.compositions import negative_audio
from ssl_bench.trials.compositions.negative_audio import calibration_groups
from ssl_bench.trials.trial import Trial

SAMPLES = [
    sample(f"s{number}", category=f"k{number % 4}", group=f"g{number // 2}") for number in range(24)
]
ROLES = ["sounding", "silence", "noise", "off-screen"]


def compose(samples: Sequence[Sample], seed: int = 0, **parameters: Any) -> list[Trial]:
    return negative_audio.compose(MemoryTestSet(samples), seed, **parameters)


def test_four_twins_for_each_sample() -> None:
    trials = compose(SAMPLES)
    assert len(trials) == 4 * len(SAMPLES)
    for start in range(0, len(trials), 4):
        four = trials[start : start + 4]
        assert [trial.role for trial in four] == ROLES
        assert [trial.sounding for trial in four] == [True, False, False, False]
        assert len({trial.image for trial in four}) == 1
        assert len({trial.audio for trial in four}) == 4
        for trial in four:
            assert {trial.id, *trial.twins} == {other.id for other in four}
    assert [trial.id for trial in trials[:4]] == ["s0", "s0#silence", "s0#noise", "s0#off-screen"]


def test_off_screen_sounds_come_from_elsewhere_on_the_same_side() -> None:
    by_id = {each.id: each for each in SAMPLES}
    trials = compose(SAMPLES, seed=3)
    side = {trial.group: trial.attributes["calibration"] for trial in trials}
    for trial in trials:
        if trial.role == "off-screen":
            heard = by_id[trial.audio.samples[0]]
            shown = by_id[trial.image.parts[0][0]]
            assert heard.group != shown.group
            assert heard.category != shown.category
            assert trial.category == heard.category
            assert side[heard.group] == trial.attributes["calibration"]


def test_silence_and_noise_are_as_long_as_the_samples_own_sound() -> None:
    trials = trials_of(SAMPLES, "negative_audio")
    own, silence, noise = (trials.waveform(trial.audio) for trial in trials.trials[:3])
    assert silence.rate == noise.rate == own.rate
    assert len(silence.samples) == len(noise.samples) == len(own.samples)
    assert not silence.samples.any()
    assert noise.samples.std() > 1000
    other = trials.waveform(trials.trials[6].audio)
    assert not np.array_equal(noise.samples, other.samples)


@pytest.mark.slow
@given(st.integers(0, 5), st.permutations(range(len(SAMPLES))))
def test_the_order_of_samples_does_not_matter(seed: int, order: list[int]) -> None:
    turned = [SAMPLES[number] for number in order]
    ours = {trial.id: trial for trial in compose(SAMPLES, seed=seed)}
    assert ours == {trial.id: trial for trial in compose(turned, seed=seed)}


def test_another_seed_gives_other_partners_noise_and_split() -> None:
    one, two = compose(SAMPLES, seed=0), compose(SAMPLES, seed=1)
    for role in ("noise", "off-screen"):
        first = [trial.audio for trial in one if trial.role == role]
        assert first != [trial.audio for trial in two if trial.role == role]
    split = [trial.attributes["calibration"] for trial in one]
    assert split != [trial.attributes["calibration"] for trial in two]


@given(
    st.lists(st.text("abcdef", min_size=1, max_size=2), min_size=2, max_size=30),
    st.floats(0.01, 0.99),
    st.integers(0, 9),
)
def test_a_share_of_the_groups_is_set_apart(groups: list[str], share: float, seed: int) -> None:
    distinct = set(groups)
    if len(distinct) < 2:
        with refused("E_COMPOSITION_SAMPLES"):
            calibration_groups(groups, share=share, seed=seed)
        return
    chosen = calibration_groups(groups, share=share, seed=seed)
    assert chosen <= distinct
    assert 1 <= len(chosen) < len(distinct)
    assert abs(len(chosen) - share * len(distinct)) <= 1
    assert chosen == calibration_groups(sorted(groups), share=share, seed=seed)


def test_whole_groups_are_set_apart() -> None:
    trials = compose(SAMPLES, calibration_share=0.5)
    sides: dict[str, set[object]] = {}
    for trial in trials:
        sides.setdefault(trial.group, set()).add(trial.attributes["calibration"])
    assert all(len(side) == 1 for side in sides.values())
    assert sum(side == {True} for side in sides.values()) == 6


def test_a_fifth_of_the_groups_is_set_apart_where_no_share_is_given() -> None:
    chosen = {trial.group for trial in compose(SAMPLES) if trial.attributes["calibration"]}
    assert len(chosen) == 2  # of twelve


def test_without_categories_it_still_runs() -> None:
    plain = [sample(f"s{number}", category=UNLABELLED) for number in range(8)]
    trials = compose(plain, calibration_share=0.5)
    heard = [trial.audio.samples[0] for trial in trials if trial.role == "off-screen"]
    assert sorted(heard) == sorted(each.id for each in plain)


def test_samples_of_one_picture_share_it_so_that_it_is_encoded_once() -> None:
    pictured = [
        sample(f"s{number}", category=f"k{number}", group=f"g{number // 2}", attributes=shown)
        for number in range(12)
        for shown in [{"image": f"picture {number // 2}"}]
    ]
    trials = compose(pictured, calibration_share=0.5)
    for trial in trials:
        number = int(trial.id.partition("#")[0].removeprefix("s"))
        assert trial.image.key == f"s{number - number % 2}"
        assert [target.sample for target in trial.targets] in ([], [f"s{number}"])


@pytest.mark.parametrize("share", [0, 1.0, True, "half", float("nan")])
def test_other_shares_are_refused(share: Any) -> None:
    facts = {"kind": "negative_audio", "seed": 0, "parameters": {"calibration_share": share}}
    with refused("E_COMPOSITION_PARAMETER", where="calibration_share"):
        trials_of(SAMPLES, composition=CompositionTable.model_construct(**facts))


def test_a_sample_without_partner_is_named() -> None:
    alike = [sample(f"s{number}", category="dog") for number in range(6)]
    with refused("E_NO_PARTNER", where="s"):
        compose(alike, calibration_share=0.5)
