"""Actors on a Ray cluster work as other processes do, and one that is lost is replaced."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from refusals import refused

from ssl_bench.errors import DataError
from ssl_bench.executors import Executor

# In a process of its own: a process that has used Ray keeps how it proved who it is.
LEAVING = """
import os
import signal
import time

from engine import cluster

from ssl_bench.executors import Executor


def setup(_device):
    def work(part):
        import ray

        time.sleep(0.3)
        return str(ray.get_runtime_context().get_node_id())

    return work


machines, heard = {}, []
signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
with cluster(2) as (address, nodes), Executor("ray", 2, address=address).open(setup) as run:
    seen, until = set(), time.monotonic() + 200
    while len(seen) < 2 and time.monotonic() < until:  # one may start later
        seen |= {machine for _, machine in run(range(4))}
    for place, machine in run(range(20)):
        machines[place] = machine
        if len(seen) == 2 and nodes[1].poll() is None:
            os.killpg(nodes[1].pid, signal.SIGKILL)
            nodes[1].wait()
    left = nodes[1].poll() is not None
    signal.raise_signal(signal.SIGTERM)
signal.raise_signal(signal.SIGTERM)
print(sorted(machines) == list(range(20)), len(seen), left, len(heard))
"""


@pytest.mark.slow
def test_parts_of_a_machine_that_leaves_are_done_elsewhere_and_signals_are_ours() -> None:
    pytest.importorskip("ray")
    done = subprocess.run(
        [sys.executable, "-c", LEAVING],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["True", "2", "True", "2"], done.stderr


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    """A Ray cluster that an executor has started on this machine, and others join."""
    pytest.importorskip("ray")
    with Executor("ray", 1).open(lambda _device: lambda part: part) as run:
        assert dict(run([7])) == {0: 7}
        yield


@pytest.fixture
def of_gpus(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Put a Ray in place whose cluster has so many GPUs, and whose tasks are done here."""

    def put(count: int) -> None:
        ray = types.ModuleType("ray")

        def remote(**asked: Any) -> Callable[[Any], Any]:
            def called(*given: Any) -> Any:
                return (asked["num_gpus"], work(*given))

            def decorated(function: Any) -> Any:
                nonlocal work
                work = function
                return types.SimpleNamespace(remote=called)

            work: Any = None
            return decorated

        vars(ray).update(
            is_initialized=lambda: True,
            cluster_resources=lambda: {"GPU": count} if count else {},
            remote=remote,
            get=lambda answer, timeout: answer,
            exceptions=types.SimpleNamespace(
                RayTaskError=RuntimeError, GetTimeoutError=TimeoutError
            ),
        )
        monkeypatch.setitem(sys.modules, "ray", ray)

    return put


def test_workers_say_which_device_they_have(of_gpus: Callable[[int], None]) -> None:
    of_gpus(2)
    executor = Executor("ray", 2)
    assert executor.ask("cuda", str.upper) == ("cuda", (1, "CUDA"))
    assert executor.ask("auto", str.upper) == ("cuda", (1, "CUDA"))
    assert executor.ask("cpu", str.upper) == ("cpu", (0, "CPU"))
    with refused("E_RAY_GPUS", where="the Ray cluster has 2"):
        Executor("ray", 3).ask("cuda", str.upper)
    of_gpus(0)
    assert executor.ask("auto", str.upper) == ("cpu", (0, "CPU"))
    with refused("E_RAY_GPUS", where="the Ray cluster has none"):
        executor.ask("cuda", str.upper)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_it_has_the_same_outcomes_and_errors() -> None:
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


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_a_part_that_ends_every_worker_is_said() -> None:
    def setup(_device: str | None) -> Callable[[Any], Any]:
        return lambda part: os._exit(9) if part == 5 else part

    named = Executor("ray", 2).open(setup, name=lambda part: f"clip {part}")
    with refused("E_WORKER_DIED", where="clip 5"), named as run:
        list(run(range(6)))
