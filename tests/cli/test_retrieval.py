"""Retrieval end to end: from a localizer to the tables that a person reads."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from refusals import refused
from rich.console import Console

from ssl_bench.analysis.evaluation import evaluate, run
from ssl_bench.analysis.request import Request
from ssl_bench.cli.main import main
from ssl_bench.cli.result_tables import result_tables
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.contract import Features, Localizer
from ssl_bench.protocols.protocol import Protocol, TestSetTable, load_protocol

COUNT = 12


class Numbered(Localizer):
    """Knows which pair it is at, and is right about every second one."""

    name = "numbered"

    def encode_image(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        return {"mean": np.array([image.mean() for image in images])}

    def encode_audio(self, sounds: Sequence[Waveform]) -> Features:
        return {"number": np.arange(len(sounds))}

    def localize(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        return np.zeros((len(image_features["mean"]), 2, 2), np.float32)

    def similarity(self, image_features: Features, audio_features: Features) -> NDArray[np.float32]:
        scores = np.zeros((len(image_features["mean"]), len(audio_features["number"])))
        even = np.arange(0, len(scores), 2)
        scores[even, even] = 1
        return scores.astype(np.float32)


class Silent(Numbered):
    name = "silent"
    similarity = Localizer.similarity


def small(name: str) -> Protocol:
    options: dict[str, int | str] = {"count": COUNT, "seed": 0}
    table = TestSetTable(name="synth", split="standard", options=options)
    return load_protocol(name).model_copy(update={"test_set": table})


def text_of(parts: Sequence[object]) -> str:
    stream = StringIO()
    for part in parts:
        Console(file=stream, width=100).print(part)
    return stream.getvalue()


def test_a_ranking_from_the_model_to_the_result(tmp_path: Path) -> None:
    done = evaluate(Numbered(), small("retrieval"), folder=tmp_path)
    assert done.result["recall(a2i)@1"].value == 0.5
    # The others tie with all that score 0, and rank behind them.
    assert done.result["median-rank(i2a)"].value == (1 + COUNT) / 2
    assert done.result.coverage.present == COUNT
    assert sorted(path.name for path in done.files) == [
        "predictions.npz",
        "result.json",
        "scores.npz",
    ]
    assert not (tmp_path / "trials.png").exists()


def test_ranks_are_printed_as_they_are_and_shares_in_percent(tmp_path: Path) -> None:
    done = evaluate(Numbered(), small("retrieval"), folder=tmp_path)
    lines = text_of(result_tables(done.result)).splitlines()
    median = next(line for line in lines if "median-rank(a2i)" in line)
    recall = next(line for line in lines if "recall(a2i)@1 " in line)
    assert "6.5" in median
    assert "50.0" in recall
    assert "8.3" in recall  # chance: 1 of 12


def test_several_protocols_leave_out_what_a_model_cannot_answer(tmp_path: Path) -> None:
    request = Request(Silent(), folder=tmp_path)
    done = run(request, [small("synth"), small("retrieval")])
    assert [each.result.protocol.name for each in done] == ["synth"]


def test_one_protocol_that_a_model_cannot_answer_is_refused(tmp_path: Path) -> None:
    with refused("E_MODEL_NO_SIMILARITY"):
        evaluate(Silent(), small("retrieval"), folder=tmp_path)


@pytest.mark.slow
def test_the_command_says_what_was_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "--model", "center", "--protocol", "synth,retrieval", "--sheet", "0"]
    main([*arguments, "--out", str(tmp_path)])
    assert "Left out retrieval: center has no similarity" in capsys.readouterr().err
