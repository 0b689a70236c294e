"""Workers that are actors on a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from ssl_bench.errors import SslBenchError
from ssl_bench.executors.cluster import device_of, joined
from ssl_bench.executors.sharing import DiedError, Run, Setup, WorkersError, sent, shared_out

# Seconds until a cluster is taken to have no place for a worker that replaces another.
_PATIENCE = 60.0


@contextmanager
def on_ray(
    setup: Setup,
    name: Callable[[Any], str] | None,
    notify: Callable[[str], None],
    *,
    workers: int,
    devices: Sequence[str],
    address: str | None,
) -> Iterator[Run]:
    """What works on parts with so many actors, each on the first of the devices."""
    with ExitStack() as stack:
        ray = joined(address, stack)
        device, gpus = device_of(next(iter(devices), None), workers)
        with sent():
            shared = ray.put(setup)
        actor = ray.remote(
            # More workers than processors share them, rather than wait for ever. Without any, Ray
            # places each at random, and some machines have none.
            num_cpus=0.001,
            num_gpus=gpus,
            scheduling_strategy="SPREAD",
        )(_Actor)
        threads = stack.enter_context(ThreadPoolExecutor(workers))
        # In a list it is only named: an actor asks for it once.
        start = partial(actor.remote, [shared], device, Path.cwd())
        actors = [_OnRay(start) for _ in range(workers)]
        for each in actors:
            stack.callback(each.end)
        yield partial(shared_out, threads, actors, None, name, notify)


def ask(
    device: str, question: Callable[[str], Any], *, workers: int, address: str | None
) -> tuple[str, Any]:
    """What a worker answers about a device that it has, as ``Executor.ask`` returns it."""
    with ExitStack() as stack:
        ray = joined(address, stack)
        device, gpus = device_of(device, workers)
        task = ray.remote(num_cpus=0.001, num_gpus=gpus)(_answer)
        try:
            answer = ray.get(task.remote(question, device), timeout=_PATIENCE)
        except ray.exceptions.RayTaskError as error:
            raise _of_worker(error) from None
        except ray.exceptions.GetTimeoutError as error:
            raise WorkersError(
                f"no worker of the Ray cluster on {device!r} has started in "
                f"{_PATIENCE:.0f} seconds",
                code="E_RAY_GPUS",
                remedy="wait until the cluster has one that is free, or ask for 'cpu'",
            ) from error
    return device, answer


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

        with sent():
            task = self._actor.work.remote(part)
        try:
            return ray.get(task)
        except ray.exceptions.RayTaskError as error:
            raise _of_worker(error) from None
        except ray.exceptions.RayActorError as error:
            raise DiedError from error

    def start_again(self) -> bool:
        """Start another actor; False where the cluster has no place for it."""
        import ray

        self._actor = self._start()
        try:
            ray.get(self._actor.__ray_ready__.remote(), timeout=_PATIENCE)
        except (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError):
            return False
        return True

    def end(self) -> None:
        """End the actor, and what waits for it."""
        import ray

        with suppress(ray.exceptions.RayError):
            ray.kill(self._actor)


class _Actor:
    """A worker on a Ray cluster."""

    _work: Callable[[Any], Any] | None = None

    def __init__(self, setup: list[Any], device: str | None, folder: Path) -> None:
        self._setup, self._device = setup, device
        # Paths mean the same as where the run was started, on machines that have that folder.
        with suppress(OSError):
            os.chdir(folder)

    def work(self, part: Any) -> Any:
        """Work on one part."""
        import ray

        # Made with the first part: what fails here arrives as it is.
        if self._work is None:
            self._work = ray.get(self._setup[0])(self._device)
        return self._work(part)
