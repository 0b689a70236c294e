"""Media are checked before anything is encoded; what cannot be used is refused or left out."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from made_clips import LevelMatcher, make_vggss
from refusals import refused

from ssl_bench.analysis.evaluation import evaluate, run_predict
from ssl_bench.analysis.request import Request
from ssl_bench.engine.usable import check_trials
from ssl_bench.errors import MediaError
from ssl_bench.models.trivial import Center
from ssl_bench.predictions import open_predictions
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.scoring.checks import check_predictions
from ssl_bench.trials.compositions import open_trials

COUNT = 12


class Unasked(LevelMatcher):
    """Fails where anything is encoded."""

    def encode_image(self, images: Any) -> Any:
        raise AssertionError("an image was encoded")

    def encode_audio(self, sounds: Any) -> Any:
        raise AssertionError("a sound was encoded")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twelve clips, of which one has no image, one no sound, and one a sound of NaN."""
    make_vggss(tmp_path / "data", COUNT)
    folder = tmp_path / "data" / "vggss"
    (folder / "frames" / "clip0000000_000000.png").unlink()
    (folder / "audio" / "clip0000001_000000.wav").unlink()
    bad = folder / "audio" / "clip0000002_000000.wav"
    soundfile.write(bad, np.full(1600, np.nan, np.float32), 16000, subtype="FLOAT")
    return tmp_path / "data"


BAD = {
    "clip0000000_000000": "E_FILE_MISSING",
    "clip0000001_000000": "E_FILE_MISSING",
    "clip0000002_000000": "E_NOT_FINITE",
}


@pytest.mark.parametrize("protocol", ["vggss", "concat@vggss"])
def test_every_problem_is_named_before_anything_is_encoded(
    data: Path, tmp_path: Path, protocol: str
) -> None:
    report = tmp_path / "problems.csv"
    with refused("E_MEDIA", *BAD.values(), kind=MediaError) as caught:
        evaluate(Unasked(), protocol, data=data, folder=tmp_path / "run", problems=report)
    for name, code in BAD.items():
        assert any(name in line and code in line for line in str(caught.value).splitlines())
    with report.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["level"] == "problem"]
    assert {row["id"]: row["code"] for row in rows} == BAD
    assert not (tmp_path / "run").exists()


def test_such_trials_may_be_left_out_and_the_result_is_partial(data: Path, tmp_path: Path) -> None:
    done = evaluate(LevelMatcher(), "vggss", data=data, folder=tmp_path, missing="skip")
    coverage = done.result.coverage
    assert (coverage.expected, coverage.present, coverage.partial) == (COUNT, COUNT - 3, True)
    assert set(coverage.missing) == set(BAD)
    assert len(done.scores) == COUNT - 3
    assert not open_predictions(tmp_path / "predictions.npz").meta.complete
    with refused("E_IDS_MISSING"):  # so it cannot stand for an answer to the whole protocol
        check_predictions(tmp_path / "predictions.npz", open_trials("vggss", data=data))


def test_such_trials_may_count_as_failures(data: Path, tmp_path: Path) -> None:
    done = evaluate(LevelMatcher(), "vggss", data=data, folder=tmp_path, missing="fail")
    coverage = done.result.coverage
    assert (coverage.expected, coverage.present, coverage.partial) == (COUNT, COUNT - 3, False)
    assert len(done.scores) == COUNT
    assert check_predictions(tmp_path / "predictions.npz", open_trials("vggss", data=data))


def test_predictions_of_a_part_are_those_of_the_whole(data: Path, tmp_path: Path) -> None:
    request = Request(LevelMatcher(), data=data, folder=tmp_path, missing="skip")
    [(trials, written)] = run_predict(request, ["vggss"])
    assert (len(trials), len(trials.whole)) == (COUNT - 3, COUNT)
    meta = open_predictions(written.predictions).meta
    assert meta.trials_digest == open_trials("vggss", data=data).digest


def test_with_everything_there_nothing_is_partial(tmp_path: Path) -> None:
    make_vggss(tmp_path / "data", COUNT)
    done = evaluate(
        LevelMatcher(), "vggss", data=tmp_path / "data", folder=tmp_path / "run", missing="skip"
    )
    assert not done.result.coverage.partial


def test_where_nothing_is_left_the_run_is_refused(data: Path, tmp_path: Path) -> None:
    for path in (data / "vggss" / "audio").iterdir():
        path.unlink()
    with refused("E_MEDIA", where=f"{COUNT} of {COUNT} trials"):
        evaluate(LevelMatcher(), "vggss", data=data, folder=tmp_path / "run", missing="skip")


def test_a_model_that_does_not_listen_needs_no_sound(data: Path) -> None:
    trials = open_trials("vggss", data=data)

    class Deaf(LevelMatcher):
        audio_blind = True

    _, [rows] = check_trials(Deaf(), [trials])
    assert set(trials.ids) - {trials.ids[row] for row in rows} == {"clip0000000_000000"}
    checked, [rows] = check_trials(Center(), [trials])
    assert (checked, len(rows)) == ([], COUNT)


def test_sounds_of_several_rates_that_are_to_be_mixed_are_a_problem(tmp_path: Path) -> None:
    make_vggss(tmp_path, COUNT)
    odd = tmp_path / "vggss" / "audio" / "clip0000003_000000.wav"
    soundfile.write(odd, np.ones(1600, np.int16), 8000)
    trials = open_trials("multi-source-union@vggss", data=tmp_path)
    mixed = [trial for trial in trials if len(trial.audio.samples) > 1]
    checked, [rows] = check_trials(LevelMatcher(), [trials])
    concerned = {trial.id for trial in mixed if "clip0000003_000000" in trial.audio.samples}
    assert concerned
    assert {each.item for each in checked if each.problem} == concerned
    assert set(trials.ids) - {trials.ids[row] for row in rows} == concerned


def test_a_part_of_a_part_answers_the_whole() -> None:
    trials = open_trials(load_protocol("synth"))
    part = trials.part([3, 1, 2], rest_fails=True).part([0, 2], rest_fails=False)
    assert part.ids == [trials.ids[3], trials.ids[2]]
    assert part.whole is trials
    assert part.digest == trials.digest
    assert not part.predictions_meta("mine").complete
