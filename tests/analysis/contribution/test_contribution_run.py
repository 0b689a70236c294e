"""What audio contributes, from a model or from files, to the document and the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_clips import LevelMatcher, make_vggss
from refusals import refused

from ssl_bench.analysis.contribution.document import Contribution, write_contribution
from ssl_bench.analysis.contribution.run import (
    Measured,
    contribution_of_files,
    measure_contribution,
)
from ssl_bench.analysis.request import Missing, Request
from ssl_bench.models.contract import Localizer
from ssl_bench.protocols.protocol import ControlsTable, Protocol, TestSetTable, load_protocol
from ssl_bench.scoring.results import read_result

pytestmark = pytest.mark.slow


class Deaf(Localizer):
    """Encodes sounds and never uses them, without saying so."""

    name = "deaf"

    def encode_image(self, images):
        small = [image[::16, ::16].mean(axis=2, dtype=np.float32) for image in images]
        return {"brightness": np.stack(small)}

    def encode_audio(self, sounds):
        return {"loudness": np.array([[np.abs(sound.as_float()).mean()] for sound in sounds])}

    def localize(self, image_features, audio_features):
        return image_features["brightness"]


class Loud(Deaf):
    """Sees a thing as long as it hears something, and its opposite in silence."""

    name = "loud"

    def localize(self, image_features, audio_features):
        sign = np.where(audio_features["loudness"] > 0, 1, -1).astype(np.float32)
        return image_features["brightness"] * sign[:, :, None]


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    table = TestSetTable(name="synth", split="standard", options={"count": 60})
    return load_protocol("concat").model_copy(update={"test_set": table})


@pytest.fixture
def without_priors(protocol: Protocol) -> Protocol:
    return protocol.model_copy(update={"controls": ControlsTable(floors=("center",))})


@pytest.fixture(scope="module")
def ezvsl(protocol: Protocol, tmp_path_factory: pytest.TempPathFactory) -> tuple[Measured, Path]:
    folder = tmp_path_factory.mktemp("ezvsl")
    request = Request("ezvsl", folder=folder)
    return measure_contribution(request, protocol, measure="side-accuracy"), folder


def test_a_model_that_hears_needs_the_sound(ezvsl: tuple[Measured, Path]) -> None:
    found = ezvsl[0].contribution
    assert [each.name for each in found.without] == [
        "silence",
        "noise",
        "other-category",
        "same-category",
        "own audio-blind map",
        "prior ogl-l1",
        "prior ogl-cls",
        "prior gradcam",
        "prior potential",
        "prior unet",
        "trivial map center",
    ]
    hearing = found.hearing
    assert hearing.measure == "side-accuracy"
    assert hearing.adds is not None
    assert hearing.adds.low is not None
    assert hearing.adds.low > 0.2
    assert hearing.is_shown
    assert hearing.best_without not in ("same-category", None)


def test_hearing_is_the_smallest_difference_to_maps_that_know_nothing(
    ezvsl: tuple[Measured, Path],
) -> None:
    found = ezvsl[0].contribution
    place = [value.measure for value in found.measures].index("side-accuracy")
    whole = [each for each in found.without if each.informed == "nothing"]
    smallest = min(each.difference[place].value for each in whole)
    assert found.hearing.adds.value == pytest.approx(smallest)


def test_differences_are_paired_and_broken_down(ezvsl: tuple[Measured, Path]) -> None:
    for each in ezvsl[0].contribution.without:
        for with_sound, without, change in zip(
            each.with_sound, each.measures, each.difference, strict=True
        ):
            assert change.value == pytest.approx(with_sound.value - without.value)
            assert change.n_trials == each.n_trials
        assert {test.measure for test in each.tests} >= {"cIoU@0.5", "AUC"}
        levels = each.breakdown["category"]
        counted = sum(values[0].n_trials for values in levels.values())
        assert counted >= each.n_trials


def test_mcnemar_only_where_a_trial_succeeds_or_fails(ezvsl: tuple[Measured, Path]) -> None:
    tests = {test.measure: test for test in ezvsl[0].contribution.without[0].tests}
    assert tests["cIoU@0.5"].mcnemar is not None
    assert tests["AUC"].mcnemar is None


def test_its_files_give_the_same_numbers(ezvsl: tuple[Measured, Path], protocol: Protocol) -> None:
    measured, folder = ezvsl
    stored = contribution_of_files(
        folder / "predictions.npz", {"own": folder / "vision_only.npz"}, protocol
    )
    own = next(each for each in measured.contribution.without if each.name == "own audio-blind map")
    again = stored.contribution.without[0]
    assert (again.difference, again.tests) == (own.difference, own.tests)
    priors = [each for each in measured.contribution.without if each.name.startswith("prior ")]
    found = {each.name: each.difference for each in stored.contribution.without}
    assert priors
    assert all(found[each.name] == each.difference for each in priors)


@pytest.mark.slow
def test_a_model_that_ignores_the_sound_needs_none(
    without_priors: Protocol, tmp_path: Path
) -> None:
    found = measure_contribution(Request(Deaf(), folder=tmp_path), without_priors).contribution
    for each in found.without[:4]:
        assert all(value.value == 0 for value in each.difference)
        assert all(test.permutation_p == 1 for test in each.tests)
    assert not found.hearing.is_shown
    assert "own audio-blind map: deaf has no audio-blind map of its own" in found.notes


@pytest.mark.slow
def test_a_swapped_sound_is_no_silence(without_priors: Protocol, tmp_path: Path) -> None:
    found = {
        each.name: each
        for each in measure_contribution(
            Request(Loud(), folder=tmp_path), without_priors
        ).contribution.without
    }
    assert found["other-category"].difference[1].value == 0
    assert found["silence"].difference[1].value != 0


@pytest.mark.parametrize("name", ["ogl-l1", "center"])
def test_a_model_that_never_listens_is_refused(name: str, protocol: Protocol) -> None:
    with refused("E_MODEL_AUDIO_BLIND", where=name):
        measure_contribution(Request(name), protocol)


def test_rankings_other_dialects_and_unknown_measures_are_refused(protocol: Protocol) -> None:
    with refused("E_PROTOCOL_RANKING"):
        measure_contribution(Request("ezvsl"), "retrieval")
    with refused("E_DIALECT_UNKNOWN"):
        measure_contribution(Request("ezvsl", dialect="ezvls"), protocol)
    with refused("E_MEASURE_MISSING", where="side-accuracy"):
        measure_contribution(Request("ezvsl", dialect="slavc"), protocol, measure="side-accuracy")
    with refused("E_MEASURE_MISSING", where="cIoU@9"):
        measure_contribution(Request("ezvsl"), protocol, measure="cIoU@9")


@pytest.mark.parametrize(
    ("name", "dialect"),
    [("concat", "sslalign"), ("concat", "acl-half:8"), ("negative-audio", None)],
)
def test_maps_without_sound_are_scored_as_an_evaluation_does(
    name: str, dialect: str | None, protocol: Protocol, tmp_path: Path
) -> None:
    """Under its dialect, and at thresholds that each kind of maps gives by itself."""
    table = protocol.test_set.model_copy(update={"options": {"count": 24}})
    protocol = load_protocol(name).model_copy(update={"test_set": table})
    measured = measure_contribution(Request("ezvsl", dialect=dialect, folder=tmp_path), protocol)
    found, result = measured.contribution, read_result(tmp_path)
    assert found.protocol == result.protocol
    assert (f"dialect {dialect}" in found.question) == (dialect is not None)
    assert found.measures == result.measures
    assert result.vision_only is not None
    others = {each.name: each.measures for each in found.without}
    assert others["own audio-blind map"] == result.vision_only.measures
    for prior in result.priors:
        assert others[f"prior {prior.name}"] == prior.measures
    own, blind = tmp_path / "predictions.npz", tmp_path / "vision_only.npz"
    stored = contribution_of_files(own, {"own": blind}, protocol, dialect=dialect)
    assert stored.contribution.without[0].measures == result.vision_only.measures


def test_a_file_is_not_compared_with_itself(
    ezvsl: tuple[Measured, Path], protocol: Protocol
) -> None:
    own = ezvsl[1] / "predictions.npz"
    with refused("E_PREDICTIONS_SAME", where="predictions.npz"):
        contribution_of_files(own, {"mute": own}, protocol)


def test_maps_made_with_other_sounds_cannot_pass_for_the_real_ones(
    ezvsl: tuple[Measured, Path], protocol: Protocol
) -> None:
    mute = ezvsl[1] / "silence" / "predictions.npz"
    with refused(where="digest"):
        contribution_of_files(mute, {"own": ezvsl[1] / "vision_only.npz"}, protocol)


def test_the_document_reads_back(ezvsl: tuple[Measured, Path], tmp_path: Path) -> None:
    path = tmp_path / "contribution.json"
    write_contribution(path, ezvsl[0].contribution)
    assert Contribution.model_validate_json(path.read_text()) == ezvsl[0].contribution
    assert json.loads(path.read_text())["format"] == "ssl-bench-contribution/2"


@pytest.fixture
def lacking(tmp_path: Path) -> Request:
    """A model, and twelve clips of which one has no sound and one a damaged picture."""
    make_vggss(tmp_path / "data", 12)
    folder = tmp_path / "data" / "vggss"
    (folder / "audio" / "clip0000001_000000.wav").unlink()
    (folder / "frames" / "clip0000002_000000.png").write_bytes(b"no picture")
    report = tmp_path / "problems.csv"
    return Request(LevelMatcher(), data=tmp_path / "data", folder=tmp_path / "run", problems=report)


@pytest.fixture
def vggss() -> Protocol:
    controls = ControlsTable(floors=("center",), vision_only=False)
    return load_protocol("vggss").model_copy(update={"controls": controls})


def test_unusable_media_are_named_before_anything_is_encoded(
    lacking: Request, vggss: Protocol
) -> None:
    with refused("E_MEDIA", "E_FILE_MISSING", "E_IMAGE_DAMAGED"):
        measure_contribution(lacking, vggss)
    assert lacking.folder is not None
    assert not lacking.folder.exists()
    assert lacking.problems is not None
    assert "clip0000002_000000" in lacking.problems.read_text()


@pytest.mark.parametrize(("missing", "counted"), [("skip", 10), ("fail", 12)])
def test_such_trials_are_left_out_or_fail_whatever_is_heard(
    lacking: Request, vggss: Protocol, missing: Missing, counted: int
) -> None:
    found = measure_contribution(replace(lacking, missing=missing), vggss).contribution
    assert (found.coverage.present, found.coverage.partial) == (10, missing == "skip")
    assert found.measures[0].n_trials == counted
    compared = {each.name: each.n_trials for each in found.without}
    assert compared["silence"] == compared["noise"] == compared["trivial map center"] == counted
    assert compared["other-category"] <= counted
    assert found.hearing.adds is not None
    assert any(note.startswith("2 of 12 trials") for note in found.notes)
