"""VGG-SS as published: counts of the reader's own copy of the annotation."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssl_bench.measures.values import parse_measure
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.scoring.scores import Job, score_maps
from ssl_bench.testsets import TestSet, definition, open_test_set
from ssl_bench.testsets.annotations import Boxes
from ssl_bench.testsets.truth import render
from ssl_bench.trials.compositions import open_trials


@pytest.fixture(scope="module")
def published(published_data: Path) -> TestSet:
    return open_test_set("vggss", data=published_data)


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


def test_twelve_coordinates_are_corrupt(published_data: Path) -> None:
    findings = definition("vggss").verify(published_data / "vggss")
    assert len({item.item for item in findings if "far outside" in item.message}) == 12


def test_the_share_of_truth_that_the_whole_image_finds(published: TestSet) -> None:
    areas = [
        float(render(sample.annotation, "union", 224, 224).mean()) for sample in published.samples
    ]
    assert round(100 * sum(area >= 0.5 for area in areas) / len(areas), 1) == 21.9
    assert round(100 * sum(area >= 0.25 for area in areas) / len(areas), 1) == 50.5


def test_how_many_objects_of_each_size(published_data: Path) -> None:
    trials = open_trials(load_protocol("vggss"), published_data)
    sizes = score_maps(Job([], trials, [parse_measure("cIoU@0.5")]))[0]["size"].value_counts()
    assert sizes.to_dict() == {"small": 134, "medium": 1796, "large": 1726, "huge": 1502}
