"""The training loop: seeded, reproducible to the bit for one number of threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ssl_bench.errors import ModelError
from ssl_bench.training.recipe import TrainingRecipe


class Task(Protocol):
    """What the loop trains: a network, an objective and the data, behind a few questions."""

    @property
    def network(self) -> nn.Module:
        """The network whose parameters are trained."""
        ...

    @property
    def ids(self) -> Sequence[str]:
        """Identifier of each training example, for messages."""
        ...

    def loss(self, rows: NDArray[np.int64], epoch: int) -> Tensor:
        """Objective (a scalar with gradient) on some training examples in some epoch."""
        ...

    def validate(self) -> Mapping[str, float]:
        """Figures of the network, in evaluation mode, on the validation split; with ``loss``."""
        ...

    def companions(self) -> Mapping[str, Tensor]:
        """Further tensors that travel with the weights of the trained network."""
        ...


@dataclass(frozen=True)
class Step:
    """Where a run stands, for whoever shows its progress.

    Attributes
    ----------
    stage
        What is being done, as words.
    done, total
        Of this stage, in its own units.
    loss
        Objective on the last batch, where there is one.
    """

    stage: str
    done: int
    total: int
    loss: float | None = None


@dataclass(frozen=True)
class Epoch:
    """Figures after one pass over the training data.

    Attributes
    ----------
    number
        From 1.
    loss
        Mean objective over the steps of the pass.
    validation
        Figures on the validation split.
    """

    number: int
    loss: float
    validation: Mapping[str, float]


@dataclass(frozen=True)
class Course:
    """How a run went.

    Attributes
    ----------
    losses
        Objective at each step.
    epochs
        Figures after each pass.
    seconds
        Time spent in training steps, without validation.
    """

    losses: tuple[float, ...]
    epochs: tuple[Epoch, ...]
    seconds: float


Progress = Callable[[Step], None]


@contextmanager
def reproducible(seed: int, threads: int) -> Iterator[None]:
    """Fix what decides the bits of a run, and put everything back afterwards.

    Parameters
    ----------
    seed
        Seed of torch's own generator (initialisation of weights).
    threads
        Number of threads that torch uses within an operation.

    Examples
    --------
    >>> with reproducible(seed=0, threads=1):
    ...     first = torch.rand(2)
    >>> with reproducible(seed=0, threads=1):
    ...     print(torch.equal(first, torch.rand(2)))
    True
    """
    earlier_threads = torch.get_num_threads()
    earlier_mode = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(earlier_mode)
            torch.set_num_threads(earlier_threads)


def batches(count: int, batch: int, seed: int, epoch: int) -> Iterator[NDArray[np.int64]]:
    """Rows of each whole batch of one pass, in random order.

    Parameters
    ----------
    count
        Number of training examples.
    batch
        Examples in a batch; an incomplete last one is dropped.
    seed, epoch
        Decide the order.

    Examples
    --------
    >>> [len(rows) for rows in batches(10, 4, seed=0, epoch=0)]
    [4, 4]
    """
    order = np.random.default_rng(np.random.SeedSequence([seed, epoch])).permutation(count)
    for start in range(0, count - batch + 1, batch):
        yield order[start : start + batch].astype(np.int64)


def fit(
    task: Task, recipe: TrainingRecipe, *, seed: int, progress: Progress | None = None
) -> Course:
    """Train the network of `task` in place.

    Parameters
    ----------
    task
        Network, objective and data.
    recipe
        Optimizer, schedule, batch and number of epochs.
    seed
        Decides the order of the examples.
    progress
        Called after each step.

    Raises
    ------
    ModelError
        If the objective becomes infinite or not a number; the message names the batch.
    """
    network = task.network
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=recipe.peak_learning_rate, weight_decay=recipe.weight_decay
    )
    per_epoch = len(task.ids) // recipe.batch
    total = per_epoch * recipe.epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.peak_learning_rate, total_steps=total, pct_start=recipe.warm_up
    )
    losses: list[float] = []
    epochs: list[Epoch] = []
    seconds = 0.0
    for epoch in range(recipe.epochs):
        network.train()
        started = time.perf_counter()
        for rows in batches(len(task.ids), recipe.batch, seed, epoch):
            loss = task.loss(rows, epoch)
            losses.append(_finite(loss, task.ids, rows, epoch))
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            if progress is not None:
                progress(Step("training", len(losses), total, losses[-1]))
        seconds += time.perf_counter() - started
        network.eval()
        with torch.inference_mode():
            validation = dict(task.validate())
        epochs.append(Epoch(epoch + 1, float(np.mean(losses[-per_epoch:])), validation))
    return Course(tuple(losses), tuple(epochs), seconds)


def _finite(loss: Tensor, ids: Sequence[str], rows: NDArray[np.int64], epoch: int) -> float:
    value = float(loss.detach())
    if not np.isfinite(value):
        named = ", ".join(ids[row] for row in rows)
        raise ModelError(
            f"the objective became {value} in epoch {epoch + 1}, in the batch of {named}",
            where="training",
            remedy="lower the peak learning rate, or look for unusable sounds or images there",
        )
    return value
