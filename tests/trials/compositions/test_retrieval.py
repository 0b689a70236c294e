"""The composition of retrieval: each sample is one pair."""

from __future__ import annotations

from dataclasses import replace

import pytest
from standins import sample

from ssl_bench.errors import ProtocolError
from ssl_bench.trials.compositions import single
from ssl_bench.trials.compositions.retrieval import compose


def test_each_sample_is_one_pair() -> None:
    samples = [sample("a"), replace(sample("b"), sound_of="a")]
    trials = compose(samples, seed=3)
    assert trials == single.compose(samples)
    assert [trial.id for trial in trials] == ["a", "b"]
    assert [trial.audio.key for trial in trials] == ["a", "a"]


def test_it_has_no_parameters() -> None:
    with pytest.raises(ProtocolError, match="'retrieval' has no parameter 'gallery'"):
        compose([sample("a")], parameters={"gallery": 5})
