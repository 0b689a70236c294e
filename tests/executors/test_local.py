"""Processes of this machine work beside this one, and one that dies is said."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from refusals import refused
from worked_parts import dying, kill_worker, naming_its_device, slow

from ssl_bench.executors import Executor, processes


@pytest.mark.slow
def test_this_process_works_too_and_workers_take_devices_by_turns() -> None:
    executor = Executor("processes", 3, devices=("one", "two"))
    with executor.open(naming_its_device) as run:
        found: set[tuple[int, str | None]] = set()
        while len(found) < 3:
            found |= {outcome for _, outcome in run(range(40))}
    devices = dict(found)
    assert len(devices) == 3  # a process has one device
    assert devices.pop(os.getpid()) == "one"
    assert sorted(map(str, devices.values())) == ["one", "two"]


@pytest.mark.slow
def test_a_worker_that_dies_is_said_with_the_part_that_it_had() -> None:
    with refused("E_WORKER_DIED") as raised, processes(3).open(dying, here=slow) as run:
        list(run(range(20)))
    assert re.search(r"part \d+ of 20", raised.value.problem)
    named = processes(2).open(dying, here=slow, name=lambda part: f"clip {part}")
    with refused("E_WORKER_DIED") as raised, named as run:
        list(run("abc"))
    assert re.search(r"clip [abc]\b", raised.value.problem)


class Large:
    """Makes what works on parts, out of more than a pipe holds."""

    def __init__(self) -> None:
        self.content = bytes(2**20)

    def __call__(self, _device: str | None) -> Callable[[Any], Any]:
        return slow(None)


@contextmanager
def no_longer_than(seconds: int) -> Iterator[None]:
    def fail(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_a_worker_that_cannot_even_start_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with no_longer_than(60), refused("E_WORKER_DIED"), processes(2).open(Large()) as run:
        list(run(range(20)))


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.0, 0.1, 0.3])
def test_a_worker_that_is_killed_as_it_starts_is_said(after: float) -> None:
    ended = threading.Event()
    with ThreadPoolExecutor(1) as killer, no_longer_than(60):
        killer.submit(kill_worker, after, ended)
        with refused("E_WORKER_DIED"), processes(2).open(Large()) as run:
            list(run(range(100)))
        ended.set()


class Unloadable(Large):
    def __reduce__(self) -> Any:
        return int, ("one",)


def test_what_another_process_cannot_load_is_said() -> None:
    with refused("E_WORKER_MODEL"), processes(2).open(Unloadable(), here=slow) as run:
        list(run(range(100)))
