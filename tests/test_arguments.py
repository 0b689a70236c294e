"""Wrong arguments of public functions, and remedies in the words of Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import caller
from refusals import refused
from torch import nn

import ssl_bench
from ssl_bench.arguments import ArgumentError, shown_value
from ssl_bench.measures import cIoU

MAPS = np.eye(4, dtype=np.float32)[None]


class _Duck:
    name = "duck"

    def localize(self, images: Any, sounds: Any) -> Any:
        return images, sounds


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: ssl_bench.evaluate("center", "synth", out="a"), "'folder'"),  # type: ignore[call-arg]
        (lambda: ssl_bench.evaluate("center", "synth", ogl=True), "'alpha'"),  # type: ignore[call-arg]
        (lambda: ssl_bench.evaluate("center", ["synth"]), "not several"),  # type: ignore[arg-type]
        (lambda: ssl_bench.compare(["a", "b"]), "compare(*...)"),  # type: ignore[arg-type]
        (lambda: ssl_bench.evaluate(nn.Linear(2, 2), "synth"), "ssl_bench.wrap("),  # type: ignore[arg-type]
        (lambda: ssl_bench.evaluate(_Duck(), "synth"), "ssl_bench.Localizer"),  # type: ignore[arg-type]
        (lambda: cIoU(MAPS, MAPS > 0, thresh=0.5), "'threshold'"),  # type: ignore[call-arg]
        (lambda: ssl_bench.score_file("mine.npz"), "'trials'"),  # type: ignore[call-arg]
        (lambda: ssl_bench.Metric("AUC").update(MAPS, targets=MAPS), "'truths'"),  # type: ignore[call-arg]
    ],
)
def test_a_wrong_argument_is_a_type_error_that_says_what_to_do(
    call: Callable[[], object], named: str
) -> None:
    with refused("E_ARGUMENT", where=named, kind=ArgumentError) as caught:
        call()
    assert isinstance(caught.value, TypeError)
    assert len(str(caught.value)) < 400


def test_values_are_shown_in_few_characters() -> None:
    assert shown_value(nn.Sequential(nn.Linear(2, 2))) == "a Sequential"
    assert shown_value([object()] * 3) == "a list of 3 object"
    assert shown_value("a" * 500).endswith("…")


def test_remedies_name_arguments_in_python_and_options_in_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    ssl_bench.evaluate("center", "synth", folder=folder, limit=3)
    with refused("E_RUN_EXISTS", where="overwrite=True") as caught:
        ssl_bench.evaluate("center", "synth", folder=folder, limit=3)
    assert "--" not in str(caught.value)
    assert "folder=" in str(caught.value.remedy)
    words = ("evaluate", "--model", "center", "--protocol", "synth", "--limit", "3")
    done = caller(capsys)(*words, "--out", folder)
    assert "--overwrite" in done.err
    assert "overwrite=True" not in done.err


def test_the_names_of_torchmetrics_are_taken() -> None:
    one, other = ssl_bench.Metric("pointing"), ssl_bench.Metric(["pointing"])
    one.update(MAPS, MAPS)
    other.update(preds=torch.from_numpy(MAPS), target=torch.from_numpy(MAPS))  # type: ignore[call-arg]
    assert one.compute() == other.compute()
