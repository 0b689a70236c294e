"""Results in TensorBoard, MLflow and W&B: names, numbers, steps, pictures, and what is refused."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from command_line import caller
from PIL import Image
from protocol_files import few_trials
from refusals import refused

import ssl_bench
from ssl_bench.arguments import ArgumentError
from ssl_bench.extras import MissingExtraError

GROUP = "tiny@synth:standard"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> ssl_bench.Evaluation:
    """An evaluation with a picture sheet."""
    folder = tmp_path_factory.mktemp("tracked")
    (folder / "tiny.toml").write_text(few_trials(20), encoding="utf-8")
    done = ssl_bench.evaluate("center", folder / "tiny.toml", folder=folder / "run")
    Image.fromarray(np.full((4, 6, 3), 200, np.uint8)).save(done.folder / "trials.png")
    return done


def expected(done: ssl_bench.Evaluation, measure: str = "cIoU@0.5") -> dict[str, float]:
    """What must be written of a measure, by the last part of its name."""
    row = done.to_frame().set_index("measure").loc[measure]
    return {name: value for name, value in row.dropna().items() if name != "best_without"}


@dataclass
class Client:
    """What MLflow's client is asked to do; its documented methods, with its limits on names."""

    tracking_uri: str | None = None
    metrics: list[Any] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    documents: dict[str, Any] = field(default_factory=dict)
    artifacts: list[tuple[str, str]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    def log_batch(self, run_id: str, metrics: Any = ()) -> None:
        self._check(run_id, *(each.key for each in metrics))
        self.metrics += metrics

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        self._check(run_id, key)
        self.tags[key] = value

    def log_dict(self, run_id: str, dictionary: Any, artifact_file: str) -> None:
        self._check(run_id, artifact_file)
        self.documents[artifact_file] = dictionary

    def log_artifact(self, run_id: str, local_path: str, artifact_path: str) -> None:
        self._check(run_id, artifact_path)
        self.artifacts.append((local_path, artifact_path))

    def get_experiment_by_name(self, name: str) -> None:
        return None

    def create_experiment(self, name: str) -> str:
        return f"experiment {name}"

    def create_run(self, experiment_id: str, run_name: str) -> Any:
        assert experiment_id == "experiment ssl-bench"
        return SimpleNamespace(info=SimpleNamespace(run_id="r"), name=run_name)

    def set_terminated(self, run_id: str, status: str) -> None:
        self.ended.append(status)

    @staticmethod
    def _check(run_id: str, *names: str) -> None:
        assert run_id == "r"
        for name in names:
            assert all(sign.isalnum() or sign in "_-. /" for sign in name), name


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Client:
    """The client of a library that stands for MLflow."""
    client = Client()

    def made(tracking_uri: str | None = None) -> Client:
        client.tracking_uri = tracking_uri
        return client

    @dataclass
    class Metric:
        key: str
        value: float
        timestamp: int
        step: int

    library, entities = ModuleType("mlflow"), ModuleType("mlflow.entities")
    library.MlflowClient = made  # type: ignore[attr-defined]
    library.MlflowException = OSError  # type: ignore[attr-defined]
    entities.Metric = Metric  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow", library)
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    return client


class WandbRun:
    """What a run of W&B is asked to log."""

    summary: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self) -> None:
        self.logged: list[tuple[dict[str, Any], int | None]] = []
        self.ended = False

    def log(self, data: dict[str, Any], step: int | None = None) -> None:
        self.logged.append((data, step))

    def __enter__(self) -> WandbRun:
        return self

    def __exit__(self, *_: object) -> None:
        self.ended = True


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> WandbRun:
    """The run of a library that stands for W&B."""
    run, library = WandbRun(), ModuleType("wandb")

    def init(project: str, name: str) -> WandbRun:
        assert (project, name) == ("sounds", "center")
        return run

    library.init = init  # type: ignore[attr-defined]
    library.Image = lambda path: ("image", path)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", library)
    return run


def events_of(folder: Path) -> Any:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder))
    events.Reload()
    return events


@pytest.mark.slow
def test_tensorboard_holds_numbers_steps_text_and_pictures(
    done: ssl_bench.Evaluation, tmp_path: Path
) -> None:
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    with tensorboard.SummaryWriter(str(tmp_path)) as writer:
        ssl_bench.log_result(done, writer, step=10)
        ssl_bench.log_result(done.result, writer, step=20)
    events = events_of(tmp_path)
    for name, value in expected(done).items():
        found = events.Scalars(f"{GROUP}/cIoU@0.5/{name}")
        assert [each.step for each in found] == [10, 20]
        assert found[0].value == pytest.approx(value)
    [picture] = events.Images(f"{GROUP}/trials")
    assert (picture.width, picture.height, picture.step) == (6, 4, 10)
    [text, _] = events.Tensors(f"{GROUP}/result/text_summary")
    assert done.result.protocol.digest in text.tensor_proto.string_val[0].decode()


@pytest.mark.slow
def test_a_command_writes_to_tensorboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch.utils.tensorboard")
    monkeypatch.chdir(tmp_path)
    Path("tiny.toml").write_text(few_trials(20), encoding="utf-8")
    ask = ("--protocol", "tiny.toml", "--log", "tensorboard:events", "--sheet", "0")
    run = caller(capsys)
    assert run("evaluate", "--model", "center", *ask, "--out", "run").code == 0
    events = events_of(tmp_path / "events" / "center")
    assert f"{GROUP}/cIoU@0.5/score" in events.Tags()["scalars"]
    assert run("score", "run/predictions.npz", *ask, "--out", "again").code == 0
    assert len(list((tmp_path / "events" / "center").iterdir())) == 2
    refusal = run("evaluate", "--model", "center", "--protocol", "tiny.toml", "--log", "events")
    assert refusal.code == 2
    assert "E_ARGUMENT" in refusal.err


def test_mlflow_holds_numbers_steps_the_document_and_the_pictures(
    done: ssl_bench.Evaluation, mlflow: Client
) -> None:
    run = SimpleNamespace(info=SimpleNamespace(run_id="r"))
    ssl_bench.log_result(done, run, step=7)
    group = "tiny_synth_standard"
    found = {each.key: each.value for each in mlflow.metrics}
    for name, value in expected(done).items():
        assert found[f"{group}/cIoU_0.5/{name}"] == pytest.approx(value)
    assert {each.step for each in mlflow.metrics} == {7}
    assert mlflow.tags[f"{group}/model"] == "center"
    [(place, document)] = mlflow.documents.items()
    assert place == f"{group}/step 7/result.json"
    assert document["protocol"]["digest"] == done.result.protocol.digest
    assert mlflow.artifacts == [(str(done.sheet), f"{group}/step 7")]
    assert mlflow.ended == []


def test_an_address_of_mlflow_gets_a_run_that_ends(
    done: ssl_bench.Evaluation, mlflow: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssl_bench.log_result(str(done.folder), "mlflow:file:store")
    assert mlflow.tracking_uri == "file:store"
    assert mlflow.ended == ["FINISHED"]
    monkeypatch.setattr(Client, "log_dict", None)
    with pytest.raises(TypeError):
        ssl_bench.log_result(done, "mlflow:file:store")
    assert mlflow.ended == ["FINISHED", "FAILED"]


@pytest.mark.slow
def test_a_local_store_of_mlflow_holds_the_same(
    done: ssl_bench.Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    library = pytest.importorskip("mlflow")
    address = (tmp_path / "store").as_uri()
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    with refused("E_TRACKER", where=address):  # MLflow has to be told that files will do
        ssl_bench.log_result(done, f"mlflow:{address}")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    for _ in range(2):
        ssl_bench.log_result(done, f"mlflow:{address}")
    client = library.MlflowClient(tracking_uri=address)
    experiment = client.get_experiment_by_name("ssl-bench")
    runs = client.search_runs([experiment.experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED"] * 2
    metrics = runs[0].data.metrics
    for name, value in expected(done).items():
        assert metrics[f"tiny_synth_standard/cIoU_0.5/{name}"] == pytest.approx(value)
    files = {path.name: path for path in (tmp_path / "store").rglob("*") if path.is_file()}
    document = json.loads(files["result.json"].read_text())
    assert document["protocol"]["digest"] == done.result.protocol.digest
    assert files["trials.png"].read_bytes() == (done.folder / "trials.png").read_bytes()


def test_wandb_is_given_all_at_once(done: ssl_bench.Evaluation, wandb: WandbRun) -> None:
    ssl_bench.log_result(done, wandb, step=3)
    [(values, step)] = wandb.logged
    assert step == 3
    assert values[f"{GROUP}/cIoU@0.5/score"] == done.result["cIoU@0.5"].value
    assert values[f"{GROUP}/trials"] == ("image", str(done.sheet))
    assert not wandb.ended
    ssl_bench.log_result(done.result, "wandb:sounds")
    assert wandb.ended
    assert f"{GROUP}/trials" not in wandb.logged[1][0]


def test_another_dialect_has_names_of_its_own(done: ssl_bench.Evaluation, wandb: WandbRun) -> None:
    protocol = done.result.protocol.model_copy(update={"dialect": "ezvsl"})
    ssl_bench.log_result(done.result.model_copy(update={"protocol": protocol}), wandb)
    assert f"{GROUP} ezvsl/AUC/score" in wandb.logged[0][0]


@pytest.mark.parametrize("to", ["tensorbord:runs", "runs", "mlflow:", "mlflow", 3, None])
def test_what_is_no_tracker_is_refused(done: ssl_bench.Evaluation, to: Any) -> None:
    with refused("E_ARGUMENT", kind=ArgumentError):
        ssl_bench.log_result(done, to)


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        ("tensorboard", "[tracking]"),
        ("mlflow", "[tracking]"),
        ("wandb", "pip install wandb"),
    ],
)
def test_a_tracker_that_is_not_installed_is_named_with_the_remedy(
    done: ssl_bench.Evaluation, monkeypatch: pytest.MonkeyPatch, kind: str, remedy: str
) -> None:
    monkeypatch.setitem(sys.modules, kind, None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    with refused("E_EXTRA_MISSING", where=remedy, kind=MissingExtraError):
        ssl_bench.log_result(done, f"{kind}:place")
