"""Many records in little memory behave as a tuple of them."""

from __future__ import annotations

import pickle
import tracemalloc
from dataclasses import replace

import pytest
from standins import MemoryTestSet, sample

from ssl_bench.packed import MANY, packed, rows_by_name
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.testsets.base import Sample
from ssl_bench.trials.compositions import compose
from ssl_bench.trials.trial import Trial

COUNT = MANY + 300
NAMES = [f"clip {number}" for number in range(COUNT)]


@pytest.mark.parametrize("count", [0, 1, MANY, COUNT])
def test_come_out_as_they_went_in(count: int) -> None:
    given = NAMES[:count]
    kept = packed(iter(given))
    assert len(kept) == count
    assert list(kept) == given
    assert kept[5:-1:1000] == tuple(given[5:-1:1000])
    assert all(kept[row] == given[row] for row in range(-count, count, 997))
    assert packed(kept) == kept
    for row in (count, -count - 1):
        with pytest.raises(IndexError):
            kept[row]


def test_equal_what_holds_the_same() -> None:
    kept = packed(NAMES)
    assert kept == NAMES
    assert kept == packed(iter(NAMES))
    assert kept != NAMES[1:]
    assert kept != [*NAMES[:-1], "other"]
    assert kept != "clips"


def test_can_be_sent_to_another_process() -> None:
    kept, rows = pickle.loads(pickle.dumps((packed(NAMES), rows_by_name(NAMES))))
    assert kept == NAMES
    assert rows[NAMES[-2]] == COUNT - 2


@pytest.mark.parametrize("names", [["é", "b", "", "日本"], NAMES])
def test_rows_are_found_by_name(names: list[str]) -> None:
    rows = rows_by_name(names)
    assert list(rows) == names
    assert len(rows) == len(names)
    assert all(rows[name] == row for row, name in list(enumerate(names))[::50])
    assert "another" not in rows
    assert rows.get("another") is None


def test_rows_are_told_apart_where_few_bits_of_names_differ(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ssl_bench.packed._hash", lambda name: hash(name) % 500)
    rows = rows_by_name(NAMES)
    assert list(rows) == NAMES
    assert all(rows[name] == row for row, name in list(enumerate(NAMES))[::997])
    assert "clip none" not in rows


@pytest.mark.parametrize("count", [10, COUNT])
def test_of_equal_names_the_last_is_found(count: int) -> None:
    names = ["twice", *NAMES[:count], "twice"]
    rows = rows_by_name(names)
    assert rows["twice"] == count + 1
    assert len(rows) == count + 1
    assert set(rows) == set(names)


def test_many_trials_answer_as_few_do() -> None:
    samples = [replace(sample(name), attributes={"image": name.lower()}) for name in NAMES]
    trials = compose(load_protocol("vggss"), MemoryTestSet(samples))
    part = trials.part(range(0, COUNT, 83), rest_fails=False)
    assert [trial.id for trial in part] == NAMES[::83]
    assert trials.trials[COUNT - 1] == Trial.of(samples[-1])
    assert trials.rows_of(NAMES[:7]).tolist() == list(range(7))


@pytest.mark.slow
def test_a_sample_and_its_trial_take_tens_of_bytes() -> None:
    def made() -> list[object]:
        samples = packed(
            sample(f"clip{number:07d}", group=f"video{number // 2}") for number in range(2 * MANY)
        )
        trials = packed(map(Trial.of, samples))
        return [samples, trials, rows_by_name(each.id for each in trials)]

    tracemalloc.start()
    try:
        kept = made()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(kept) == 3
    # As objects they take 1,100.
    assert held / (2 * MANY) < 100


def test_samples_keep_what_they_hold() -> None:
    given: list[Sample] = [sample(name) for name in NAMES]
    back = packed(given)[COUNT - 1]
    assert replace(back, annotation=given[-1].annotation) == given[-1]
