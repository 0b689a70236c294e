"""Parts are worked on here, in other processes or on Ray, with the same outcome."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import pytest
from refusals import refused

from ssl_bench.errors import DataError
from ssl_bench.executors import HERE, Executor, processes


def doubling(_device: str | None) -> Callable[[Any], Any]:
    return lambda part: part * 2


def failing(_device: str | None) -> Callable[[Any], Any]:
    def work(part: int) -> int:
        if part == 2:
            raise DataError("it is torn", code="E_TORN", where="clip 2", remedy="mend it")
        return part

    return work


def dying(_device: str | None) -> Callable[[Any], Any]:
    return lambda _part: os._exit(9)


def naming_its_device(device: str | None) -> Callable[[Any], Any]:
    def work(_part: int) -> tuple[int, str | None]:
        return os.getpid(), device

    return work


LOCAL = [HERE, processes(1), processes(2), Executor("processes", 1)]


@pytest.mark.parametrize("executor", LOCAL, ids=str)
class TestEach:
    def test_every_part_has_its_outcome(self, executor: Executor) -> None:
        with executor.open(doubling) as run:
            assert dict(run([3, 4, 5])) == {0: 6, 1: 8, 2: 10}
            assert dict(run(["a"])) == {0: "aa"}
            assert list(run([])) == []

    def test_an_error_of_ours_arrives_as_it_is(self, executor: Executor) -> None:
        with refused("E_TORN", where="clip 2"), executor.open(failing) as run:
            list(run([1, 2]))


def test_one_process_is_this_one() -> None:
    assert processes(1) == HERE
    with HERE.open(naming_its_device) as run:
        assert dict(run([0])) == {0: (os.getpid(), None)}


def test_workers_take_devices_by_turns() -> None:
    executor = Executor("processes", 2, devices=("one", "two"))
    with executor.open(naming_its_device) as run:
        found = {outcome for _, outcome in run(range(40))}
    assert len(dict(found)) == len(found)  # a process has one device
    assert {device for _, device in found} <= {"one", "two"}


def test_a_worker_that_dies_is_said() -> None:
    with refused("E_WORKER_DIED"), Executor("processes", 2).open(dying) as run:
        list(run([1, 2, 3]))


class TestRay:
    def test_without_it_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "ray", None)
        with refused("E_EXTRA_MISSING"), Executor("ray", 2).open(doubling):
            pass

    def test_an_address_where_nobody_answers_is_refused_at_once(self) -> None:
        executor = Executor("ray", 2, address="127.0.0.1:1")
        with refused("E_RAY_ADDRESS", where="127.0.0.1:1"), executor.open(doubling):
            pass

    @pytest.mark.slow
    def test_it_has_the_same_outcomes_and_errors(self) -> None:
        # Workers import this package, and not these tests.
        def setup(_device: str | None) -> Callable[[Any], Any]:
            def work(part: int) -> int:
                if part == 2:
                    raise DataError("it is torn", code="E_TORN", where="clip 2", remedy="mend it")
                return part

            return work

        with Executor("ray", 2).open(setup) as run:
            assert dict(run([1, 3, 4])) == {0: 1, 1: 3, 2: 4}
            with refused("E_TORN", where="clip 2"):
                list(run([1, 2]))
