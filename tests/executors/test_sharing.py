"""Each worker has one part after the other; parts of a worker that is lost are done again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

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
