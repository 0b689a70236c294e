"""The splits of `collage` that are trained on: what their labels mean."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_collage import CAPABLE, make_folder

from ssl_bench.files import CACHE_VARIABLE
from ssl_bench.testsets import DATA_VARIABLE, open_test_set
from ssl_bench.training.data import Collage, Needs
from ssl_bench.training.recipe import TrainingRecipe


@pytest.fixture(autouse=True)
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv(DATA_VARIABLE, str(make_folder(tmp_path / "data")))


def test_classes_are_all_that_can_sound() -> None:
    assert Collage().classes == tuple(sorted(CAPABLE))


def test_labels_name_the_one_thing_that_sounds_however_few_scenes_there_are() -> None:
    recipe = TrainingRecipe(
        objective="lcbm", scenes=20, validation_scenes=3, epochs=1, batch=2, peak_learning_rate=1e-3
    )
    data = Collage()
    sources = data.sources(Needs(labels=True), recipe, 0, lambda sound: sound.samples[None, :4])
    shown: list[set[str | None]] = []
    for split, source in zip(("train", "validation"), sources, strict=True):
        samples = open_test_set("collage", split, options={"count": len(source.ids)}).samples
        named = [data.classes[label] if label >= 0 else None for label in source.categories]
        alone = [None if "+" in sample.category else sample.category for sample in samples]
        assert named == alone
        shown.append(set(named))
    # Several sound in some, and not everything is shown: numbers by what is shown would differ.
    assert None in shown[0]
    assert not set(CAPABLE) <= shown[1]
