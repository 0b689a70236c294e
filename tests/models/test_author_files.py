"""The containers in which the authors of the field publish weights, read by name."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from containers import ezvsl_container, prefixed, slavc_container, write
from protocol_files import few_trials
from recipe_weights import recipe_weights
from refusals import refused
from torch import Tensor

from ssl_bench.cli.main import commands, main
from ssl_bench.errors import WeightsError
from ssl_bench.files import content_folder
from ssl_bench.models.checkpoints import read_checkpoint, save_checkpoint
from ssl_bench.models.contract import AnnotationLocalizer, Localizer
from ssl_bench.models.provenance import describe
from ssl_bench.models.registry import list_baselines, load_baseline, load_localizer

SHIPPED = content_folder("baselines") / "ezvsl" / "synth.safetensors"

State = dict[str, Tensor]
Weights = Callable[[str], State]


@pytest.fixture(scope="module")
def weights(vectors: Path) -> Weights:
    """Recipe weights by model."""
    return partial(recipe_weights, vectors)


def _load(name: str, path: Path) -> Localizer | AnnotationLocalizer:
    return load_localizer(name, variant="full", weights=path)


def _recognised(name: str, path: Path) -> dict[str, Any]:
    found: dict[str, Any] = describe(_load(name, path))["weights"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("name", "prefix"), [("ezvsl", ""), ("fnac", "module.")])
def test_files_of_ez_vsl_and_fnac(weights: Weights, tmp_path: Path, name: str, prefix: str) -> None:
    content = ezvsl_container(prefixed(weights(name), prefix))
    found = _recognised(name, write(tmp_path, "best.pth", content))
    assert found == {
        "container": "torch file, state dict under 'model'",
        "entries": len(weights(name)),
        "prefixes_removed": ["module."] if prefix else [],
        "ignored": [],
        "fields": {"epoch": 20, "best_cIoU": 83.94, "best_Auc": 63.6},
        "remarks": [f"keys do not distinguish ezvsl and fnac; the name given, {name}, was used"],
    }


@pytest.mark.slow
def test_files_of_slavc(weights: Weights, tmp_path: Path) -> None:
    found = _recognised("slavc", write(tmp_path, "latest.pth", slavc_container(weights("slavc"))))
    assert found["entries"] == len(weights("slavc"))
    assert found["fields"] == {"epoch": 20, "best_Precision": 0.25, "best_AP": 0.5, "best_F1": 0.75}
    assert found["remarks"] == []


@pytest.mark.slow
def test_files_of_lvs(weights: Weights, tmp_path: Path) -> None:
    content = {"model_state_dict": prefixed(weights("lvs"))}
    found = _recognised("lvs", write(tmp_path, "lvs.pth.tar", content))
    assert found["container"] == "torch file, state dict under 'model_state_dict'"
    assert found["prefixes_removed"] == ["module."]
    assert found["entries"] + len(found["ignored"]) == len(weights("lvs"))
    assert {"imgnet.conv1_flow.weight", "audnet.fc.weight"} <= set(found["ignored"])
    assert "keys do not distinguish lvs and sslalign" in found["remarks"][0]


@pytest.mark.slow
def test_files_of_cross_modal_alignment_report_what_they_hold_beyond(
    weights: Weights, tmp_path: Path
) -> None:
    content = {"model_state_dict": {**weights("ours"), "further.head.weight": torch.ones(3)}}
    found = _recognised("sslalign", write(tmp_path, "ours.pth.tar", content))
    assert "further.head.weight" in found["ignored"]
    assert found["prefixes_removed"] == []


@pytest.mark.slow
def test_a_file_of_lvs_is_remarked_upon_under_the_name_of_ssl_tie(
    weights: Weights, tmp_path: Path
) -> None:
    found = _recognised("ssltie", write(tmp_path, "lvs.pth.tar", {"state_dict": weights("lvs")}))
    assert _models_in(" ".join(found["remarks"])) == {"lvs", "sslalign", "ssltie"}


@pytest.mark.slow
def test_a_file_that_lacks_a_part_of_its_model_is_not_for_another(
    weights: Weights, tmp_path: Path
) -> None:
    state = {key: value for key, value in weights("ezvsl").items() if "aud_proj" not in key}
    with refused("E_WEIGHTS_MISFIT", where="aud_proj.weight", kind=WeightsError) as caught:
        _load("ezvsl", write(tmp_path, "short.pth", {"model": state}))
    assert "icl" not in caught.value.problem


def test_what_all_keys_begin_with_is_named(weights: Weights, tmp_path: Path) -> None:
    state = {f"net.model.{key}": value for key, value in weights("ezvsl").items()}
    with refused("E_WEIGHTS_MISFIT", where="w.ckpt", kind=WeightsError) as caught:
        _load("ezvsl", write(tmp_path, "w.ckpt", {"state_dict": state}))
    assert "'net.model.'" in str(caught.value.remedy)


def test_a_bank_of_training_sounds_is_used() -> None:
    found = describe(load_localizer("ezvsl", weights=SHIPPED))["weights"]
    assert found["ignored"] == []


@pytest.mark.slow
def test_files_of_ssl_tie(weights: Weights, tmp_path: Path) -> None:
    content = {"epoch": 7, "state_dict": weights("ssltie"), "best_miou": torch.tensor(0.5)}
    found = _recognised("ssltie", write(tmp_path, "ssltie.pth.tar", content))
    assert found["remarks"] == []
    assert found["fields"] == {"epoch": 7, "best_miou": 0.5}
    assert "vision_fc1.weight" in found["ignored"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "file", "key"),
    [
        ("ezvsl", "ezvsl", "audnet.layer4.1.conv2.weight"),
        ("fnac", "fnac", "img_proj.bias"),
        ("slavc", "slavc", "momentum_audnet.layer3.0.bn1.weight"),
        ("lvs", "lvs", "imgnet.layer2.0.conv1.weight"),
        ("sslalign", "ours", "audnet.conv1_a.weight"),
        ("ssltie", "ssltie", "audnet.bn1.running_var"),
        ("ogl-l1", "ogl_l1", "layer4.0.bn2.bias"),
    ],
)
def test_a_missing_entry_is_an_error_for_every_model(
    weights: Weights, tmp_path: Path, name: str, file: str, key: str
) -> None:
    state = weights(file)
    del state[key]
    # Without the key that tells it apart, SSLalignment's file looks like one for ICL.
    code = "E_WEIGHTS_MODEL" if key == "audnet.conv1_a.weight" else "E_WEIGHTS_MISFIT"
    with refused(code, where=key, kind=WeightsError):
        _load(name, write(tmp_path, "w.pth", {"model_state_dict": state}))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "file", "seems"),
    [
        ("ezvsl", "lvs", ["lvs", "sslalign"]),
        ("ezvsl", "slavc", ["slavc"]),
        ("slavc", "ezvsl", ["ezvsl", "fnac"]),
        ("fnac", "ssltie", ["ssltie"]),
        ("lvs", "ezvsl", ["ezvsl", "fnac"]),
        ("lvs", "ssltie", ["ssltie"]),
        ("sslalign", "ezvsl", ["ezvsl", "fnac"]),
    ],
)
def test_a_file_of_another_model_is_refused_and_named(
    weights: Weights, tmp_path: Path, asked: str, file: str, seems: list[str]
) -> None:
    path = write(tmp_path, "best.pth", {"model": weights(file)})
    with refused("E_WEIGHTS_MODEL", where=path, kind=WeightsError) as caught:
        _load(asked, path)
    assert _models_in(caught.value.problem) == {asked, *seems}


def _models_in(text: str) -> set[str]:
    return set(re.findall(r"[\w-]+", text)) & set(list_baselines())


def test_a_file_of_the_same_model_in_another_size_is_told_apart() -> None:
    with refused("E_WEIGHTS_MISFIT", where=SHIPPED, kind=WeightsError) as caught:
        _load("ezvsl", SHIPPED)
    assert _models_in(caught.value.problem) == {"ezvsl", "fnac"}


def test_what_a_file_of_this_project_says_of_itself_is_told(tmp_path: Path) -> None:
    tensors = read_checkpoint(SHIPPED).tensors
    path = tmp_path / "mine.safetensors"
    save_checkpoint(
        path, tensors, metadata={"training": json.dumps({"model": "fnac", "data": "synth"})}
    )
    remarks = describe(load_localizer("ezvsl", weights=path))["weights"]["remarks"]
    assert remarks[-1] == "the file states that it was trained as fnac"


def test_legacy_files_are_read(weights: Weights, tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    torch.save(ezvsl_container(weights("ezvsl")), path, _use_new_zipfile_serialization=False)
    assert _recognised("ezvsl", path)["entries"] == len(weights("ezvsl"))


@pytest.mark.slow
def test_values_that_are_not_finite_are_named(weights: Weights, tmp_path: Path) -> None:
    state = weights("slavc")
    state["aud_proj2.bias"] = torch.full_like(state["aud_proj2.bias"], float("nan"))
    with refused("E_WEIGHTS_MISFIT", where="aud_proj2.bias", kind=WeightsError):
        _load("slavc", write(tmp_path, "latest.pth", slavc_container(state)))


class _Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("harm was done",))


def test_code_in_a_file_is_refused(
    weights: Weights, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = {**ezvsl_container(weights("ezvsl")), "note": _Harmful()}
    with refused("E_WEIGHTS_CODE", where="print", kind=WeightsError):
        _load("ezvsl", write(tmp_path, "best.pth", content))
    bare = tmp_path / "bare.pth"
    bare.write_bytes(pickle.dumps(_Harmful()))
    with refused("E_WEIGHTS_DAMAGED", where=bare, kind=WeightsError):
        _load("ezvsl", bare)
    assert "harm" not in capsys.readouterr().out


def test_a_truncated_file_is_named(weights: Weights, tmp_path: Path) -> None:
    path = write(tmp_path, "best.pth", ezvsl_container(weights("ezvsl")))
    path.write_bytes(path.read_bytes()[:-1000])
    with refused("E_WEIGHTS_DAMAGED", where=path, kind=WeightsError):
        _load("ezvsl", path)


def test_every_model_with_weights_says_by_which_keys_they_are_known() -> None:
    without = {
        name
        for name in list_baselines()
        if not load_baseline(name).recipe.recognised_by
        and any(variant.architecture for variant in load_baseline(name).recipe.variants.values())
    }
    assert without == set()


@pytest.mark.slow
def test_evaluate_says_what_it_recognised_beside_its_tables(tmp_path: Path) -> None:
    copied = tmp_path / "mine.safetensors"
    copied.write_bytes(SHIPPED.read_bytes())
    (tmp_path / "few.toml").write_text(few_trials(4))
    command = ["evaluate", "--model", "ezvsl", "--protocol", str(tmp_path / "few.toml")]
    run = CliRunner().invoke(
        commands,
        [
            *command,
            "--sheet",
            "0",
            "--weights",
            str(copied),
            "--out",
            str(tmp_path / "run"),
            "--json",
        ],
    )
    assert run.exit_code == 0, run.output
    assert f"{copied}: safetensors, " in run.stderr
    assert "keys do not distinguish ezvsl and fnac" in run.stderr
    model = json.loads((tmp_path / "run" / "result.json").read_text())["model"]
    assert model["weights"]["container"] == "safetensors"
    assert json.loads(run.stdout)["model"] == model


def test_a_wrong_file_ends_evaluate_with_one_sentence(
    weights: Weights, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "lvs.pth.tar", {"model_state_dict": weights("lvs")})
    command = ["evaluate", "--model", "ezvsl", "--variant", "full", "--protocol", "synth"]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--weights", str(path), "--out", str(tmp_path / "run")])
    assert ended.value.code == 2
    assert "it looks like one for lvs or sslalign" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_numpy_scalar_of_the_authors_is_a_plain_number(weights: Weights, tmp_path: Path) -> None:
    content = {**ezvsl_container(weights("ezvsl")), "best_cIoU": np.float64("nan")}
    assert _recognised("ezvsl", write(tmp_path, "b.pth", content))["fields"]["best_cIoU"] == "nan"
