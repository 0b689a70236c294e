"""Type A and Type B: where types come from, and what a list must look like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refusals import refused
from standins import MemoryTestSet, folder_test_set, protocol, sample

from ssl_bench.errors import AnnotationError
from ssl_bench.measures.values import parse_measure
from ssl_bench.protocols.protocol import CompositionTable
from ssl_bench.scoring.aggregate import breakdown, summarise
from ssl_bench.scoring.maps import MapBatch
from ssl_bench.scoring.scores import Job, score_maps
from ssl_bench.testsets import open_test_set
from ssl_bench.testsets.base import Sample, TestSet
from ssl_bench.trials.compositions import compose as compose_trials
from ssl_bench.trials.compositions.type_ab import compose, read_types
from ssl_bench.trials.trial import Trial
from ssl_bench.trials.trial_set import TrialSet

LIST = "id,type\nb,B\na,A\n"


def typed(identifier: str, kind: str, capable: int) -> Sample:
    return sample(identifier, attributes={"type": kind, "n_capable": capable})


SAMPLES = [sample("a"), sample("b"), sample("c")]


def listed(test_set: TestSet, path: str) -> tuple[Trial, ...]:
    table = CompositionTable(kind="type_ab", parameters={"list": path})
    return compose_trials(protocol(composition=table), test_set).trials


class TestOwnTypes:
    def test_pictures_with_a_single_capable_object_have_no_type(self) -> None:
        trials = compose(
            MemoryTestSet([typed("a", "A", 2), typed("b", "A", 1), typed("c", "B", 3)])
        )
        assert [trial.id for trial in trials] == ["a#A", "c#B"]
        assert [trial.attributes["type"] for trial in trials] == ["A", "B"]

    def test_the_embedded_world_shows_each_picture_as_either(self) -> None:
        trials = compose(open_test_set("synth", "type-ab", options={"count": 20}))
        assert [trial.attributes["type"] for trial in trials] == ["A", "B"] * 10
        for whole, single in zip(trials[::2], trials[1::2], strict=True):
            assert whole.image == single.image
            assert whole.audio != single.audio
            assert whole.group == single.group

    def test_samples_without_a_type_are_refused(self) -> None:
        with refused("E_COMPOSITION_SAMPLES", where="b: ") as caught:
            compose(MemoryTestSet([typed("a", "A", 2), sample("b")]))
        assert "type_ab.csv" in str(caught.value)

    def test_one_type_alone_is_refused(self) -> None:
        with refused("E_COMPOSITION_SAMPLES"):
            compose(MemoryTestSet([typed("a", "A", 2)]))


class TestLists:
    def test_the_list_beside_the_data_chooses(self, tmp_path: Path) -> None:
        (tmp_path / "type_ab.csv").write_text(LIST)
        trials = compose(folder_test_set(SAMPLES, tmp_path))
        assert [trial.id for trial in trials] == ["a#A", "b#B"]

    def test_a_named_list_lies_there_too(self, tmp_path: Path) -> None:
        (tmp_path / "mine.csv").write_text("id,type\nc,A\na,B\n")
        trials = listed(folder_test_set(SAMPLES, tmp_path), "mine.csv")
        assert [trial.id for trial in trials] == ["a#B", "c#A"]

    def test_a_whole_path_works_anywhere(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.csv"
        path.write_text(LIST)
        for trials in (
            listed(MemoryTestSet(SAMPLES), str(path)),
            listed(folder_test_set(SAMPLES, tmp_path / "x"), str(path)),
        ):
            assert [trial.id for trial in trials] == ["a#A", "b#B"]

    def test_a_relative_path_without_a_folder_is_refused(self) -> None:
        with refused("E_COMPOSITION_PARAMETER", where="mine.csv"):
            listed(MemoryTestSet(SAMPLES), "mine.csv")

    @pytest.mark.parametrize("given", [{"list": 3}, {"types": "a"}, {"seed": 1, "list": "/a"}])
    def test_parameters_are_checked(self, given: dict[str, Any]) -> None:
        table = CompositionTable(kind="type_ab", parameters=given)
        with refused("E_COMPOSITION_PARAMETER", where=next(iter(given))):
            compose_trials(protocol(composition=table), MemoryTestSet(SAMPLES))

    def test_a_listed_id_that_is_not_annotated_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "type_ab.csv").write_text(LIST + "z,A\ny,B\n")
        with pytest.raises(AnnotationError) as caught:
            compose(folder_test_set(SAMPLES, tmp_path))
        assert [problem[0] for problem in caught.value.problems] == ["y", "z"]

    @pytest.mark.parametrize(
        ("text", "codes", "places"),
        [
            ("", ["E_CSV_HEADER"], ["id,type"]),
            ("a,A\nb,B\n", ["E_CSV_HEADER"], ["id,type"]),
            ("id,type\n", ["E_FILE_EMPTY"], [""]),
            ("id,type\na,C\n,A\n", ["E_SCHEMA"], ["line 2", "line 3"]),
            ("id,type\na,A\nb,B,B\n", ["E_CSV_FIELDS"], ["line 3"]),
            ("id,type\na,A\na,B\n", ["E_ID_REPEATED"], ["a"]),
            ('id,type\n"a,A\n', ["E_CSV"], ["line 2"]),
        ],
    )
    def test_every_bad_line_is_reported(
        self, tmp_path: Path, text: str, codes: list[str], places: list[str]
    ) -> None:
        path = tmp_path / "types.csv"
        path.write_text(text)
        with refused(*codes, where=path) as caught:
            read_types(path)
        assert isinstance(caught.value, AnnotationError)
        for problem, place in zip(caught.value.problems, places, strict=True):
            assert place in problem

    def test_another_encoding_and_a_missing_file_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "types.csv"
        with refused("E_FILE_MISSING", where="types.csv"):
            read_types(path)
        path.write_text(LIST, encoding="utf-16")
        with refused("E_ENCODING", where="types.csv"):
            read_types(path)


def test_the_gap_and_the_scores_by_type() -> None:
    samples = [typed(f"{kind}{number}", kind, 2) for kind in "AB" for number in range(20)]
    trials = TrialSet(protocol("type_ab"), MemoryTestSet(samples), compose(MemoryTestSet(samples)))
    left = np.zeros((1, 2), np.float32)
    left[0, 0] = 1
    maps = np.stack([left if row < 35 else left[:, ::-1] for row in range(40)])
    measures = [parse_measure(text) for text in ("cIoU@0.5", "type-gap@0.5")]
    scores = score_maps(Job([MapBatch(np.arange(40), maps)], trials, measures))[0]
    found = {each.measure: each for each in summarise(scores, measures)}
    assert found["type-gap@0.5"].value == 0.25
    low, high = found["type-gap@0.5"].low, found["type-gap@0.5"].high
    assert low is not None
    assert high is not None
    assert low <= 0.25 <= high
    by_type = breakdown(scores, measures)["type"]
    assert {name: values[0].value for name, values in by_type.items()} == {"A": 1.0, "B": 0.75}
