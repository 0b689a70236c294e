"""Where the parts of a long task are worked on: here, in other processes, or on other machines.

What the parts share is set up once for each worker, and a worker is given one part after the other.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from typing import Any, Literal

from ssl_bench.errors import SslBenchError
from ssl_bench.extras import extra_needed
from ssl_bench.files import temporary_folder

# Ray's sockets lie in a folder of it, under names that take the rest.
_LONGEST_RAY_FOLDER = 40

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
    from concurrent.futures import FIRST_COMPLETED, wait

    from joblib.externals.loky import ProcessPoolExecutor

    share = str(max(1, len(os.sched_getaffinity(0)) // executor.workers))
    pool = ProcessPoolExecutor(
        executor.workers,
        initializer=_install,
        initargs=(setup, executor.devices, os.getpid()),
        # Numerical libraries would start as many threads as there are processors in each.
        env={"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", share)},
    )

    def run(parts: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        left = iter(enumerate(parts))
        places: dict[Any, int] = {}

        def submit(most: int) -> None:
            # No more than are at hand for workers: loky is slow to forget what waits behind.
            for place, part in islice(left, most):
                places[pool.submit(_work, part)] = place

        with _sent():  # With the first part
            submit(2 * executor.workers)
        with deaths_told():
            while places:
                done, _ = wait(places, return_when=FIRST_COMPLETED)
                for future in done:
                    result = future.result()
                    submit(1)
                    yield places.pop(future), result

    try:
        yield run
    except BaseException:
        pool.shutdown(kill_workers=True)
        raise
    pool.shutdown()


@contextmanager
def deaths_told() -> Iterator[None]:
    """Say in words that a process ended before its work was done; SslBenchError."""
    from joblib.externals.loky.process_executor import BrokenProcessPool

    try:
        yield
    except BrokenProcessPool as error:
        raise SslBenchError(
            "a worker process ended before its part was done; perhaps memory ran out",
            code="E_WORKER_DIED",
            remedy="run it again, which goes on from the finished parts, with fewer workers",
        ) from error


@contextmanager
def _sent() -> Iterator[None]:
    """Say in words that something cannot be sent to another process."""
    try:
        yield
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
        raise SslBenchError(
            f"this model cannot be sent to another process ({str(error).splitlines()[0]})",
            code="E_WORKER_MODEL",
            remedy="keep what cannot be pickled out of it, name it as FILE.py:Class, or use one "
            "worker",
        ) from error


# What this worker works with: made with the first part, so that what fails arrives as it is.
_worker: Callable[[], Callable[[Any], Any]]


def _install(setup: Setup, devices: Sequence[str], parent: int) -> None:
    global _worker
    # The process that started this one decides what an interruption means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with(parent)
    number = _number_of_worker()
    _worker = cache(partial(setup, devices[number % len(devices)] if devices else None))


def _end_with(parent: int) -> None:
    """End this process when the one that started it does, however that ends."""

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
    return _worker()(part)


@contextmanager
def _on_ray(setup: Setup, executor: Executor) -> Iterator[Run]:
    with extra_needed("--executor ray"):
        import ray
        from ray.util import ActorPool
    with ExitStack() as stack:
        if not ray.is_initialized():
            _join_cluster(executor.address, stack)
        gpus = 1 if any(each.startswith("cuda") for each in executor.devices) else 0
        there = int(ray.cluster_resources().get("GPU", 0))  # type: ignore[no-untyped-call]
        if gpus * executor.workers > there:
            raise SslBenchError(
                f"{executor.workers} workers need a GPU each, and the Ray cluster has {there}",
                code="E_RAY_GPUS",
                remedy="ask for fewer workers, or for the device 'cpu'",
            )
        with _sent():
            shared = ray.put(setup)
        device = next(iter(executor.devices), None)
        # A node that leaves takes its parts with it: they are done again elsewhere.
        actor = ray.remote(
            num_cpus=0,  # More workers than processors share them, rather than wait for ever
            num_gpus=gpus,
            max_restarts=3,
            max_task_retries=3,
            scheduling_strategy="SPREAD",
        )(_Actor)
        actors = [actor.remote() for _ in range(executor.workers)]

        def run(parts: Sequence[Any]) -> Iterator[tuple[int, Any]]:
            pool = ActorPool(actors)
            try:
                # In a list it is only named: an actor asks for it once.
                yield from pool.map_unordered(
                    lambda each, part: each.work.remote([shared], device, *part),
                    list(enumerate(parts)),
                )
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, SslBenchError | OSError):
                    raise error.cause from None
                if not isinstance(error.cause, ray.exceptions.RaySystemError):
                    raise
                reason = str(error.cause).splitlines()[0]
                raise SslBenchError(
                    f"a Ray worker cannot load what it is to work with ({reason})",
                    code="E_WORKER_MODEL",
                    remedy="install the same packages on all nodes, and name the model as "
                    "FILE.py:Class",
                ) from error
            except ray.exceptions.RayActorError as error:
                raise SslBenchError(
                    "a Ray worker ended before its part was done; perhaps memory ran out",
                    code="E_WORKER_DIED",
                    remedy="run it again, which goes on from the finished parts",
                ) from error

        yield run


def _join_cluster(address: str | None, stack: ExitStack) -> None:
    """Reach a Ray cluster, or start one on this machine, and leave it with the stack."""
    import ray

    settings: dict[str, Any] = {"address": address}
    if address is None:
        settings = {"include_dashboard": False}
        folder = stack.enter_context(temporary_folder())
        # Its own folder is left there for ever; sockets in it have names of at most 107 bytes.
        if len(str(folder)) <= _LONGEST_RAY_FOLDER:
            settings["_temp_dir"] = str(folder)
    handler = signal.getsignal(signal.SIGTERM)
    stack.callback(ray.shutdown)

    def heed_again() -> None:
        # Ray takes the signal for its own end.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)

    try:
        _reach(address)
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **settings)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise SslBenchError(
            "no Ray cluster can be reached there",
            code="E_RAY_ADDRESS",
            where=address or "this machine",
            remedy="start one with 'ray start --head', and give the address that it prints",
        ) from error
    except SystemExit:
        heed_again()
        signal.raise_signal(signal.SIGTERM)
        raise
    heed_again()


def _reach(address: str | None) -> None:
    """Raise OSError where nobody answers; Ray itself would try for minutes."""
    host, _, port = (address or "").rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=5).close()


class _Actor:
    """A worker on a Ray cluster."""

    _work: Callable[[Any], Any] | None = None

    def work(self, setup: list[Any], device: str | None, place: int, part: Any) -> tuple[int, Any]:
        """Work on one part; gives its place, too."""
        import ray

        # Made with the first part: what fails here arrives as it is.
        if self._work is None:
            self._work = ray.get(setup[0])(device)
        return place, self._work(part)
