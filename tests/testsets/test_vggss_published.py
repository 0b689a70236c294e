"""VGG-SS as published: counts of the user's own copy of the annotation.

Collected only where ``SSL_BENCH_DATA`` holds ``vggss/vggss.json``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ssl_bench.annotations import Boxes
from ssl_bench.testsets import TestSet, open_test_set
from ssl_bench.testsets.vggss import TEST_SET
from ssl_bench.truth import render


@pytest.fixture(scope="module")
def published() -> TestSet:
    return open_test_set("vggss", data=Path(os.environ["SSL_BENCH_DATA"]))


def test_it_is_the_public_revision(published: TestSet) -> None:
    assert published.revision == "public-0f5102ca"


def test_counts(published: TestSet) -> None:
    assert len(published) == 5158
    boxes = [sample.annotation for sample in published.samples]
    assert sum(len(box) for box in boxes if isinstance(box, Boxes)) == 5941
    assert len({sample.category for sample in published.samples}) == 221
    assert len({sample.group for sample in published.samples}) == 5017


def test_two_truths_are_empty(published: TestSet) -> None:
    empty = {
        sample.id
        for sample in published.samples
        if not render(sample.annotation, "union", 224, 224).any()
    }
    assert empty == {"MKC9LvRivTM_000030", "M1P1xla8rg0_000000"}


def test_twelve_coordinates_are_corrupt() -> None:
    findings = TEST_SET.verify(Path(os.environ["SSL_BENCH_DATA"]) / "vggss")
    assert len({item.item for item in findings if "far outside" in item.message}) == 12


def test_the_share_of_truth_that_the_whole_image_finds(published: TestSet) -> None:
    areas = [
        float(render(sample.annotation, "union", 224, 224).mean()) for sample in published.samples
    ]
    assert round(100 * sum(area >= 0.5 for area in areas) / len(areas), 1) == 21.9
    assert round(100 * sum(area >= 0.25 for area in areas) / len(areas), 1) == 50.5
