"""The released non-sounding pairs: counts of the reader's own copy of the lists."""

from __future__ import annotations

from pathlib import Path

from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.testsets import open_test_set
from ssl_bench.testsets.silent import unannotated
from ssl_bench.trials.compositions import open_trials


def test_pairs_of_vggss(published_data: Path) -> None:
    test_set = open_test_set("vggss", data=published_data)
    pairs = test_set.silent_pairs()
    assert len(pairs) == 5158
    assert len({pair.audio for pair in pairs}) == 3471
    outside = [pair for pair in pairs if pair.same_category is None]
    assert len(outside) == 379
    assert all(pair.image == pair.audio for pair in outside)
    annotated = [pair for pair in pairs if pair.same_category is not None]
    assert len(annotated) == 4779
    assert all(pair.image != pair.audio for pair in annotated)
    assert sum(pair.same_category is True for pair in annotated) == 1185
    assert len(unannotated(pairs, {sample.id for sample in test_set.samples})) == 379


def test_trials_of_the_protocol(published_data: Path) -> None:
    trials = open_trials(load_protocol("vggss-extended"), published_data)
    assert len(trials) == 10316
    assert sum(trial.sounding for trial in trials) == 5158
    assert sum(trial.attributes["same_category"] for trial in trials) == 1185
