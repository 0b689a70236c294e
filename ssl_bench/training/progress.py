"""Where a training run stands, for whoever shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """Where a run stands.

    Attributes
    ----------
    stage
        What is being done, as words.
    done, total
        Of this stage, in its own units.
    loss
        Objective on the last batch, where there is one.
    examples_per_second
        Throughput of the training steps so far, where there is one.
    """

    stage: str
    done: int
    total: int
    loss: float | None = None
    examples_per_second: float | None = None


Progress = Callable[[Step], None]


def counted(stage: str, progress: Progress | None) -> Callable[[int, int], None] | None:
    """A callback ``(done, total)`` that tells `progress` of one stage; None where none is told.

    Examples
    --------
    >>> counted("reading", print)(1, 2)
    Step(stage='reading', done=1, total=2, loss=None, examples_per_second=None)
    """
    if progress is None:
        return None

    def tell(done: int, total: int) -> None:
        progress(Step(stage, done, total))

    return tell
