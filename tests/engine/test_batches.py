"""Batches that shrink when the memory of a device runs out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from refusals import refused

from ssl_bench.engine.batches import FittingBatches
from ssl_bench.models.contract import Features, Localizer


class Hungry(Localizer):
    """Encodes at most that many images at once."""

    name = "hungry"
    audio_blind = True

    def __init__(self, most: int) -> None:
        self.most = most
        self.calls: list[int] = []

    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        self.calls.append(len(images))
        if len(images) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return {"mean": np.array([image.mean(dtype="f4") for image in images], np.float32)}

    def encode_audio(self, sounds: Sequence[object]) -> Features:
        return {}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        return np.zeros((1, 1, 1), np.float32)


def images(count: int) -> list[NDArray[np.uint8]]:
    return [np.full((2, 2, 3), number, np.uint8) for number in range(count)]


def test_a_batch_that_does_not_fit_is_halved_once_for_all_and_said_once():
    said: list[str] = []
    batches, model = FittingBatches(said.append), Hungry(8)
    for _ in range(2):
        found = batches.encode(model.encode_image, images(20))
        np.testing.assert_array_equal(found["mean"], np.arange(20))
    assert model.calls == [20, 10, 5, 5, 5, 5, 5, 5, 5, 5]
    assert batches.largest == 5
    assert len(said) == 1


def test_what_fits_is_one_call_and_nothing_is_said():
    said: list[str] = []
    batches, model = FittingBatches(said.append), Hungry(8)
    assert len(batches.encode(model.encode_image, images(8))["mean"]) == 8
    assert model.calls == [8]
    assert batches.largest is None
    assert not said


def test_memory_for_less_than_one_input_is_refused():
    with refused("E_DEVICE_MEMORY"):
        FittingBatches(lambda _text: None).encode(Hungry(0).encode_image, images(3))


def test_rows_that_are_done_are_not_done_again():
    done: list[slice] = []

    def work(rows: slice) -> NDArray[np.intp]:
        # The memory is taken by someone else after the first call.
        if done and rows.stop - rows.start > 1:
            raise torch.OutOfMemoryError
        done.append(rows)
        return np.arange(rows.start, rows.stop)

    batches = FittingBatches(lambda _text: None)
    batches.largest = 3
    np.testing.assert_array_equal(batches.run(7, work, np.concatenate), np.arange(7))
    assert [rows.start for rows in done] == [0, 3, 4, 5, 6]


def test_other_errors_are_the_models_own():
    def broken(_inputs: Sequence[object]) -> Features:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        FittingBatches(print).encode(broken, images(4))
