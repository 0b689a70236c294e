"""Flickr-SoundNet as published: the boxes of 2,786 clips, written in its own form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ssl_bench.testsets import TestSet, open_test_set
from ssl_bench.testsets.annotations import Boxes
from ssl_bench.testsets.flickr import TEST_SET, read_annotation
from ssl_bench.testsets.truth import render

CORNERS = ["xmin", "ymin", "xmax", "ymax"]


@pytest.fixture(scope="module")
def table(published_data: Path) -> pd.DataFrame:
    return pd.read_csv(published_data / "flickr" / "flickr_boxes.csv.gz", dtype={"id": str})


@pytest.fixture(scope="module")
def folder(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All clips as XML files, and the list of test clips."""
    root = tmp_path_factory.mktemp("data") / "flickr"
    (root / "annotations").mkdir(parents=True)
    for clip, rows in table.groupby("id"):
        drawn = "".join(
            "<bbox><i/>" + "".join(f"<c>{value}</c>" for value in box) + "</bbox>"
            for box in rows[CORNERS].to_numpy().tolist()
        )
        text = f"<annotation><object>{drawn}</object></annotation>"
        (root / "annotations" / f"{clip}.xml").write_text(text)
    listed = table.loc[table["test"] == 1, "id"].drop_duplicates()
    (root / "flickr_test.txt").write_text("\n".join(listed) + "\n")
    return root


@pytest.fixture(scope="module")
def clips(folder: Path) -> TestSet:
    return open_test_set("flickr", data=folder.parent)


def test_every_clip_is_read_and_by_three_people(table: pd.DataFrame, folder: Path) -> None:
    for clip, count in table.groupby("id").size().items():
        boxes = read_annotation(folder / "annotations" / f"{clip}.xml").boxes
        assert (len(boxes), boxes.annotators) == (count, 3)


def test_the_test_clips_are_a_known_list_without_an_empty_truth(
    clips: TestSet, folder: Path
) -> None:
    assert clips.revision == "249 clips"
    messages = [each.message for each in TEST_SET.verify(folder) if each.level != "missing"]
    assert not any("no truth pixel" in message for message in messages)


def test_what_the_whole_image_finds_is_as_published(clips: TestSet) -> None:
    found = []
    for sample in clips.samples:
        assert isinstance(sample.annotation, Boxes)
        truth = render(sample.annotation, "consensus", 224, 224)
        found.append(truth.sum() / (truth.sum() + np.count_nonzero(truth == 0)))
    assert round(100 * np.mean(np.array(found) >= 0.5), 1) == 48.2
