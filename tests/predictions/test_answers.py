from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from predicted import IDS, codes_of, problems_of
from refusals import refused

from ssl_bench.predictions import PredictionsMeta, PredictionsWriter, Question, check

PROTOCOL_DIGEST = "a" * 64
Make = Callable[..., dict[str, Any]]
Zip = Callable[..., Path]


def test_a_file_that_answers_every_trial(members: Make, zipped: Zip) -> None:
    question = Question(
        IDS,
        protocol="concat",
        protocol_digest="a" * 64,
        test_set="synth",
        test_set_digest="b" * 64,
    )
    found = check(zipped(members()), question)
    assert (len(found), found.missing, found.meta.model) == (4, (), "handmade")


def test_the_order_of_trials_is_free(members: Make, zipped: Zip) -> None:
    assert codes_of(zipped(members()), IDS[::-1]) == []


@pytest.mark.parametrize(
    ("complete", "partial", "expected"),
    [
        (False, False, ["E_IDS_MISSING"]),
        (False, True, []),
        (True, False, []),
        (True, True, []),
    ],
)
def test_a_missing_trial_is_a_problem_unless_the_file_is_complete_or_a_subset_is_asked(
    members: Make, zipped: Zip, complete: bool, partial: bool, expected: list[str]
) -> None:
    path = zipped(members(about={"complete": complete}))
    question = Question(["m1", *IDS, "m0"], partial=partial)
    if expected:
        with refused(*expected, where=path):
            check(path, question)
    else:
        assert check(path, question).missing == ("m1", "m0")


def test_missing_trials_are_named_and_counted(members: Make, zipped: Zip) -> None:
    found = problems_of(zipped(members()), [*IDS, *(f"m{i}" for i in range(9))])
    (problem,) = found
    assert problem.ids[:2] == ("m0", "m1")
    assert len(problem.ids) == 9


def test_unknown_trials_are_named(members: Make, zipped: Zip) -> None:
    (problem,) = problems_of(zipped(members()), ["t0", "t2"])
    assert (problem.code, problem.ids) == ("E_IDS_UNKNOWN", ("t1", "t3"))


def test_partial_does_not_excuse_unknown_trials(members: Make, zipped: Zip) -> None:
    assert codes_of(zipped(members()), ["t0"], partial=True) == ["E_IDS_UNKNOWN"]


def test_duplicate_trials_are_named_once(members: Make, zipped: Zip) -> None:
    ids = np.array(["t0", "t1", "t0", "t0"])
    found = problems_of(zipped(members(trial_id=ids)), ["t0", "t1"])
    (problem,) = found
    assert (problem.code, problem.ids, len(problem.ids)) == ("E_IDS_DUPLICATE", ("t0",), 1)


def test_a_trial_in_two_shards_is_a_duplicate(tmp_path: Path, members: Make, zipped: Zip) -> None:
    zipped(members(3), "shards/a.npz")
    zipped(members(2, trial_id=np.array(["t3", "t1"])), "shards/b.npz")
    (problem,) = problems_of(tmp_path / "shards", IDS)
    assert (problem.code, problem.ids) == ("E_IDS_DUPLICATE", ("t1",))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"protocol": "synth"}, "E_OTHER_PROTOCOL"),
        ({"protocol_digest": "c" * 64}, "E_PROTOCOL_VERSION"),
        ({"test_set": "vggss"}, "E_OTHER_TEST_SET"),
        ({"test_set_digest": "c" * 64}, "E_TEST_SET_VERSION"),
    ],
)
def test_predictions_for_something_else(
    members: Make, zipped: Zip, wanted: dict[str, str], expected: str
) -> None:
    (problem,) = problems_of(zipped(members()), IDS, **wanted)
    assert problem.code == expected


def test_another_protocol_is_said_once_and_not_again_for_its_digest(
    members: Make, zipped: Zip
) -> None:
    path = zipped(members())
    assert codes_of(path, protocol="synth", protocol_digest="c" * 64) == ["E_OTHER_PROTOCOL"]


class TestTrialsDigest:
    """A file that names its trials is held to them, and to the protocol only without."""

    asked: Mapping[str, Any] = MappingProxyType(
        {"protocol": "concat", "protocol_digest": "c" * 64, "trials_digest": "e" * 64}
    )

    def test_the_same_trials_of_another_version_fit(self, members: Make, zipped: Zip) -> None:
        path = zipped(members(about={"trials_digest": "e" * 64}))
        assert codes_of(path, **self.asked) == []

    def test_the_same_trials_of_another_protocol_fit(self, members: Make, zipped: Zip) -> None:
        path = zipped(members(about={"trials_digest": "e" * 64, "protocol": "mine"}))
        assert codes_of(path, **self.asked) == []

    def test_other_trials_do_not_fit_even_under_the_same_protocol(
        self, members: Make, zipped: Zip
    ) -> None:
        path = zipped(members(about={"trials_digest": "f" * 64}))
        wanted = {**self.asked, "protocol_digest": PROTOCOL_DIGEST}
        (problem,) = problems_of(path, IDS, **wanted)
        assert problem.code == "E_PROTOCOL_VERSION"

    def test_other_trials_of_another_protocol_are_said_once(
        self, members: Make, zipped: Zip
    ) -> None:
        path = zipped(members(about={"trials_digest": "f" * 64, "protocol": "mine"}))
        assert codes_of(path, **self.asked) == ["E_OTHER_PROTOCOL"]

    def test_a_file_without_it_is_held_to_the_protocol(self, members: Make, zipped: Zip) -> None:
        path = zipped(members())
        assert codes_of(path, **self.asked) == ["E_PROTOCOL_VERSION"]
        assert codes_of(path, **{**self.asked, "protocol_digest": PROTOCOL_DIGEST}) == []

    def test_the_test_set_must_still_be_the_same(self, members: Make, zipped: Zip) -> None:
        path = zipped(members(about={"trials_digest": "e" * 64}))
        assert codes_of(path, **self.asked, test_set_digest="c" * 64) == ["E_TEST_SET_VERSION"]


def test_shards_that_disagree(tmp_path: Path, members: Make, zipped: Zip) -> None:
    rest = {"trial_id": np.array(["t2", "t3"])}
    zipped(members(2), "shards/a.npz")
    other = members(2, about={"model": "another"}, score=np.zeros(2), **rest)
    zipped(other, "shards/b.npz")
    problems = problems_of(tmp_path / "shards", IDS)
    assert [problem.code for problem in problems] == ["E_SHARDS", "E_SHARDS"]
    assert all(problem.where.name == "b.npz" and "b.npz" in problem for problem in problems)


def test_an_unreadable_shard_is_not_also_reported_as_missing_trials(
    tmp_path: Path, members: Make, zipped: Zip
) -> None:
    zipped(members(2), "shards/a.npz")
    (tmp_path / "shards" / "b.npz").write_bytes(b"damaged")
    assert codes_of(tmp_path / "E_SHARDS") == ["E_FILE_UNREADABLE"]


def test_one_report_names_every_problem(members: Make, zipped: Zip) -> None:
    arrays = members(
        5,
        trial_id=np.array(["t0", "t1", "t1", "stranger", "a\nb"]),
        score=np.zeros(4),
        map_index=np.array([0, 1, 2, 3, 9]),
        about={"protocol_digest": "d" * 64},
    )
    path = zipped(arrays, also=(("../evil.npy", b""),))
    found = problems_of(path, IDS, protocol="concat", protocol_digest="a" * 64)
    assert [problem.code for problem in found] == [
        "E_MEMBERS",
        "E_ARRAY_SHAPE",
        "E_IDS",
        "E_MAP_INDEX",
        "E_IDS_DUPLICATE",
        "E_PROTOCOL_VERSION",
        "E_IDS_UNKNOWN",
        "E_IDS_MISSING",
    ]
    assert all(problem.remedy for problem in found)
    for part in ("'stranger'", "'../evil.npy'", "'t2', 't3'", r"'a\nb'"):
        assert any(part in problem for problem in found)


def test_values_are_not_read_where_rows_belong_to_no_trial(members: Make, zipped: Zip) -> None:
    maps = members(5)["map"].copy()
    maps[1, 0, 0] = np.nan
    fits, does_not = (members(5, map=maps, score=np.zeros(count)) for count in (5, 4))
    assert "E_NOT_FINITE" in [each.code for each in problems_of(zipped(fits), IDS)]
    codes = [each.code for each in problems_of(zipped(does_not), IDS)]
    assert "E_ARRAY_SHAPE" in codes
    assert "E_NOT_FINITE" not in codes


def test_far_more_trials_than_expected_are_not_even_read(tmp_path: Path, members: Make) -> None:
    count = 150_000
    arrays = members(4, trial_id=np.arange(count).astype("U6"), map_index=np.zeros(count, int))
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    tracemalloc.start()
    found = problems_of(tmp_path / "a.npz", IDS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "E_FILE_TOO_LARGE" in {problem.code for problem in found}
    assert peak < 3e6


def test_memory_does_not_grow_with_the_maps(tmp_path: Path, meta: PredictionsMeta) -> None:
    ids = [f"t{i}" for i in range(640)]
    with PredictionsWriter(tmp_path / "p.npz", meta) as writer:
        for start in range(0, 640, 64):
            writer.add(ids[start : start + 64], np.ones((64, 128, 128), np.float32))
    tracemalloc.start()
    found = problems_of(tmp_path / "p.npz", ids)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == []
    assert 640 * 128 * 128 * 4 > 40e6
    assert peak < 5e6


def test_trials_in_another_spelling_are_to_be_renamed_not_removed(
    members: Make, zipped: Zip
) -> None:
    ids = np.array(["t0.mp4", "t1", "t2", "zz"])
    found = problems_of(zipped(members(trial_id=ids)), ["t0", "t1", "t2"], partial=True)
    assert [(each.code, each.ids) for each in found] == [
        ("E_IDS_SPELLING", ("t0.mp4",)),
        ("E_IDS_UNKNOWN", ("zz",)),
    ]
    assert "'t0.mp4' as 't0'" in str(found[0].remedy)
