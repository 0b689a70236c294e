"""Parts are worked on here, in other processes or on Ray, with the same outcome."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from refusals import refused

from ssl_bench import executors
from ssl_bench.analysis.request import Request, load_model, settled
from ssl_bench.errors import DataError
from ssl_bench.executors import HERE, Executor, processes
from ssl_bench.models.provenance import describe


def doubling(_device: str | None) -> Callable[[Any], Any]:
    return lambda part: part * 2


def failing(_device: str | None) -> Callable[[Any], Any]:
    def work(part: int) -> int:
        if part == 2:
            raise DataError("it is torn", code="E_TORN", where="clip 2", remedy="mend it")
        return part

    return work


def dying(_device: str | None) -> Callable[[Any], Any]:
    return lambda _part: os.kill(os.getpid(), signal.SIGKILL)


def slow(_device: str | None) -> Callable[[Any], Any]:
    return lambda part: time.sleep(0.1) or part


def naming_its_device(device: str | None) -> Callable[[Any], Any]:
    def work(_part: int) -> tuple[int, str | None]:
        return os.getpid(), device

    return work


LOCAL = [HERE, processes(3)]


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


def test_this_process_may_work_with_what_it_has() -> None:
    with processes(2).open(naming_its_device, here=slow) as run:
        outcomes = dict(run(range(20)))
    assert any(isinstance(outcome, int) for outcome in outcomes.values())
    assert any(isinstance(outcome, tuple) for outcome in outcomes.values())


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


def _kill_workers(after: float, ended: threading.Event) -> None:
    """Kill the next worker of this process so many seconds after it appears."""
    while not ended.wait(0.005):
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        for child in children:
            with suppress(OSError):
                if b"popen_loky" in Path(f"/proc/{child}/cmdline").read_bytes():
                    time.sleep(after)
                    os.kill(int(child), signal.SIGKILL)
                    return


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.0, 0.1, 0.3])
def test_a_worker_that_is_killed_as_it_starts_is_said(after: float) -> None:
    ended = threading.Event()
    with ThreadPoolExecutor(1) as killer, no_longer_than(60):
        killer.submit(_kill_workers, after, ended)
        with refused("E_WORKER_DIED"), processes(2).open(Large()) as run:
            list(run(range(100)))
        ended.set()


class Unloadable(Large):
    def __reduce__(self) -> Any:
        return int, ("one",)


def test_what_another_process_cannot_load_is_said() -> None:
    with refused("E_WORKER_MODEL"), processes(2).open(Unloadable(), here=slow) as run:
        list(run(range(100)))


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


@pytest.fixture(scope="class")
def ray_here() -> Iterator[None]:
    """A Ray cluster that an executor has started on this machine, and others join."""
    pytest.importorskip("ray")
    with Executor("ray", 1).open(lambda _device: lambda part: part) as run:
        assert dict(run([7])) == {0: 7}
        yield


class TestRay:
    def test_without_it_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "ray", None)
        with refused("E_EXTRA_MISSING"), Executor("ray", 2).open(doubling):
            pass

    def test_an_address_where_nobody_answers_is_refused_at_once(self) -> None:
        executor = Executor("ray", 2, address="127.0.0.1:1")
        with refused("E_RAY_ADDRESS", where="127.0.0.1:1"), executor.open(doubling):
            pass

    @pytest.fixture
    def of_gpus(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
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

    def test_workers_say_which_device_they_have(self, of_gpus: Callable[[int], None]) -> None:
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

    def test_a_run_is_told_the_device_of_its_workers_and_needs_none_itself(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def ask(_self: Executor, device: str, _question: object) -> tuple[str, str | None]:
            return ("cuda", "cuda (H200)") if device == "auto" else (device, "cuda (H100)")

        monkeypatch.setattr(Executor, "ask", ask)
        executor = Executor("ray", 2, address="elsewhere:1")
        asked = settled(Request("ezvsl", device="cuda", precision="bf16", executor=executor))
        assert (asked.device, asked.executor.devices) == ("cuda", ("cuda",))
        assert settled(asked) is asked
        facts = describe(load_model(asked))
        assert (facts["device"], facts["precision"]) == ("cuda (H100)", "bf16")
        auto = replace(asked, device="auto", elsewhere=None)
        assert settled(auto).executor.devices == ("cuda",)
        plain = Request("ezvsl", device="cpu", executor=executor)
        assert settled(plain) is plain

    def test_a_token_that_is_not_accepted_is_said_and_ray_prints_on_stderr(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def init(**_: object) -> None:
            worker.print_to_stdstream({"is_err": False}, ignore_prefix=False)
            raise RuntimeError("Failed to connect. ray.exceptions.AuthenticationError: InvalidAuth")

        def shown(data: dict[str, Any], ignore_prefix: bool) -> None:
            print("A worker died", ignore_prefix, file=sys.stderr if data["is_err"] else sys.stdout)

        ray, private = types.ModuleType("ray"), types.ModuleType("ray._private")
        worker: Any = types.SimpleNamespace(print_to_stdstream=shown)
        vars(private).update(worker=worker)
        vars(ray).update(is_initialized=lambda: False, init=init, shutdown=lambda: None)
        monkeypatch.setitem(sys.modules, "ray", ray)
        monkeypatch.setitem(sys.modules, "ray._private", private)
        monkeypatch.setattr(executors, "_reach", lambda _address: None)
        for name in ("COLOR_PREFIX", "DISABLE_FAILURE_SIGNAL_HANDLER"):
            monkeypatch.setenv(f"RAY_{name}", "0")
        monkeypatch.setenv("RAY_gcs_server_port_wait_time_s", "5")
        executor = Executor("ray", 2, address="there:1")
        with refused("E_RAY_TOKEN", where="there:1"), executor.open(doubling):
            pass
        assert capsys.readouterr() == ("", "A worker died False\n")
        assert worker.print_to_stdstream is shown

    def test_a_ray_that_does_not_start_in_time_is_said(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def init(**_: object) -> None:
            raise Exception("The current node timed out during startup.")

        ray = types.ModuleType("ray")
        vars(ray).update(is_initialized=lambda: False, init=init, shutdown=lambda: None)
        monkeypatch.setitem(sys.modules, "ray", ray)
        with refused("E_RAY_START"), Executor("ray", 2).open(doubling):
            pass

    def test_a_worker_that_is_replaced_is_said(self) -> None:
        class Once:
            name, attempts, died = "a Ray worker", 3, False

            def work(self, part: int) -> int:
                if part == 2 and not self.died:
                    self.died = True
                    raise executors._DiedError
                return part

            def start_again(self) -> bool:
                return True

        told: list[str] = []
        with ThreadPoolExecutor(1) as threads:
            workers: Any = [Once()]
            done = executors._shared_out(threads, workers, None, None, told.append, [1, 2])
            assert dict(done) == {0: 1, 1: 2}
        [note] = told
        assert "part 2 of 2" in note
        assert "another took its place" in note

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_breaks_into_neither_its_start_nor_its_end(
        self, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
    ) -> None:
        done: list[str] = []

        def lasting(name: str) -> None:
            os.kill(os.getpid(), number)
            for _ in range(20):
                time.sleep(0.005)
            done.append(name)

        def stop(_number: int, _frame: object) -> None:
            raise KeyboardInterrupt

        ray = types.ModuleType("ray")
        vars(ray).update(
            is_initialized=lambda: False,
            init=lambda **_: lasting("start"),
            shutdown=lambda: lasting("end"),
            exceptions=types.SimpleNamespace(RayError=RuntimeError),
        )
        monkeypatch.setitem(sys.modules, "ray", ray)
        monkeypatch.setenv("RAY_DISABLE_FAILURE_SIGNAL_HANDLER", "1")
        before = signal.signal(number, stop)
        try:
            with pytest.raises(KeyboardInterrupt), Executor("ray", 2).open(doubling):
                pass
        finally:
            signal.signal(number, before)
        assert done == ["start", "end"]

    @pytest.mark.slow
    @pytest.mark.usefixtures("ray_here")
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

    @pytest.mark.slow
    @pytest.mark.usefixtures("ray_here")
    def test_a_part_that_ends_every_worker_is_said(self) -> None:
        def setup(_device: str | None) -> Callable[[Any], Any]:
            return lambda part: os._exit(9) if part == 5 else part

        named = Executor("ray", 2).open(setup, name=lambda part: f"clip {part}")
        with refused("E_WORKER_DIED", where="clip 5"), named as run:
            list(run(range(6)))
