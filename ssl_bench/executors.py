"""Where the parts of a long task are worked on: here, in other processes, or on other machines.

What the parts share is set up once for each worker, and a worker is given one part after the other.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from ssl_bench.errors import SslBenchError
from ssl_bench.extras import extra_needed

Kind = Literal["local", "processes", "ray"]

Setup = Callable[[str | None], Callable[[Any], Any]]
"""Given a device (None where there is no choice), makes what works on one part."""

Run = Callable[[Sequence[Any]], Iterator[tuple[int, Any]]]
"""Works on parts; yields the place of each with its outcome, as they are done."""


@dataclass(frozen=True)
class Executor:
    """How many workers there are, and where.

    Attributes
    ----------
    kind
        ``local``: this process. ``processes``: others on this machine. ``ray``: tasks on a Ray
        cluster (extra ``ray``).
    workers
        How many processes, or Ray actors.
    devices
        What the workers compute on, by turns; Ray gives each worker on ``cuda`` a GPU of its own.
    address
        Of the Ray cluster; None starts one on this machine.

    Examples
    --------
    >>> with Executor().open(lambda device: lambda part: part * 2) as run:
    ...     dict(run([3, 4]))
    {0: 6, 1: 8}
    """

    kind: Kind = "local"
    workers: int = 1
    devices: tuple[str, ...] = ()
    address: str | None = None

    def open(self, setup: Setup) -> AbstractContextManager[Run]:
        """Start the workers, for as long as the ``with`` block lasts.

        What a part raises ends the run with the same error; parts that are done stay done.

        Raises
        ------
        SslBenchError
            If a worker dies, or Ray is missing or cannot be reached.
        """
        if self.kind == "ray":
            return _on_ray(setup, self)
        if self.kind == "processes":
            return _in_processes(setup, self)
        return _here(setup, self)


HERE = Executor()
"""This process alone."""


def processes(count: int) -> Executor:
    """So many processes on this machine; for one, this one."""
    return HERE if count == 1 else Executor("processes", count)


@contextmanager
def _here(setup: Setup, executor: Executor) -> Iterator[Run]:
    work = setup(next(iter(executor.devices), None))
    yield lambda parts: ((place, work(part)) for place, part in enumerate(parts))


@contextmanager
def _in_processes(setup: Setup, executor: Executor) -> Iterator[Run]:
    from concurrent.futures import as_completed

    from joblib.externals.loky import ProcessPoolExecutor
    from joblib.externals.loky.process_executor import BrokenProcessPool

    share = str(max(1, len(os.sched_getaffinity(0)) // executor.workers))
    pool = ProcessPoolExecutor(
        executor.workers,
        initializer=_install,
        initargs=(setup, executor.devices, os.getpid()),
        # Numerical libraries would start as many threads as there are processors in each.
        env={"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", share)},
    )

    def run(parts: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        places = {pool.submit(_work, part): place for place, part in enumerate(parts)}
        try:
            for future in as_completed(places):
                yield places[future], future.result()
        except BrokenProcessPool as error:
            raise SslBenchError(
                "a worker process ended before its part was done; perhaps memory ran out",
                code="E_WORKER_DIED",
                remedy="run it again, which goes on from the finished parts, with fewer workers",
            ) from error

    try:
        yield run
    except BaseException:
        pool.shutdown(kill_workers=True)
        raise
    pool.shutdown()


# What this worker works with.
_installed: Callable[[Any], Any] | None = None


def _install(setup: Setup, devices: Sequence[str], parent: int) -> None:
    global _installed
    # The process that started this one decides what an interruption means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with(parent)
    number = _number_of_worker()
    _installed = setup(devices[number % len(devices)] if devices else None)


def _end_with(parent: int) -> None:
    """End this process when the one that started it does, however that ends."""
    import threading
    import time

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _number_of_worker() -> int:
    from multiprocessing import current_process

    last = current_process().name.rpartition("-")[2]
    return int(last) if last.isdigit() else 0


def _work(part: Any) -> Any:
    assert _installed is not None
    return _installed(part)


@contextmanager
def _on_ray(setup: Setup, executor: Executor) -> Iterator[Run]:
    with extra_needed("--executor ray"):
        import ray
        from ray.util import ActorPool
    ours = not ray.is_initialized()
    if ours:
        try:
            _reach(executor.address)
            ray.init(
                address=executor.address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                include_dashboard=None if executor.address else False,
            )
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise SslBenchError(
                "no Ray cluster can be reached there",
                code="E_RAY_ADDRESS",
                where=executor.address or "this machine",
                remedy="start one with 'ray start --head', and give the address that it prints",
            ) from error
    gpus = 1 if any(each.startswith("cuda") for each in executor.devices) else 0
    # A node that leaves takes its parts with it: they are done again elsewhere.
    actor = ray.remote(num_gpus=gpus, max_restarts=3, max_task_retries=3)(_Actor)
    try:
        shared = ray.put(setup)
        device = next(iter(executor.devices), None)
        actors = [actor.remote(device) for _ in range(executor.workers)]

        def run(parts: Sequence[Any]) -> Iterator[tuple[int, Any]]:
            pool = ActorPool(actors)
            try:
                yield from pool.map_unordered(
                    # In a list it is only named: a worker asks for it once.
                    lambda each, part: each.work.remote([shared], *part),
                    list(enumerate(parts)),
                )
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, SslBenchError):
                    raise error.cause from None
                raise
            except ray.exceptions.RayActorError as error:
                raise SslBenchError(
                    "a Ray worker ended before its part was done; perhaps memory ran out",
                    code="E_WORKER_DIED",
                    remedy="run it again, which goes on from the finished parts",
                ) from error

        yield run
    finally:
        if ours:
            ray.shutdown()


def _reach(address: str | None) -> None:
    """Raise OSError where nobody answers; Ray itself would try for minutes."""
    host, _, port = (address or "").rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=5).close()


class _Actor:
    """A worker on a Ray cluster."""

    def __init__(self, device: str | None) -> None:
        self._device = device
        self._work: Callable[[Any], Any] | None = None

    def work(self, setup: list[Any], place: int, part: Any) -> tuple[int, Any]:
        if self._work is None:
            import ray

            self._work = ray.get(setup[0])(self._device)
        return place, self._work(part)
