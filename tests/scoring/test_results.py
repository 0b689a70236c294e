"""The result document: complete, checked by its schema, the same after writing and reading."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator, ValidationError
from refusals import refused
from standins import boxes, sample, trials_of

from ssl_bench.errors import ResultError
from ssl_bench.models.registry import load_baseline
from ssl_bench.predictions import PredictionsMeta, save_predictions
from ssl_bench.protocols.protocol import ControlsTable, load_dialect
from ssl_bench.scoring.results import Result, differing_fields, read_result, write_result
from ssl_bench.scoring.run import score_file
from ssl_bench.trials.trial_set import TrialSet


def predictions(path: Path, trials: TrialSet, ids: list[str], seed: int) -> Path:
    meta = PredictionsMeta(
        protocol=trials.protocol.label,
        protocol_digest=trials.protocol.digest,
        test_set=trials.test_set.name,
        test_set_digest=trials.test_set.digest,
        model="noise",
        complete=True,
    )
    maps = np.random.default_rng(seed).random((len(ids), 7, 7), dtype=np.float32)
    save_predictions(path, ids, maps, meta)
    return path


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A result with everything in it: floors, ceiling, gap, card, missing and unscorable trials."""
    folder = tmp_path_factory.mktemp("real")
    samples = [
        sample(f"s{number}", boxes((0, 0, 0.125 * number, 0.5)), category="ab"[number % 2])
        for number in range(8)
    ]
    controls = ControlsTable(floors=("center", "full"))
    trials = trials_of(
        samples, controls=controls, measures=("cIoU@0.5", "AUC", "cIoU(adaptive)@0.5", "mean-cIoU")
    )
    scored = score_file(
        predictions(folder / "p.npz", trials, trials.ids[:-1], 0),
        trials,
        vision_only=predictions(folder / "v.npz", trials, trials.ids, 1),
        card=load_baseline("center").card.model_dump(mode="json"),
    )
    timings = {"localizing_s": 1.5, **scored.result.timings}
    return scored.result.model_copy(update={"timings": timings})


@pytest.fixture(scope="module")
def undefined(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A result under a dialect in which a mean is undefined."""
    path = tmp_path_factory.mktemp("undefined") / "p.npz"
    trials = trials_of([sample("s", boxes()), sample("t")], size=224)
    meta = PredictionsMeta(
        protocol=trials.protocol.label,
        protocol_digest=trials.protocol.digest,
        test_set=trials.test_set.name,
        test_set_digest=trials.test_set.digest,
        model="flat",
        complete=True,
    )
    save_predictions(path, trials.ids, np.zeros((2, 3, 3)), meta)
    conventions = trials.protocol.under(load_dialect("sslalign"))
    return score_file(path, trials, conventions=conventions).result


class TestContent:
    def test_it_says_what_was_measured_and_on_what(self, real: Result) -> None:
        assert real.protocol.label == "handmade@memory:all"
        assert (real.protocol.version, real.protocol.dialect) == (1, "canonical")
        assert len(real.protocol.digest) == len(real.test_set.digest) == 64
        assert (real.test_set.n_samples, real.test_set.truth_convention) == (8, "union")

    def test_it_states_coverage_by_name(self, real: Result) -> None:
        coverage = real.coverage
        assert (coverage.expected, coverage.present, coverage.partial) == (8, 7, False)
        assert coverage.missing == ("s7",)
        assert coverage.unscorable == ("s0",)

    def test_measures_are_found_by_their_text(self, real: Result) -> None:
        assert real["AUC"].measure == "AUC"
        assert real["cIoU(adaptive)@0.5"].n_trials == 8
        with refused("E_MEASURE_MISSING") as caught:
            real["IoU"]
        assert "cIoU@0.5" in str(caught.value.remedy)

    def test_controls_stand_beside_the_score(self, real: Result) -> None:
        assert [floor.name for floor in real.floors] == ["center", "full"]
        assert real.ceiling is not None
        assert real.vision_only is not None
        for ours, blind, told in zip(
            real.measures, real.vision_only.measures, real.hearing, strict=True
        ):
            assert ours.measure == blind.measure == told.measure

    def test_an_undefined_mean_is_null(self, undefined: Result) -> None:
        assert undefined.protocol.dialect == "sslalign"
        mean = undefined["mean-cIoU"]
        assert (mean.value, mean.low, mean.high, mean.method) == (None, None, None, "none")
        assert undefined["cIoU@0.5"].value == 0

    def test_it_cannot_be_changed_by_accident(self, real: Result) -> None:
        changed: Any = real
        with pytest.raises(ValueError, match="frozen"):
            changed.floors = ()


class TestFiles:
    @pytest.mark.parametrize("which", ["real", "undefined"])
    def test_it_is_the_same_after_writing_and_reading(
        self, tmp_path: Path, which: str, request: pytest.FixtureRequest
    ) -> None:
        result: Result = request.getfixturevalue(which)
        path = tmp_path / "runs" / "result.json"
        write_result(path, result)
        assert read_result(path) == result
        again = tmp_path / "again.json"
        write_result(again, read_result(path))
        assert again.read_bytes() == path.read_bytes()
        assert path.read_bytes().endswith(b"}\n")

    def test_one_of_an_earlier_version_is_read_without_what_has_gone(
        self, tmp_path: Path, real: Result
    ) -> None:
        content = json.loads(real.model_dump_json())
        del content["hearing"]
        content |= {"floor": "center", "best_floor": content["floors"][0], "best_prior": []}
        content["vision_only"]["gap"] = content["measures"]
        (tmp_path / "result.json").write_text(json.dumps(content))
        assert read_result(tmp_path) == real.model_copy(update={"hearing": ()})

    def test_it_is_strict_json_without_nan(self, tmp_path: Path, undefined: Result) -> None:
        write_result(tmp_path / "r.json", undefined)

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is no JSON")

        json.loads((tmp_path / "r.json").read_text(), parse_constant=refuse)


Change = Callable[[dict[str, Any]], Any]


def drop(content: dict[str, Any], *path: str) -> None:
    for key in path[:-1]:
        content = content[key]
    del content[path[-1]]


BROKEN: dict[str, Change] = {
    "format": lambda content: content.update(format="ssl-bench-result/0"),
    "surprise": lambda content: content.update(surprise=1),
    "protocol.digest": lambda content: drop(content, "protocol", "digest"),
    "protocol.version": lambda content: content["protocol"].update(version="one"),
    "coverage.present": lambda content: content["coverage"].update(present=1.5),
    "measures": lambda content: content.update(measures="none"),
    "measures.0.method": lambda content: content["measures"][0].update(method="guess"),
    "measures.0.value": lambda content: content["measures"][0].update(value="high"),
    "test_set.revision": lambda content: drop(content, "test_set", "revision"),
    "environment": lambda content: drop(content, "environment"),
}


class TestSchema:
    def test_it_is_a_valid_schema(self) -> None:
        Draft202012Validator.check_schema(Result.model_json_schema())

    @pytest.mark.parametrize("which", ["real", "undefined"])
    def test_a_result_follows_it(self, which: str, request: pytest.FixtureRequest) -> None:
        result: Result = request.getfixturevalue(which)
        Draft202012Validator(Result.model_json_schema()).validate(
            json.loads(result.model_dump_json())
        )

    @pytest.mark.parametrize("field", BROKEN)
    def test_a_broken_document_does_not(self, real: Result, field: str) -> None:
        content = json.loads(real.model_dump_json())
        BROKEN[field](content)
        with pytest.raises(ValidationError):
            Draft202012Validator(Result.model_json_schema()).validate(content)


class TestMalformedFiles:
    @pytest.mark.parametrize("field", BROKEN)
    def test_a_wrong_field_is_named_with_the_file(
        self, tmp_path: Path, real: Result, field: str
    ) -> None:
        content = json.loads(real.model_dump_json())
        BROKEN[field](content)
        path = tmp_path / "result.json"
        path.write_text(json.dumps(content))
        with pytest.raises(ResultError) as caught:
            read_result(path)
        assert field in str(caught.value)
        assert caught.value.where == str(path)
        assert caught.value.remedy

    @pytest.mark.parametrize(
        "content",
        [b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b"[" * 100_000, b'{"format": "x"}'],
        ids=["empty", "cut off", "list", "null", "binary", "nested", "another document"],
    )
    def test_a_file_that_is_no_result_is_refused(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "result.json"
        path.write_bytes(content)
        with pytest.raises(ResultError) as caught:
            read_result(path)
        assert caught.value.where == str(path)

    def test_a_file_that_is_not_there_or_a_folder_without_one_is_refused(
        self, tmp_path: Path
    ) -> None:
        for path, asked in (
            (tmp_path / "absent.json", tmp_path / "absent.json"),
            (tmp_path, tmp_path / "result.json"),
        ):
            with refused("E_FILE_MISSING", where=asked, kind=ResultError):
                read_result(path)


def test_settings_that_differ_are_named_for_one_protocol_only(real: Result) -> None:
    assert real.protocol.tables is not None
    rule = real.protocol.tables["threshold"]["rule"]
    threshold = {**real.protocol.tables["threshold"], "rule": "fraction"}
    tables = {**real.protocol.tables, "threshold": threshold}

    def against(**changes: Any) -> list[tuple[str, str, str]]:
        protocol = real.protocol.model_copy(update={"tables": tables, **changes})
        return differing_fields(real, real.model_copy(update={"protocol": protocol}))

    assert against() == [("protocol threshold.rule", "fraction", rule)]
    assert against(name="other") == [("protocol name", "other", real.protocol.name)]
