"""On what a run is computed, through Lightning Fabric."""

from __future__ import annotations

import atexit
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import torch

from ssl_bench.errors import ModelError
from ssl_bench.extras import extra_needed
from ssl_bench.files import sha256_of_json

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Accelerator = Literal["auto", "cpu", "cuda"]
Precision = Literal["32-true", "16-mixed", "bf16-mixed"]
Negatives = Literal["device", "all"]


@dataclass(frozen=True)
class Hardware:
    """On what a run is computed. The same seed gives the same bits on one CPU device only.

    Examples
    --------
    >>> Hardware(accelerator="cpu").resolved()
    Hardware(accelerator='cpu', devices=1, precision='32-true', workers=0, nodes=1, ...)
    """

    accelerator: Accelerator = "auto"  # ``auto`` takes a GPU where there is one
    # Number of devices of each machine. Each takes its share of every batch, and batch
    # normalisation uses the statistics of that share. Gradients are averaged.
    devices: int = 1
    # ``32-true``, or mixed with half precision; weights stay in single precision.
    precision: Precision = "32-true"
    # Processes that read and augment examples ahead; 0 for none. Results do not depend on it.
    workers: int = 0
    # Number of machines, on each of which the same command is started by torchrun or SLURM.
    nodes: int = 1
    # What an objective that contrasts the examples of a batch contrasts: those of a ``device``, as
    # in EZ-VSL's code, or ``all``, which is the objective of one device with the whole batch.
    negatives: Negatives = "device"

    @property
    def processes(self) -> int:
        """Number of devices of all machines."""
        return self.devices * self.nodes

    def resolved(self) -> Hardware:
        """The same with the accelerator that is available.

        Raises
        ------
        ModelError
            If it is not available, has fewer devices, or cannot compute in this precision.
        """
        available = torch.cuda.device_count() if torch.cuda.is_available() else 0
        chosen = self.accelerator
        if chosen == "auto":
            chosen = "cuda" if available else "cpu"
        if chosen == "cuda" and available < self.devices:
            raise ModelError(
                f"{self.devices} CUDA devices are needed, and torch finds {available}",
                code="E_DEVICES",
                where="accelerator",
                remedy="use the accelerator cpu, or fewer devices",
            )
        if chosen == "cpu" and self.precision == "16-mixed":
            raise ModelError(
                "16-mixed needs a GPU",
                code="E_PRECISION",
                where="precision",
                remedy="use bf16-mixed or 32-true on the CPU",
            )
        started = int(os.environ.get("WORLD_SIZE", self.processes))
        if "TORCHELASTIC_RUN_ID" in os.environ and started != self.processes:
            raise ModelError(
                f"torchrun has started {started} processes for {self.nodes} machines of "
                f"{self.devices} devices",
                code="E_DEVICES",
                where="devices",
                remedy="give --devices and --nodes as torchrun has --nproc-per-node and --nnodes",
            )
        return replace(self, accelerator=chosen)

    def share(self, batch: int) -> int:
        """Examples of a batch that each device takes; ModelError if it cannot be shared evenly."""
        if batch % self.processes or batch // self.processes < 2:
            raise ModelError(
                f"a batch of {batch} cannot be shared evenly by {self.processes} devices, two "
                "examples or more on each",
                code="E_BATCH_SHARE",
                where="devices",
                remedy="choose another number of devices",
            )
        return batch // self.processes


def launch(hardware: Hardware) -> Fabric:
    """Start Fabric on resolved hardware, with one process for each device.

    With several devices, the further processes run the same command from its beginning; on several
    machines, a launcher has started it. ModelError if none has: it would wait for ever.
    """
    with extra_needed("training"):
        from lightning_fabric import Fabric

    with warnings.catch_warnings():
        # Fabric recommends settings that its caller has already decided.
        warnings.simplefilter("ignore")
        fabric = Fabric(
            accelerator=hardware.accelerator,
            devices=hardware.devices,
            num_nodes=hardware.nodes,
            # A trunk may hold weights that its objective does not read.
            strategy="auto" if hardware.processes == 1 else "ddp_find_unused_parameters_true",
            precision=hardware.precision,
        )
        if hardware.nodes > 1:
            _require_launcher(fabric)
        fabric.launch()
    if hardware.processes > 1:
        # Threads that still wait for other processes would abort this one as it ends.
        atexit.register(_leave)
    return fabric


def _require_launcher(fabric: Fabric) -> None:
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment

    # What Fabric takes where it finds no launcher; such processes may be told their place by hand.
    by_hand = {"NODE_RANK", "GROUP_RANK"} & set(os.environ)
    found = getattr(fabric.strategy, "cluster_environment", None)
    if isinstance(found, LightningEnvironment) and not by_hand:
        raise ModelError(
            "several machines are asked for, and no launcher has started this process",
            code="E_LAUNCHER",
            where="nodes",
            remedy="start it with torchrun or srun on each machine, as the page 'From a laptop to "
            "a cluster' of the documentation shows, or leave --nodes out",
        )


def require_alike(fabric: Fabric, facts: Mapping[str, Any]) -> None:
    """Refuse processes that were started with other settings; ModelError names these in each."""
    if fabric.world_size == 1:
        return
    digests = [int(sha256_of_json(value)[:15], 16) for value in facts.values()]
    gathered = fabric.all_gather(torch.tensor(digests, dtype=torch.int64, device=fabric.device))
    own = torch.as_tensor(gathered)
    differ = (own != own[0]).any(dim=0).tolist()
    names = [name for name, other in zip(facts, differ, strict=True) if other]
    if names:
        raise ModelError(
            f"the processes of this run differ in: {', '.join(names)}",
            code="E_RANKS_DIFFER",
            where="training",
            remedy="give the same options, code and data on all machines",
        )


def _leave() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def is_first_process() -> bool:
    """Whether this process reports on a run of several."""
    names = ("RANK", "SLURM_PROCID", "LOCAL_RANK")
    return int(next((os.environ[name] for name in names if name in os.environ), "0")) == 0
