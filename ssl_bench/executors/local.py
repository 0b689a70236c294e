"""Workers that are processes of this machine, beside the one that starts them."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from ssl_bench.errors import SslBenchError, shortened
from ssl_bench.executors.sharing import DiedError, Run, Setup, sent, shared_out
from ssl_bench.files import temporary_folder

# Milliseconds until a part is taken to be never on its way to a process.
_MOMENTS = 1000


@contextmanager
def in_processes(
    setup: Setup,
    here: Setup,
    name: Callable[[Any], str] | None,
    *,
    workers: int,
    devices: Sequence[str],
) -> Iterator[Run]:
    """What works on parts in so many processes, of which this one works with `here`."""
    from joblib.externals.loky import ProcessPoolExecutor
    from joblib.externals.loky.backend import reduction
    from threadpoolctl import threadpool_limits

    # Numerical libraries would start as many threads as there are processors in each.
    share = max(1, len(os.sched_getaffinity(0)) // workers)
    given = os.environ.get("OMP_NUM_THREADS")
    own, *others = islice(cycle(devices or [None]), workers)
    with ExitStack() as stack:
        # What starts a process goes through a pipe, where more than that holds would wait for ever
        # for a process that died.
        given_to_all = stack.enter_context(temporary_folder()) / "setup"
        with sent(), given_to_all.open("wb") as file:
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
        started = [*map(_Process, pools)]
        threads = stack.enter_context(ThreadPoolExecutor(len(pools)))
        try:
            for pool in pools:
                pool.submit(os.getpid)  # They start while this process works.
            work = cache(partial(here, own))
            with threadpool_limits(None if given else share):
                yield partial(
                    shared_out,
                    threads,
                    started,
                    lambda part: work()(part),
                    name,
                    lambda _note: None,
                )
        finally:
            # What they still do is of no use any more.
            for worker in started:
                worker.end()


class _Process:
    """The one process of a pool."""

    name, attempts = "a worker process", 1  # How many may die with one part

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._last: Future[Any] | None = None

    def work(self, part: Any) -> Any:
        from joblib.externals.loky.process_executor import BrokenProcessPool

        try:
            self._last = self._pool.submit(_work, part)
            return self._last.result()
        except BrokenProcessPool as error:
            raise DiedError from error
        except pickle.PicklingError:
            with sent():
                raise

    def end(self) -> None:
        """End the process, whatever it does."""
        # Ended before the part is on its way, loky would print a traceback: a thread finds no part.
        for _ in range(_MOMENTS):
            if self._last is None or self._last.running() or self._last.done():
                break
            time.sleep(0.001)
        self._pool.shutdown(kill_workers=True)


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
                "what a worker needs cannot be loaded in another process "
                f"({type(error).__name__}: {shortened(' '.join(str(error).split()), 200)})",
                code="E_WORKER_MODEL",
                remedy="name a model of your own as FILE.py:NAME, or use one worker",
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
