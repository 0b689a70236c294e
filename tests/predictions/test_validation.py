from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from ssl_bench.errors import PredictionsError
from ssl_bench.predictions import PredictionsMeta, PredictionsWriter, validate

IDS = ["t0", "t1", "t2", "t3"]
PROTOCOL_DIGEST = "a" * 64
Make = Callable[..., dict[str, Any]]
Zip = Callable[..., Path]


def kinds(path: Path, expected: list[str] = IDS, **options: Any) -> list[str]:
    return [problem.kind for problem in validate(path, expected, **options).problems]


def test_a_file_that_answers_every_trial(members: Make, zipped: Zip) -> None:
    found = validate(
        zipped(members()),
        IDS,
        protocol="concat",
        protocol_digest="a" * 64,
        test_set="synth",
        test_set_digest="b" * 64,
    )
    assert found.is_scorable
    assert (found.n_present, found.n_expected, found.missing) == (4, 4, ())
    assert found.meta is not None
    assert found.meta.model == "handmade"
    found.raise_for_problems()


def test_the_order_of_trials_is_free(members: Make, zipped: Zip) -> None:
    assert kinds(zipped(members()), IDS[::-1]) == []


@pytest.mark.parametrize(
    ("complete", "partial", "expected"),
    [
        (False, False, ["missing-ids"]),
        (False, True, []),
        (True, False, []),
        (True, True, []),
    ],
)
def test_a_missing_trial_is_a_problem_unless_the_file_is_complete_or_a_subset_is_asked(
    members: Make, zipped: Zip, complete: bool, partial: bool, expected: list[str]
) -> None:
    path = zipped(members(about={"complete": complete}))
    found = validate(path, ["m1", *IDS, "m0"], partial=partial)
    assert [problem.kind for problem in found.problems] == expected
    assert found.missing == ("m1", "m0")
    assert (found.n_present, found.n_expected) == (4, 6)


def test_missing_trials_are_named_and_counted(members: Make, zipped: Zip) -> None:
    found = validate(zipped(members()), [*IDS, *(f"m{i}" for i in range(9))])
    (problem,) = found.problems
    assert problem.ids == ("m0", "m1", "m2", "m3", "m4")
    assert problem.count == 9


def test_unknown_trials_are_named(members: Make, zipped: Zip) -> None:
    (problem,) = validate(zipped(members()), ["t0", "t2"]).problems
    assert (problem.kind, problem.ids) == ("unknown-ids", ("t1", "t3"))


def test_partial_does_not_excuse_unknown_trials(members: Make, zipped: Zip) -> None:
    assert kinds(zipped(members()), ["t0"], partial=True) == ["unknown-ids"]


def test_duplicate_trials_are_named_once(members: Make, zipped: Zip) -> None:
    ids = np.array(["t0", "t1", "t0", "t0"])
    found = validate(zipped(members(trial_id=ids)), ["t0", "t1"])
    (problem,) = found.problems
    assert (problem.kind, problem.ids, problem.count) == ("duplicate-ids", ("t0",), 1)


def test_a_trial_in_two_shards_is_a_duplicate(tmp_path: Path, members: Make, zipped: Zip) -> None:
    zipped(members(3), "shards/a.npz")
    zipped(members(2, trial_id=np.array(["t3", "t1"])), "shards/b.npz")
    (problem,) = validate(tmp_path / "shards", IDS).problems
    assert (problem.kind, problem.ids) == ("duplicate-ids", ("t1",))


@pytest.mark.parametrize(
    ("wanted", "expected", "part"),
    [
        ({"protocol": "synth"}, "protocol", "'concat', not for 'synth'"),
        ({"protocol_digest": "c" * 64}, "protocol-digest", "another version of the protocol"),
        ({"test_set": "vggss"}, "test-set", "'synth', not for 'vggss'"),
        ({"test_set_digest": "c" * 64}, "test-set-digest", "another version of the test set"),
    ],
)
def test_predictions_for_something_else(
    members: Make, zipped: Zip, wanted: dict[str, str], expected: str, part: str
) -> None:
    (problem,) = validate(zipped(members()), IDS, **wanted).problems
    assert problem.kind == expected
    assert part in problem.message


def test_another_protocol_is_said_once_and_not_again_for_its_digest(
    members: Make, zipped: Zip
) -> None:
    path = zipped(members())
    assert kinds(path, protocol="synth", protocol_digest="c" * 64) == ["protocol"]


class TestTrialsDigest:
    """A file that names its trials is held to them, and to the protocol only without."""

    asked: Mapping[str, Any] = MappingProxyType(
        {"protocol": "concat", "protocol_digest": "c" * 64, "trials_digest": "e" * 64}
    )

    def test_the_same_trials_of_another_version_fit(self, members: Make, zipped: Zip) -> None:
        path = zipped(members(about={"trials_digest": "e" * 64}))
        assert kinds(path, **self.asked) == []

    def test_the_same_trials_of_another_protocol_fit(self, members: Make, zipped: Zip) -> None:
        path = zipped(members(about={"trials_digest": "e" * 64, "protocol": "mine"}))
        assert kinds(path, **self.asked) == []

    def test_other_trials_do_not_fit_even_under_the_same_protocol(
        self, members: Make, zipped: Zip
    ) -> None:
        path = zipped(members(about={"trials_digest": "f" * 64}))
        wanted = {**self.asked, "protocol_digest": PROTOCOL_DIGEST}
        (problem,) = validate(path, IDS, **wanted).problems
        assert problem.kind == "protocol-digest"
        assert "ffffffffffff, not eeeeeeeeeeee" in problem.message

    def test_other_trials_of_another_protocol_are_said_once(
        self, members: Make, zipped: Zip
    ) -> None:
        path = zipped(members(about={"trials_digest": "f" * 64, "protocol": "mine"}))
        assert kinds(path, **self.asked) == ["protocol"]

    def test_a_file_without_it_is_held_to_the_protocol(self, members: Make, zipped: Zip) -> None:
        path = zipped(members())
        assert kinds(path, **self.asked) == ["protocol-digest"]
        assert kinds(path, **{**self.asked, "protocol_digest": PROTOCOL_DIGEST}) == []

    def test_the_test_set_must_still_be_the_same(self, members: Make, zipped: Zip) -> None:
        path = zipped(members(about={"trials_digest": "e" * 64}))
        assert kinds(path, **self.asked, test_set_digest="c" * 64) == ["test-set-digest"]


def test_shards_that_disagree(tmp_path: Path, members: Make, zipped: Zip) -> None:
    rest = {"trial_id": np.array(["t2", "t3"])}
    zipped(members(2), "shards/a.npz")
    other = members(2, about={"model": "another"}, score=np.zeros(2), **rest)
    zipped(other, "shards/b.npz")
    problems = validate(tmp_path / "shards", IDS).problems
    assert [problem.kind for problem in problems] == ["shards", "shards"]
    assert all(problem.where.endswith("b.npz") for problem in problems)


def test_an_unreadable_shard_is_not_also_reported_as_missing_trials(
    tmp_path: Path, members: Make, zipped: Zip
) -> None:
    zipped(members(2), "shards/a.npz")
    (tmp_path / "shards" / "b.npz").write_bytes(b"damaged")
    assert kinds(tmp_path / "shards") == ["unreadable"]


def test_one_report_names_every_problem(members: Make, zipped: Zip) -> None:
    maps = members(5)["map"].copy()
    maps[1, 0, 0] = np.nan
    arrays = members(
        5,
        trial_id=np.array(["t0", "t1", "t1", "stranger", "a\nb"]),
        map=maps,
        score=np.zeros(4),
        map_index=np.array([0, 1, 2, 3, 9]),
        about={"protocol_digest": "d" * 64},
    )
    path = zipped(arrays, also=(("../evil.npy", b""),))
    found = validate(path, IDS, protocol="concat", protocol_digest="a" * 64)
    assert [problem.kind for problem in found.problems] == [
        "member",
        "shape",
        "bad-ids",
        "map-index",
        "not-finite",
        "duplicate-ids",
        "protocol-digest",
        "unknown-ids",
        "missing-ids",
    ]
    assert all(problem.remedy for problem in found.problems)
    with pytest.raises(PredictionsError) as caught:
        found.raise_for_problems()
    assert len(caught.value.problems) == 9
    assert str(caught.value).count(str(path)) == 1
    for part in ("'stranger'", "'../evil.npy'", "another version", "'t2', 't3'", r"'a\nb'"):
        assert part in str(caught.value)


def test_far_more_trials_than_expected_are_not_even_read(tmp_path: Path, members: Make) -> None:
    count = 150_000
    arrays = members(4, trial_id=np.arange(count).astype("U6"), map_index=np.zeros(count, int))
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    tracemalloc.start()
    found = validate(tmp_path / "a.npz", IDS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "too-large" in {problem.kind for problem in found.problems}
    assert peak < 3e6


def test_memory_does_not_grow_with_the_maps(tmp_path: Path, meta: PredictionsMeta) -> None:
    ids = [f"t{i}" for i in range(640)]
    with PredictionsWriter(tmp_path / "p.npz", meta) as writer:
        for start in range(0, 640, 64):
            writer.add(ids[start : start + 64], np.ones((64, 128, 128), np.float32))
    tracemalloc.start()
    found = validate(tmp_path / "p.npz", ids)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.is_scorable
    assert 640 * 128 * 128 * 4 > 40e6
    assert peak < 5e6
