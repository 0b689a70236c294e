"""What is measured on collage: which trials, and that a picture is looked at once."""

from __future__ import annotations

from pathlib import Path

import collage_baselines
import pytest
import torch
from made_collage import make_folder

from ssl_bench.files import CACHE_VARIABLE
from ssl_bench.models.efficientnet import LiteTrunk
from ssl_bench.testsets import DATA_VARIABLE


def test_each_picture_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def look(_: LiteTrunk, images: torch.Tensor) -> torch.Tensor:
        looked.append(len(images))
        return 2 * images

    monkeypatch.setattr(LiteTrunk, "forward", look)
    collage_baselines.remember_maps()
    trunk, pictures = LiteTrunk(), torch.rand(3, 3, 4, 4)
    torch.testing.assert_close(trunk(pictures[:2]), 2 * pictures[:2])
    torch.testing.assert_close(trunk(pictures), 2 * pictures)
    torch.testing.assert_close(trunk(pictures), 2 * pictures)
    assert looked == [2, 1]


def test_the_first_samples_of_each_split_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(make_folder(tmp_path / "data")))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    for name in collage_baselines.PROTOCOLS:
        trials = collage_baselines.opened(name, 20)
        assert len(trials.test_set.samples) == 20
        assert not trials.protocol.controls.floors
