"""The training loop: seeded, resumable, and on one CPU device reproducible to the bit."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ssl_bench.errors import ModelError
from ssl_bench.training.feeds import Batch
from ssl_bench.training.hardware import Hardware, launch
from ssl_bench.training.loading import load_batches
from ssl_bench.training.optimization import make_optimizer, make_schedule
from ssl_bench.training.progress import Progress, Step
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.task import Task
from ssl_bench.training.unfinished import Unfinished

if TYPE_CHECKING:
    from lightning_fabric import Fabric

FIRST_STEPS = 10
"""Steps after which the throughput is written down for the first time."""


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
    first_examples_per_second
        Throughput of the first ten steps.
    """

    losses: tuple[float, ...]
    epochs: tuple[Epoch, ...]
    seconds: float
    first_examples_per_second: float


@contextmanager
def reproducible(seed: int, threads: int, *, deterministic: bool = True) -> Iterator[None]:
    """Fix what decides the bits of a run, and put everything back afterwards.

    Parameters
    ----------
    seed
        Seed of torch's own generator (initialisation of weights).
    threads
        Number of threads that torch uses within an operation.
    deterministic
        Whether operations that differ from run to run are refused; not every operation has a
        deterministic form on GPUs.

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
        torch.use_deterministic_algorithms(deterministic)
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


def whole_batches(count: int, batch: int) -> int:
    """Number of whole batches in one pass; raises ModelError where there is none."""
    if count < batch:
        raise ModelError(
            f"{count} examples do not fill one batch of {batch}",
            where="training",
            remedy="train on more data, or lower the recipe's batch",
        )
    return count // batch


def fit(
    task: Task,
    recipe: TrainingRecipe,
    *,
    seed: int,
    hardware: Hardware | None = None,
    fabric: Fabric | None = None,
    unfinished: Unfinished | None = None,
    progress: Progress | None = None,
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
    hardware
        On what; None for one CPU device.
    fabric
        That hardware where it is already launched.
    unfinished
        Where the state of the run is kept, and read from if it is there: the run then goes on
        where it was. None to keep nothing.
    progress
        Called after each step.

    Raises
    ------
    ModelError
        If the objective becomes infinite or not a number (the message names the batch), the data do
        not fill a batch, or the unfinished run is another one.
    """
    on = (hardware or Hardware(accelerator="cpu")).settled()
    return _Run(task, recipe, seed, on, fabric or launch(on), unfinished, progress).go()


class _Objective(nn.Module):
    """The objective as one module: gradients are averaged and precision is set around it."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.network = task.network
        self._task = task

    def forward(self, batch: Batch) -> Tensor:
        return self._task.loss(batch)


class _Run:
    def __init__(
        self,
        task: Task,
        recipe: TrainingRecipe,
        seed: int,
        hardware: Hardware,
        fabric: Fabric,
        unfinished: Unfinished | None,
        progress: Progress | None,
    ) -> None:
        self._task = task
        self._recipe = recipe
        self._seed = seed
        self._hardware = hardware
        self._fabric = fabric
        self._unfinished = unfinished
        self._progress = progress
        self._share = hardware.share(recipe.batch)
        self._per_epoch = whole_batches(len(task.ids), recipe.batch)
        self._total = self._per_epoch * recipe.epochs
        self._optimizer = make_optimizer(task.parameter_groups(), recipe)
        self._schedule = make_schedule(self._optimizer, recipe, self._total)
        self._losses: list[float] = []
        self._epochs: list[Epoch] = []
        self._seconds = 0.0
        self._first_rate = 0.0

    def go(self) -> Course:
        objective, optimizer = self._fabric.setup(_Objective(self._task), self._optimizer)
        state = self._unfinished.load() if self._unfinished is not None else None
        if self._hardware.devices > 1:
            torch.manual_seed(self._seed + self._fabric.global_rank)
        first = int(state["epoch"]) if state is not None else 0
        if state is not None and first == self._recipe.epochs:
            self._resume(state)
        for epoch in range(first, self._recipe.epochs):
            self._task.start_epoch(epoch)
            done = 0
            if state is not None:
                done = self._resume(state)
                if done == 0:
                    self._task.start_epoch(epoch)
                state = None
            self._train(objective, optimizer, epoch, done)
            self._validate(epoch)
            self._save(epoch + 1, 0)
        self._task.network.eval()
        return Course(tuple(self._losses), tuple(self._epochs), self._seconds, self._first_rate)

    def _train(self, objective: nn.Module, optimizer: Any, epoch: int, done: int) -> None:
        self._task.network.train()
        rank = self._fabric.global_rank
        whole = list(batches(len(self._task.ids), self._recipe.batch, self._seed, epoch))[done:]
        own = [rows[rank * self._share : (rank + 1) * self._share] for rows in whole]
        loaded = load_batches(
            self._task.training_feed,
            epoch,
            own,
            workers=self._hardware.workers,
            pin=self._hardware.accelerator == "cuda",
        )
        earlier = self._seconds
        started = time.perf_counter()
        for number, (rows, batch) in enumerate(zip(whole, loaded, strict=True), done + 1):
            loss = objective(self._fabric.to_device(batch))
            self._losses.append(self._finite(loss, rows, epoch))
            optimizer.zero_grad(set_to_none=True)
            self._fabric.backward(loss)
            optimizer.step()
            self._schedule.step()
            self._task.after_step()
            self._seconds = earlier + time.perf_counter() - started
            self._tell()
            every = None if self._unfinished is None else self._unfinished.every
            if every and number % every == 0 and number < self._per_epoch:
                self._save(epoch, number)

    def _validate(self, epoch: int) -> None:
        self._task.network.eval()
        figures: dict[str, float] = {}
        if self._fabric.is_global_zero:
            with torch.inference_mode():
                figures = dict(self._task.validate())
        self._fabric.barrier()
        mean = float(np.mean(self._losses[-self._per_epoch :]))
        self._epochs.append(Epoch(epoch + 1, mean, figures))

    def _tell(self) -> None:
        step = self._step()
        if len(self._losses) <= FIRST_STEPS and step.examples_per_second is not None:
            self._first_rate = step.examples_per_second
        if not self._fabric.is_global_zero:
            return
        if self._unfinished is not None and len(self._losses) == FIRST_STEPS:
            self._unfinished.tell(step)
        if self._progress is not None:
            self._progress(step)

    def _step(self) -> Step:
        steps = len(self._losses)
        rate = steps * self._recipe.batch / self._seconds
        return Step("training", steps, self._total, self._losses[-1], rate)

    def _finite(self, loss: Tensor, rows: NDArray[np.int64], epoch: int) -> float:
        """The objective over all devices, which stop together where it is no number."""
        everywhere = loss.detach()
        if self._hardware.devices > 1:
            everywhere = torch.as_tensor(self._fabric.all_reduce(everywhere))
        value = float(everywhere)
        if not np.isfinite(value):
            named = ", ".join(self._task.ids[row] for row in rows)
            raise ModelError(
                f"the objective became {value} in epoch {epoch + 1}, in the batch of {named}",
                where="training",
                remedy="lower the peak learning rate, or look for unusable sounds or images there",
            )
        return value

    def _save(self, epoch: int, done: int) -> None:
        if self._unfinished is None or not self._fabric.is_global_zero:
            return
        state = {
            "epoch": epoch,
            "done": done,
            "losses": self._losses,
            "epochs": [asdict(passed) for passed in self._epochs],
            "seconds": self._seconds,
            "first_rate": self._first_rate,
            "network": self._task.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "precision": self._fabric.strategy.precision.state_dict(),
            "task": dict(self._task.state()),
            "generator": torch.get_rng_state(),
        }
        if self._hardware.accelerator == "cuda":
            state["cuda_generator"] = torch.cuda.get_rng_state()
        self._unfinished.save(state, self._step())

    def _resume(self, state: Mapping[str, Any]) -> int:
        """Put everything back; returns how many steps of the pass are done."""
        self._losses = list(state["losses"])
        self._epochs = [Epoch(**passed) for passed in state["epochs"]]
        self._seconds = float(state["seconds"])
        self._first_rate = float(state["first_rate"])
        self._task.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self._fabric.strategy.precision.load_state_dict(state["precision"])
        self._task.load_state(state["task"])
        # Several devices draw each from a generator of their own, and only the first one's is kept.
        if self._hardware.devices == 1:
            torch.set_rng_state(state["generator"])
            if "cuda_generator" in state:
                torch.cuda.set_rng_state(state["cuda_generator"])
        return int(state["done"])
