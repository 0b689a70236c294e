"""Where the parts of a long task are worked on: here, in other processes, or on other machines.

What the parts share is set up once for each worker, and a worker is given one part after the other.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from itertools import cycle, islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Literal

from ssl_bench.errors import SslBenchError, shortened
from ssl_bench.extras import extra_needed
from ssl_bench.files import temporary_folder

# Ray's sockets lie in a folder of it, under names that take the rest.
_LONGEST_RAY_FOLDER = 40
# Seconds until a cluster is taken to have no place for a worker that replaces another.
_PATIENCE_WITH_RAY = 60.0

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
        ``local``: this process. ``processes``: this one and others on this machine. ``ray``: tasks
        on a Ray cluster (extra ``ray``).
    workers
        How many processes, this one among them, or Ray actors.
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

    def open(
        self,
        setup: Setup,
        *,
        here: Setup | None = None,
        name: Callable[[Any], str] | None = None,
        notify: Callable[[str], None] = lambda _note: None,
    ) -> AbstractContextManager[Run]:
        """Start the workers, for as long as the ``with`` block lasts.

        What a part raises ends the run with the same error; parts that are done stay done.

        Parameters
        ----------
        setup, here
            What each worker works with; and this process, if it is another.
        name
            Names a part, for errors; None to number them.
        notify
            Told, in a sentence, of a worker that is lost while others go on.

        Raises
        ------
        SslBenchError
            If a worker dies, or Ray is missing or cannot be reached.
        """
        if self.kind == "ray":
            return _on_ray(setup, name, notify, self)
        if self.workers > 1:
            return _in_processes(setup, here or setup, name, self)
        return _here(here or setup, self)

    @property
    def joins(self) -> bool:
        """Whether it joins a Ray cluster that is there, of whatever machines."""
        ray: Any = sys.modules.get("ray")
        return self.kind == "ray" and (
            self.address is not None or (ray is not None and bool(ray.is_initialized()))
        )

    def ask(self, device: str, question: Callable[[str], Any]) -> tuple[str, Any]:
        """Let a worker of the Ray cluster answer a question about a device that it has.

        Returns the device (for ``auto``, a GPU where the cluster has some) and the answer.

        Raises
        ------
        SslBenchError
            If the cluster has no such device, or Ray is missing or cannot be reached.
        """
        with ExitStack() as stack:
            ray = _joined(self, stack)
            device, gpus = _device_of(self, device)
            task = ray.remote(num_cpus=0.001, num_gpus=gpus)(_answer)
            try:
                answer = ray.get(task.remote(question, device), timeout=_PATIENCE_WITH_RAY)
            except ray.exceptions.RayTaskError as error:
                raise _of_worker(error) from None
            except ray.exceptions.GetTimeoutError as error:
                raise SslBenchError(
                    f"no worker of the Ray cluster on {device!r} has started in "
                    f"{_PATIENCE_WITH_RAY:.0f} seconds",
                    code="E_RAY_GPUS",
                    remedy="wait until the cluster has one that is free, or ask for 'cpu'",
                ) from error
        return device, answer


HERE = Executor()
"""This process alone."""


def processes(count: int) -> Executor:
    """So many processes on this machine, of which this is one."""
    return HERE if count == 1 else Executor("processes", count)


@contextmanager
def _here(setup: Setup, executor: Executor) -> Iterator[Run]:
    work = setup(next(iter(executor.devices), None))
    yield lambda parts: ((place, work(part)) for place, part in enumerate(parts))


class _DiedError(Exception):
    """A worker ended while it had a part."""


def _shared_out(
    threads: ThreadPoolExecutor,
    workers: list[_Process] | list[_OnRay],
    here: Callable[[Any], Any] | None,
    name: Callable[[Any], str] | None,
    notify: Callable[[str], None],
    parts: Sequence[Any],
) -> Iterator[tuple[int, Any]]:
    """Give each worker one part after the other, and let this process work with `here` itself.

    Workers that are lost leave the list.
    """
    todo: SimpleQueue[tuple[int, Any] | None] = SimpleQueue()
    done: SimpleQueue[tuple[int, Any, Exception | None]] = SimpleQueue()
    deaths = [0 for _ in parts]

    def serve(worker: Any) -> None:
        while worker in workers and (given := todo.get()) is not None:
            place, part = given
            try:
                done.put((place, worker.work(part), None))
            except _DiedError as died:
                deaths[place] += 1
                called = name(part) if name else f"part {place + 1} of {len(parts)}"
                again = deaths[place] < worker.attempts
                if again:
                    todo.put(given)
                    replaced = worker.start_again()
                    if not replaced:
                        workers.remove(worker)
                    if workers:
                        notify(
                            f"{worker.name}, or its machine, ended before {called} was done; "
                            + ("another took its place" if replaced else "the others go on")
                        )
                if not again or not workers:
                    done.put((place, None, _death(worker.name, called, died)))
            except Exception as error:
                done.put((place, None, error))

    for each in enumerate(parts):
        todo.put(each)
    for worker in workers:
        threads.submit(serve, worker)
    try:
        for _ in parts:
            if here is not None and done.empty() and (mine := _taken(todo)) is not None:
                yield mine[0], here(mine[1])
                continue
            place, outcome, error = done.get()
            if error is not None:
                raise error
            yield place, outcome
    finally:
        while _taken(todo) is not None:
            pass
        for _ in workers:
            todo.put(None)


def _taken(todo: SimpleQueue[tuple[int, Any] | None]) -> tuple[int, Any] | None:
    with suppress(Empty):
        return todo.get_nowait()
    return None


def _death(worker: str, part: str, cause: BaseException) -> SslBenchError:
    error = SslBenchError(
        f"{worker} ended before {part} was done; perhaps memory ran out",
        code="E_WORKER_DIED",
        remedy="run it again, which goes on from the finished parts, with fewer workers",
    )
    error.__cause__ = cause
    return error


@contextmanager
def _in_processes(
    setup: Setup, here: Setup, name: Callable[[Any], str] | None, executor: Executor
) -> Iterator[Run]:
    from joblib.externals.loky import ProcessPoolExecutor
    from joblib.externals.loky.backend import reduction
    from threadpoolctl import threadpool_limits

    # Numerical libraries would start as many threads as there are processors in each.
    share = max(1, len(os.sched_getaffinity(0)) // executor.workers)
    given = os.environ.get("OMP_NUM_THREADS")
    own, *others = islice(cycle(executor.devices or [None]), executor.workers)
    with ExitStack() as stack:
        # What starts a process goes through a pipe, where more than that holds would wait for ever
        # for a process that died.
        given_to_all = stack.enter_context(temporary_folder()) / "setup"
        with _sent(), given_to_all.open("wb") as file:
            reduction.dump(setup, file)
        # One process in each, so that it is known what it had when it died.
        pools = [
            ProcessPoolExecutor(
                1,
                initializer=_install,
                initargs=(given_to_all, device, os.getpid()),
                env={"OMP_NUM_THREADS": given or str(share)},
            )
            for device in others
        ]
        threads = stack.enter_context(ThreadPoolExecutor(len(pools)))
        try:
            for pool in pools:
                pool.submit(os.getpid)  # They start while this process works.
            work = cache(partial(here, own))
            with threadpool_limits(None if given else share):
                yield partial(
                    _shared_out,
                    threads,
                    [*map(_Process, pools)],
                    lambda part: work()(part),
                    name,
                    lambda _note: None,
                )
        finally:
            # What they still do is of no use any more.
            for pool in pools:
                pool.shutdown(kill_workers=True)


class _Process:
    """The one process of a pool."""

    name, attempts = "a worker process", 1  # How many may die with one part

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    def work(self, part: Any) -> Any:
        from joblib.externals.loky.process_executor import BrokenProcessPool

        try:
            return self._pool.submit(_work, part).result()
        except BrokenProcessPool as error:
            raise _DiedError from error


@contextmanager
def _sent() -> Iterator[None]:
    """Say in words that something cannot be sent to another process."""
    try:
        yield
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
        raise SslBenchError(
            f"this model cannot be sent to another process ({str(error).splitlines()[0]})",
            code="E_WORKER_MODEL",
            remedy="keep what cannot be pickled out of it, name it as FILE.py:NAME, or use one "
            "worker",
        ) from error


# What this worker works with: made with the first part, so that what fails arrives as it is.
_worker: Callable[[], Callable[[Any], Any]]


def _install(setup: Path, device: str | None, parent: int) -> None:
    global _worker
    # The process that started this one decides what an interruption means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with(parent)
    _worker = cache(partial(_set_up, setup, device))


def _set_up(setup: Path, device: str | None) -> Callable[[Any], Any]:
    with setup.open("rb") as file:
        try:
            load: Setup = pickle.load(file)  # noqa: S301 - this very run wrote it
        except (SslBenchError, OSError):
            raise
        except Exception as error:  # Whatever a class does as it is loaded
            raise SslBenchError(
                "this model cannot be loaded in another process "
                f"({type(error).__name__}: {shortened(' '.join(str(error).split()), 200)})",
                code="E_WORKER_MODEL",
                remedy="name it as FILE.py:NAME, or use one worker",
            ) from error
    return load(device)


def _end_with(parent: int) -> None:
    """End this process when the one that started it does, however that ends."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _work(part: Any) -> Any:
    return _worker()(part)


@contextmanager
def _on_ray(
    setup: Setup,
    name: Callable[[Any], str] | None,
    notify: Callable[[str], None],
    executor: Executor,
) -> Iterator[Run]:
    with ExitStack() as stack:
        ray = _joined(executor, stack)
        device, gpus = _device_of(executor, next(iter(executor.devices), None))
        with _sent():
            shared = ray.put(setup)
        actor = ray.remote(
            # More workers than processors share them, rather than wait for ever. Without any, Ray
            # places each at random, and some machines have none.
            num_cpus=0.001,
            num_gpus=gpus,
            scheduling_strategy="SPREAD",
        )(_Actor)
        threads = stack.enter_context(ThreadPoolExecutor(executor.workers))
        # In a list it is only named: an actor asks for it once.
        workers = [_OnRay(partial(actor.remote, [shared], device)) for _ in range(executor.workers)]
        for worker in workers:
            stack.callback(worker.end)
        yield partial(_shared_out, threads, workers, None, name, notify)


def _joined(executor: Executor, stack: ExitStack) -> Any:
    """Ray, in its cluster until the stack ends."""
    # Ray's own handler would end this process before it has cleaned up, and as Ray shuts down, it
    # sets signals back to their defaults. Read as Ray is imported.
    os.environ.setdefault("RAY_DISABLE_FAILURE_SIGNAL_HANDLER", "1")
    with extra_needed("--executor ray"):
        import ray
    if not ray.is_initialized():
        _join_cluster(executor.address, stack)
    return ray


def _device_of(executor: Executor, device: Any) -> tuple[Any, int]:
    """The device of each worker, and how many GPUs of the cluster it needs."""
    import ray

    there = int(ray.cluster_resources().get("GPU", 0))
    if device == "auto":
        device = "cuda" if there else "cpu"
    gpus = int((device or "").startswith("cuda"))
    if gpus * executor.workers > there:
        workers = "a worker needs" if executor.workers == 1 else f"{executor.workers} workers need"
        each = "" if executor.workers == 1 else " each"
        raise SslBenchError(
            f"{workers} a GPU{each}, and the Ray cluster has {there or 'none'}",
            code="E_RAY_GPUS",
            remedy=("ask for fewer workers, or " if there else "ask ") + "for the device 'cpu'",
        )
    return device, gpus


def _answer(question: Callable[[str], Any], device: str) -> Any:
    return question(device)


def _of_worker(error: Any) -> Exception:
    """What a task of Ray failed with, as it is known here."""
    import ray

    cause = error.cause
    if isinstance(cause, SslBenchError | OSError):
        cause.__suppress_context__ = True
        return cause
    if not isinstance(cause, ray.exceptions.RaySystemError):
        known: Exception = error
        return known
    reason = str(cause).splitlines()[0]
    return SslBenchError(
        f"a Ray worker cannot load what it is to work with ({reason})",
        code="E_WORKER_MODEL",
        remedy="install the same packages on all nodes, and name the model as FILE.py:NAME",
    )


class _OnRay:
    """An actor on a Ray cluster; where it dies, or its machine leaves, another one replaces it."""

    name, attempts = "a Ray worker", 3

    def __init__(self, start: Callable[[], Any]) -> None:
        self._start, self._actor = start, start()

    def work(self, part: Any) -> Any:
        import ray

        try:
            return ray.get(self._actor.work.remote(part))
        except ray.exceptions.RayTaskError as error:
            raise _of_worker(error) from None
        except ray.exceptions.RayActorError as error:
            raise _DiedError from error

    def start_again(self) -> bool:
        """Start another actor; False where the cluster has no place for it."""
        import ray

        self._actor = self._start()
        try:
            ray.get(self._actor.__ray_ready__.remote(), timeout=_PATIENCE_WITH_RAY)
        except (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError):
            return False
        return True

    def end(self) -> None:
        """End the actor, and what waits for it."""
        import ray

        with suppress(ray.exceptions.RayError):
            ray.kill(self._actor)


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
    _on_stderr(stack)
    start = partial(ray.init, log_to_driver=False, logging_level=logging.ERROR, **settings)
    if address is not None:
        # Somebody answers there; whoever is refused would be so at each of Ray's 20 attempts.
        os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "5")
    try:
        _reach(address)
        _in_a_thread(start, ray.shutdown, stack)
    except Exception as error:  # Ray raises what it was refused with, or of no class of its own
        if "AuthenticationError" in f"{type(error).__name__} {error}":
            raise SslBenchError(
                "the Ray cluster there does not accept the token of this machine",
                code="E_RAY_TOKEN",
                where=address or "this machine",
                remedy="set RAY_AUTH_MODE=token here and on all nodes, and copy ~/.ray/auth_token "
                "of the first node here and to them",
            ) from error
        if address is None:
            raise SslBenchError(
                f"Ray does not start on this machine: {str(error).strip().partition(chr(10))[0]}",
                code="E_RAY_START",
                remedy="try again when it is less busy, or start a cluster with 'ray start --head' "
                "and give its address",
            ) from error
        raise SslBenchError(
            "no Ray cluster can be reached there",
            code="E_RAY_ADDRESS",
            where=address,
            remedy="start one with 'ray start --head', and give the address that it prints",
        ) from error


def _on_stderr(stack: ExitStack) -> None:
    """Let what Ray prints, such as that a worker died, go to standard error, without colours.

    It belongs to no log of a worker, which are not shown; standard output is for results.
    """
    os.environ.setdefault("RAY_COLOR_PREFIX", "0")
    try:
        from ray._private import worker

        shown = worker.print_to_stdstream
    except (ImportError, AttributeError):  # Not public, and may go
        return

    def show(data: dict[str, Any], *given: Any, **named: Any) -> None:
        shown({**data, "is_err": True}, *given, **named)

    worker.print_to_stdstream = show
    stack.callback(setattr, worker, "print_to_stdstream", shown)


def _in_a_thread(start: Callable[[], Any], end: Callable[[], Any], stack: ExitStack) -> None:
    """Start Ray, and end it with the stack, in a thread of its own, where no signal breaks in.

    The threads of a Ray that is half started would go on, and crash as this process ends. In such
    a thread, Ray does not take SIGTERM for itself, either. The thread lives as long as Ray does,
    whose processes end with it. After a signal, this process waits until Ray has started and ended,
    or for two more signals.
    """
    started: Future[Any] = Future()
    ended: Future[Any] = Future()
    orders: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()

    def live() -> None:
        told = started
        while told is not ended:
            told, call = orders.get()
            try:
                told.set_result(call())
            except BaseException as error:
                told.set_exception(error)

    def leave() -> None:
        orders.put((ended, end))
        try:
            ended.result()
        except BaseException:
            ended.result()
            raise

    threading.Thread(target=live, daemon=True).start()
    stack.callback(leave)
    orders.put((started, start))
    started.result()


def _reach(address: str | None) -> None:
    """Raise OSError where nobody answers; Ray itself would try for minutes."""
    host, _, port = (address or "").rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=5).close()


class _Actor:
    """A worker on a Ray cluster."""

    _work: Callable[[Any], Any] | None = None

    def __init__(self, setup: list[Any], device: str | None) -> None:
        self._setup, self._device = setup, device

    def work(self, part: Any) -> Any:
        """Work on one part."""
        import ray

        # Made with the first part: what fails here arrives as it is.
        if self._work is None:
            self._work = ray.get(self._setup[0])(self._device)
        return self._work(part)
