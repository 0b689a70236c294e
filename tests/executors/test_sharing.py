"""Each worker has one part after the other; parts of a worker that is lost are done again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

from refusals import refused

from ssl_bench.errors import DataError
from ssl_bench.executors.sharing import DiedError, shared_out


def test_a_worker_that_is_replaced_is_said() -> None:
    class Once:
        name, attempts, died = "a Ray worker", 3, False

        def work(self, part: int) -> int:
            if part == 2 and not self.died:
                self.died = True
                raise DiedError
            return part

        def start_again(self) -> bool:
            return True

    told: list[str] = []
    with ThreadPoolExecutor(1) as threads:
        workers: Any = [Once()]
        done = shared_out(threads, workers, None, None, told.append, [1, 2])
        assert dict(done) == {0: 1, 1: 2}
    [note] = told
    assert "part 2 of 2" in note
    assert "another took its place" in note


def test_a_worker_that_is_ended_after_a_failure_is_not_replaced() -> None:
    begun, ended = Event(), Event()

    class Failing:
        def work(self, _part: int) -> int:
            begun.wait(60)
            raise DataError("it is torn", code="E_TORN")

    class Ended:
        name, attempts, started_again = "a Ray worker", 3, False

        def work(self, _part: int) -> int:
            begun.set()
            ended.wait(60)
            raise DiedError

        def start_again(self) -> bool:
            self.started_again = True
            return True

    told: list[str] = []
    other = Ended()
    with ThreadPoolExecutor(2) as threads:
        workers: Any = [Failing(), other]
        with refused("E_TORN"):
            list(shared_out(threads, workers, None, None, told.append, [1, 2]))
        ended.set()
    assert told == []
    assert not other.started_again
