"""Text of protocol files with few trials of the embedded world."""

from __future__ import annotations

from collections.abc import Sequence


def few_trials(count: int, floors: Sequence[str] = ()) -> str:
    """A protocol of `count` standard trials, without priors."""
    return f"""
name = "tiny"
title = "Tiny"
version = 1
source = "these tests"
measures = ["cIoU@0.5", "AUC"]
[test_set]
name = "synth"
options = {{ count = {count} }}
[composition]
kind = "single"
[controls]
floors = {list(floors)!r}
"""
