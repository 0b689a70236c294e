"""The training loop: seeded, reproducible to the bit for one number of threads."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_bench.errors import ModelError
from ssl_bench.training.optimization import make_optimizer, make_schedule
from ssl_bench.training.progress import Progress, Step
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.task import Task


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
    optimizer = make_optimizer(task.parameter_groups(), recipe)
    per_epoch = whole_batches(len(task.ids), recipe.batch)
    total = per_epoch * recipe.epochs
    schedule = make_schedule(optimizer, recipe, total)
    losses: list[float] = []
    epochs: list[Epoch] = []
    seconds = 0.0
    for epoch in range(recipe.epochs):
        task.start_epoch(epoch)
        network.train()
        started = time.perf_counter()
        for rows in batches(len(task.ids), recipe.batch, seed, epoch):
            loss = task.loss(task.training_feed.batch(rows, epoch))
            losses.append(_finite(loss, task.ids, rows, epoch))
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            task.after_step()
            if progress is not None:
                rate = len(losses) * recipe.batch / (seconds + time.perf_counter() - started)
                progress(Step("training", len(losses), total, losses[-1], rate))
        seconds += time.perf_counter() - started
        network.eval()
        with torch.inference_mode():
            validation = dict(task.validate())
        epochs.append(Epoch(epoch + 1, float(np.mean(losses[-per_epoch:])), validation))
    return Course(tuple(losses), tuple(epochs), seconds)


def whole_batches(count: int, batch: int) -> int:
    """Number of whole batches in one pass; raises ModelError where there is none."""
    if count < batch:
        raise ModelError(
            f"{count} examples do not fill one batch of {batch}",
            where="training",
            remedy="train on more data, or lower the recipe's batch",
        )
    return count // batch


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
