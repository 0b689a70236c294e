"""Hardware: what is there, and what is refused."""

from __future__ import annotations

import multiprocessing
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from refusals import refused
from torch.distributed import run

from ssl_bench.models.checkpoints import read_checkpoint
from ssl_bench.training.hardware import Hardware, is_first_process, launch, require_alike
from ssl_bench.training.record import read_record
from ssl_bench.training.run import train


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("no_gpu")
def test_automatic_choice_is_the_processor_where_there_is_no_gpu():
    assert Hardware().resolved().accelerator == "cpu"
    assert str(launch(Hardware().resolved()).device) == "cpu"


def test_automatic_choice_is_the_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert Hardware(devices=2).resolved().accelerator == "cuda"
    with refused("E_DEVICES"):
        Hardware(devices=3).resolved()


@pytest.mark.usefixtures("no_gpu")
def test_what_is_not_there_is_refused():
    with refused("E_DEVICES"):
        Hardware(accelerator="cuda").resolved()
    with refused("E_PRECISION"):
        Hardware(precision="16-mixed").resolved()


def test_without_lightning_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with refused("E_EXTRA_MISSING", where="[train]"):
        launch(Hardware(accelerator="cpu"))


def test_a_batch_is_shared_evenly_or_not_at_all():
    assert Hardware(devices=2).share(8) == 4
    for devices in (3, 8):
        with refused("E_BATCH_SHARE"):
            Hardware(devices=devices).share(8)


def test_one_of_several_processes_reports(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert is_first_process()
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert not is_first_process()


@pytest.mark.slow
def test_mixed_precision_trains_and_stores_single_precision(quick_classification, tmp_path):
    short = quick_classification.model_copy(update={"epochs": 1})
    mixed = train(
        "ogl-l1",
        out=tmp_path / "mixed",
        recipe=short,
        hardware=Hardware(accelerator="cpu", precision="bf16-mixed"),
    )
    plain = train("ogl-l1", out=tmp_path / "plain", recipe=short)
    assert mixed.precision == "bf16-mixed"
    assert mixed.losses != plain.losses
    assert np.allclose(mixed.losses, plain.losses, rtol=0.05)


TWO = """
import sys
from pathlib import Path

import torch
from ssl_bench.training.hardware import Hardware, launch
from ssl_bench.training.objectives.ez_vsl import ez_vsl_loss
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.run import train

out, hardware = Path(sys.argv[1]), Hardware("cpu", devices=2)
recipe = TrainingRecipe.model_validate_json(sys.argv[2])
train("ezvsl", out=out, recipe=recipe, hardware=hardware)

fabric = launch(hardware)
torch.manual_seed(0)
network, rows = torch.nn.Linear(5, 5), torch.randn(2, 8, 5)


def loss(images, sounds):
    return ez_vsl_loss(images[:, :, None, None], sounds, 0.1, "max-of-similarities")


def all_rows(own):
    return fabric.all_gather(own, sync_grads=True).flatten(0, 1)


loss(*network(rows)).backward()
whole = network.weight.grad.clone()
network.zero_grad()
share = slice(fabric.global_rank * 4, fabric.global_rank * 4 + 4)
module = fabric.setup(network)
fabric.backward(loss(*map(all_rows, module(rows[:, share]))))
shared = network.weight.grad
torch.save((fabric.world_size, whole, shared), out / f"gradient{fabric.global_rank}.pt")
"""


@pytest.fixture(scope="module")
def two_devices(quick_contrastive, tmp_path_factory) -> Path:
    """What two devices make in one run, for their processes take long to start."""
    folder = tmp_path_factory.mktemp("two")
    short = quick_contrastive.model_copy(update={"epochs": 2})
    script, out = folder / "two.py", folder / "out"
    script.write_text(TWO)
    arguments = [sys.executable, str(script), str(out), short.model_dump_json()]
    done = subprocess.run(arguments, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
    assert done.returncode == 0
    return out


@pytest.mark.slow
def test_two_devices_share_each_batch_and_end_with_one_network(
    two_devices, quick_contrastive, tmp_path
):
    record = read_record(two_devices / "synth.training.json")
    assert record.devices == 2
    assert len(record.losses) == 4
    # Negatives on the same device only: sixteen examples each, so 2 ln 16 and not 2 ln 32 at first.
    assert record.losses[0] == pytest.approx(2 * np.log(16), abs=1.0)
    short = quick_contrastive.model_copy(update={"epochs": 1})
    alone = train("ezvsl", out=tmp_path / "alone", recipe=short)
    assert record.losses[0] < alone.losses[0]
    tensors = read_checkpoint(two_devices / "synth.safetensors").tensors
    assert set(tensors) == set(read_checkpoint(tmp_path / "alone" / "synth.safetensors").tensors)


@pytest.mark.slow
def test_contrasting_all_examples_has_the_gradient_of_one_device(two_devices):
    for rank in range(2):
        devices, whole, shared = torch.load(two_devices / f"gradient{rank}.pt")
        assert devices == 2
        torch.testing.assert_close(shared, whole)


NODE = """
import sys
from pathlib import Path
from ssl_bench.training.hardware import Hardware
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.run import train

recipe = TrainingRecipe.model_validate_json(sys.argv[2])
hardware = Hardware("cpu", devices=1, nodes=2, negatives="all")
train("ezvsl", out=Path(sys.argv[1]), recipe=recipe, hardware=hardware)
"""


def torchrun(*arguments: str) -> multiprocessing.process.BaseProcess:
    """torchrun in a process that is split off from this one, which has loaded what it needs."""
    process = multiprocessing.get_context("fork").Process(target=run.main, args=(arguments,))
    process.start()
    return process


@pytest.mark.slow
def test_two_machines_started_by_torchrun_contrast_all_examples(
    quick_contrastive, tmp_path, monkeypatch
):
    short = quick_contrastive.model_copy(update={"epochs": 1})
    script, out = tmp_path / "node.py", tmp_path / "out"
    script.write_text(NODE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    started = [
        torchrun(
            *("--nnodes=2", "--nproc-per-node=1", f"--node-rank={rank}"),
            *("--master-addr=127.0.0.1", f"--master-port={port}"),
            *(str(script), str(out), short.model_dump_json()),
        )
        for rank in range(2)
    ]
    for each in started:
        each.join(300)
    assert [each.exitcode for each in started] == [0, 0]
    record = read_record(out / "synth.training.json")
    assert (record.devices, record.nodes, record.negatives) == (1, 2, "all")
    # All thirty-two examples are contrasted, on two machines of sixteen.
    assert record.losses[0] == pytest.approx(2 * np.log(32), abs=1.0)


DIFFERENT = """
import os
import sys
from pathlib import Path
from ssl_bench.errors import ModelError
from ssl_bench.training.hardware import Hardware
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.run import train

negatives = "all" if os.environ.get("LOCAL_RANK") == "1" else "device"
recipe = TrainingRecipe.model_validate_json(sys.argv[2])
try:
    train("ezvsl", out=Path(sys.argv[1]), recipe=recipe,
          hardware=Hardware("cpu", devices=2, negatives=negatives))
except ModelError as error:
    print(error.code, error.problem)
"""


@pytest.mark.slow
def test_devices_with_other_options_are_refused_as_they_start(quick_contrastive, tmp_path):
    script = tmp_path / "different.py"
    script.write_text(DIFFERENT)
    arguments = [sys.executable, str(script), str(tmp_path), quick_contrastive.model_dump_json()]
    settings = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        arguments, env=settings, check=False, capture_output=True, text=True, timeout=300
    )
    assert done.stdout.count("E_RANKS_DIFFER the processes of this run differ in: negatives") == 2


def test_an_objective_without_negatives_gathers_none(quick_classification, tmp_path):
    with refused("E_NEGATIVES"):
        train(
            "ogl-l1",
            out=tmp_path,
            recipe=quick_classification,
            hardware=Hardware(accelerator="cpu", negatives="all"),
        )


def test_another_number_of_processes_than_torchrun_started_is_refused(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "run")
    monkeypatch.setenv("WORLD_SIZE", "4")
    with refused("E_DEVICES"):
        Hardware(accelerator="cpu", devices=2).resolved()
    assert Hardware(accelerator="cpu", devices=2, nodes=2).resolved().processes == 4


def test_several_machines_without_a_launcher_are_refused(monkeypatch):
    for name in ("NODE_RANK", "GROUP_RANK"):
        monkeypatch.delenv(name, raising=False)
    with refused("E_LAUNCHER"):
        launch(Hardware(accelerator="cpu", nodes=2))


class Gathering:
    """As Fabric on two devices, of which the other has these digests."""

    world_size, device = 2, torch.device("cpu")

    def __init__(self) -> None:
        self.other: torch.Tensor | None = None

    def all_gather(self, own: torch.Tensor) -> torch.Tensor:
        self.other = own if self.other is None else self.other
        return torch.stack([self.other, own])


def test_processes_with_other_options_are_refused():
    fabric: Any = Gathering()
    require_alike(fabric, {"seed": 0, "negatives": "all"})
    require_alike(fabric, {"seed": 0, "negatives": "all"})
    with refused("E_RANKS_DIFFER", where="negatives") as raised:
        require_alike(fabric, {"seed": 0, "negatives": "device"})
    assert "seed" not in str(raised.value)


def test_too_many_devices_for_a_batch_are_refused_before_anything_is_read(
    quick_contrastive, tmp_path: Path
):
    with refused("E_BATCH_SHARE"):
        train(
            "ezvsl",
            out=tmp_path,
            recipe=quick_contrastive,
            hardware=Hardware(accelerator="cpu", devices=5),
        )
    assert list(tmp_path.iterdir()) == []
