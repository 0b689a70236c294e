"""Who works on the parts of a task: this process, several, or a Ray cluster."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from ssl_bench.executors.cluster import joined
from ssl_bench.executors.local import in_processes
from ssl_bench.executors.on_ray import ask, on_ray
from ssl_bench.executors.sharing import Run, Setup

Kind = Literal["local", "processes", "ray"]


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
        given: dict[str, Any] = {"workers": self.workers, "devices": self.devices}
        if self.kind == "ray":
            return on_ray(setup, name, notify, address=self.address, **given)
        if self.workers > 1:
            return in_processes(setup, here or setup, name, **given)
        return _here(here or setup, self)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Stay in the Ray cluster, if it is one, from one ``open`` to the next.

        Raises as :meth:`open` does.
        """
        with ExitStack() as stack:
            if self.kind == "ray":
                joined(self.address, stack)
            yield

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
        return ask(device, question, workers=self.workers, address=self.address)


HERE = Executor()
"""This process alone."""


def processes(count: int) -> Executor:
    """So many processes on this machine, of which this is one."""
    return HERE if count == 1 else Executor("processes", count)


@contextmanager
def _here(setup: Setup, executor: Executor) -> Iterator[Run]:
    work = setup(next(iter(executor.devices), None))
    yield lambda parts: ((place, work(part)) for place, part in enumerate(parts))
