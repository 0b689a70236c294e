"""The plain composition: each sample's image with its own sound."""

from __future__ import annotations

from ssl_bench.testsets.base import TestSet
from ssl_bench.trials.trial import Trial


def compose(test_set: TestSet, seed: int = 0) -> list[Trial]:
    """One trial per sample, under the sample's own id; nothing is random."""
    del seed
    return [Trial.of(sample) for sample in test_set.samples]
