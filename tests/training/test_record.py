"""The record of a run: written whole, read strictly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from refusals import refused

from ssl_bench.errors import ResultError
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.record import (
    LIBRARIES,
    Epoch,
    TrainingRecord,
    draw_losses,
    read_record,
    versions,
    write_record,
)


def record() -> TrainingRecord:
    return TrainingRecord(
        model="ezvsl",
        data="synth",
        data_version=1,
        data_digest="d" * 64,
        seed=3,
        recipe=TrainingRecipe(
            objective="ez-vsl", scenes=8, epochs=2, batch=4, peak_learning_rate=1e-3
        ),
        image_trunk_sha256=None,
        parameters=10,
        weights_sha256="w" * 64,
        validation={"loss": 0.5},
        losses=(3.0, 2.0, 1.5, 1.0),
        epochs=(
            Epoch(number=1, loss=2.5, validation={"loss": 2.0}),
            Epoch(number=2, loss=1.25, validation={"loss": 0.333333}),
        ),
        seconds=2.0,
        examples_per_second=8.0,
        versions=versions(),
    )


def test_written_and_read_again_it_is_the_same(tmp_path: Path):
    path = tmp_path / "deep" / "record.json"
    write_record(record(), path)
    assert read_record(path) == record()
    assert [found.name for found in path.parent.iterdir()] == ["record.json"]


def test_versions_name_every_library_that_can_change_the_weights():
    assert set(LIBRARIES) | {"python", "machine"} == set(versions())


@pytest.mark.parametrize(
    "change",
    [{"flavour": 1}, {"losses": ["many"]}, {"recipe": {"objective": "ez-vsl"}}, {"seed": None}],
)
def test_another_document_is_refused(tmp_path: Path, change):
    path = tmp_path / "record.json"
    path.write_text(json.dumps({**record().model_dump(mode="json"), **change}))
    with refused("E_SCHEMA", where=path, kind=ResultError):
        read_record(path)


def test_a_missing_or_unreadable_file_is_refused(tmp_path: Path):
    with refused("E_FILE_MISSING", where="absent.json", kind=ResultError):
        read_record(tmp_path / "absent.json")
    broken = tmp_path / "broken.json"
    broken.write_text('{"format": 1')
    with refused("E_JSON", where=broken, kind=ResultError):
        read_record(broken)


def test_loss_curve_is_a_picture_and_the_same_one_each_time(tmp_path: Path):
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    draw_losses(record(), first)
    draw_losses(record(), second)
    with Image.open(first) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 200
    assert first.read_bytes() == second.read_bytes()
