"""Parts shared out among workers, whatever these are: each has one part after the other."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from threading import Event
from typing import Any

from ssl_bench.errors import SslBenchError

Setup = Callable[[str | None], Callable[[Any], Any]]
"""Given a device (None where there is no choice), makes what works on one part."""

Run = Callable[[Sequence[Any]], Iterator[tuple[int, Any]]]
"""Works on parts; yields the place of each with its outcome, as they are done."""


class WorkersError(SslBenchError):
    """Workers cannot be had, or one died; it says nothing of what they were to do."""

    code = "E_WORKERS"


class DiedError(Exception):
    """A worker ended while it had a part."""


def shared_out(
    threads: ThreadPoolExecutor,
    workers: list[Any],
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
    over = Event()

    def serve(worker: Any) -> None:
        while worker in workers and (given := todo.get()) is not None:
            place, part = given
            try:
                done.put((place, worker.work(part), None))
            except DiedError as died:
                if over.is_set():  # It was ended, as nobody waits for what it had
                    return
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
        over.set()
        while _taken(todo) is not None:
            pass
        for _ in workers:
            todo.put(None)


def _taken(todo: SimpleQueue[tuple[int, Any] | None]) -> tuple[int, Any] | None:
    with suppress(Empty):
        return todo.get_nowait()
    return None


def _death(worker: str, part: str, cause: BaseException) -> SslBenchError:
    error = WorkersError(
        f"{worker} ended before {part} was done; perhaps memory ran out",
        code="E_WORKER_DIED",
        remedy="run it again with fewer workers; evaluations and trainings go on from where they "
        "were",
    )
    error.__cause__ = cause
    return error


@contextmanager
def sent() -> Iterator[None]:
    """Say in words that something cannot be sent to another process."""
    try:
        yield
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
        raise SslBenchError(
            f"what a worker needs cannot be sent to another process ({str(error).splitlines()[0]})",
            code="E_WORKER_MODEL",
            remedy="keep what cannot be pickled out of your model, name it as FILE.py:NAME, or use "
            "one worker",
        ) from error
