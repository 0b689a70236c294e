import argparse
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recipe_weights import seeded_state
from refusals import refused
from safetensors.torch import save_file
from torch import Tensor

from ssl_bench.errors import WeightsError
from ssl_bench.models.checkpoints import Checkpoint, load_into, read_checkpoint, save_checkpoint
from ssl_bench.models.registry import load_localizer
from ssl_bench.models.resnet import ResidualTrunk, TrunkArchitecture

State = dict[str, Tensor]


def _network() -> ResidualTrunk:
    return ResidualTrunk(TrunkArchitecture(width=2, blocks=(1, 1), strides=(1, 2)), 3)


@pytest.fixture
def state() -> State:
    return seeded_state(_network())


def _equal(network: ResidualTrunk, state: State) -> bool:
    return all(bool((value == state[key]).all()) for key, value in network.state_dict().items())


def _authors(state: State, prefix: str = "") -> dict[str, Any]:
    return {
        "model": {prefix + key: value for key, value in state.items()},
        "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 1e-4}]},
        "epoch": 20,
        "best_cIoU": np.float64(0.8),
        "best_Auc": 0.6,
    }


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    "container",
    [
        pytest.param(lambda state: state, id="bare"),
        pytest.param(_authors, id="authors"),
        pytest.param(lambda state: _authors(state, "module."), id="authors-distributed"),
        pytest.param(lambda state: {"model_state_dict": state}, id="model_state_dict"),
        pytest.param(lambda state: {"state_dict": state}, id="state_dict"),
    ],
)
def test_torch_files_of_the_field_are_read(
    tmp_path: Path, state: State, container: Callable[[State], Any], zipped: bool
) -> None:
    path = tmp_path / "weights.pth"
    torch.save(container(state), path, _use_new_zipfile_serialization=zipped)
    network = _network()
    load_into(network, read_checkpoint(path))
    assert _equal(network, state)


def test_what_was_saved_is_read_again_with_its_metadata(tmp_path: Path, state: State) -> None:
    path = tmp_path / "weights.safetensors"
    digest = save_checkpoint(path, state, metadata={"seed": "0"})
    checkpoint = read_checkpoint(path, expected_sha256=digest)
    network = _network()
    load_into(network, checkpoint)
    assert _equal(network, state)
    assert dict(checkpoint.metadata) == {"seed": "0"}
    assert checkpoint.sha256 == digest


def test_half_precision_is_loaded_as_single(tmp_path: Path, state: State) -> None:
    path = tmp_path / "weights.safetensors"
    save_checkpoint(path, state, half=True)
    network = _network()
    load_into(network, read_checkpoint(path))
    assert network.get_parameter("conv1.weight").dtype == torch.float32
    torch.testing.assert_close(
        network.get_parameter("conv1.weight"), state["conv1.weight"], atol=1e-3, rtol=1e-3
    )


def test_safetensors_are_known_by_their_content(tmp_path: Path, state: State) -> None:
    save_checkpoint(tmp_path / "weights.safetensors", state)
    renamed = (tmp_path / "weights.safetensors").rename(tmp_path / "best.pth")
    assert set(read_checkpoint(renamed).tensors) == set(state)


def test_one_error_names_everything_that_does_not_fit(tmp_path: Path, state: State) -> None:
    path = tmp_path / "other.safetensors"
    del state["conv1.weight"]
    state["bn1.weight"] = torch.ones(3)
    state["bn1.bias"] = torch.tensor([0.0, float("nan")])
    state["head.weight"] = torch.ones(1)
    state["bn1.running_mean"] = torch.zeros(2, dtype=torch.int64)
    torch.save(state, path.with_suffix(".pth"))
    network = _network()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        load_into(network, read_checkpoint(path.with_suffix(".pth")))
    message = str(caught.value)
    assert str(path.with_suffix(".pth")) in message
    assert "1 missing (conv1.weight)" in message
    assert "1 not known to this network (head.weight)" in message
    assert "bn1.weight (3,) instead of (2,)" in message
    assert "1 not finite (bn1.bias)" in message
    assert "bn1.running_mean torch.int64" in message
    assert _equal(network, before)


def test_long_lists_are_cut_and_counted(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "w.safetensors", {"other": torch.ones(1)})
    wanted = [key for key in _network().state_dict() if not key.endswith("num_batches_tracked")]
    with refused("E_WEIGHTS_MISFIT", where=f"{len(wanted)} ", kind=WeightsError) as caught:
        load_into(_network(), read_checkpoint(tmp_path / "w.safetensors"))
    assert wanted[0] in str(caught.value)
    assert wanted[-1] not in str(caught.value)


def test_counters_of_batch_normalisation_may_be_missing(tmp_path: Path, state: State) -> None:
    older = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    save_checkpoint(tmp_path / "w.safetensors", older)
    network = _network()
    found = load_into(network, read_checkpoint(tmp_path / "w.safetensors"))
    assert _equal(network, state)
    count = len(state) - len(older)
    assert [f"lacks {count} counters" in remark for remark in found.remarks] == [True]


def test_a_complete_file_gets_no_remark(tmp_path: Path, state: State) -> None:
    save_checkpoint(tmp_path / "w.safetensors", state)
    assert load_into(_network(), read_checkpoint(tmp_path / "w.safetensors")).remarks == ()


def test_ignored_entries_may_be_there(tmp_path: Path, state: State) -> None:
    save_checkpoint(tmp_path / "w.safetensors", {**state, "fc.weight": torch.ones(1)})
    load_into(_network(), read_checkpoint(tmp_path / "w.safetensors"), ignored=["fc.weight"])


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("code", "?" + np.typecodes["AllInteger"] + np.typecodes["Float"])
def test_numpy_scalars_beside_the_weights_are_read(
    tmp_path: Path, state: State, code: str, zipped: bool
) -> None:
    path = tmp_path / "w.pth"
    content = {"model": state, "epoch": np.dtype(code).type(1)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    found = read_checkpoint(path).fields["epoch"]
    assert found == 1
    assert type(found) in (bool, int, float)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    ("value", "name"),
    [
        pytest.param(np.ones(3), "numpy.*_reconstruct", id="array"),
        pytest.param(argparse.Namespace(lr=1e-4), "argparse.Namespace", id="Namespace"),
        pytest.param(np.complex64(1), "numpy.dtypes.Complex64DType", id="complex"),
        pytest.param(np.datetime64("2021"), "numpy.dtypes.DateTime64DType", id="datetime"),
        pytest.param(np.str_("a"), "numpy.dtypes.StrDType", id="text"),
    ],
)
def test_what_is_no_plain_number_beside_the_weights_is_named_and_refused(
    tmp_path: Path, state: State, value: Any, name: str, zipped: bool
) -> None:
    path = tmp_path / "w.pth"
    torch.save({"model": state, "x": value}, path, _use_new_zipfile_serialization=zipped)
    with refused("E_WEIGHTS_CODE", where="w.pth", kind=WeightsError):
        read_checkpoint(path)


class _Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("harm-was-done",))


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_nothing_in_a_torch_file_is_executed(
    tmp_path: Path, state: State, zipped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": state, "x": _Harmful()}, "best.pth", _use_new_zipfile_serialization=zipped)
    with refused("E_WEIGHTS_CODE", where="mkdir", kind=WeightsError):
        read_checkpoint(Path("best.pth"))
    assert not Path("harm-was-done").exists()


def test_nothing_in_a_pickle_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("best.pth").write_bytes(pickle.dumps(_Harmful()))
    with refused("E_WEIGHTS_DAMAGED", kind=WeightsError):
        read_checkpoint(Path("best.pth"))
    assert not Path("harm-was-done").exists()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with refused("E_FILE_MISSING", where="absent.pth", kind=WeightsError):
        read_checkpoint(tmp_path / "absent.pth")


def test_a_directory_is_refused_as_one(tmp_path: Path) -> None:
    with refused("E_WEIGHTS_KIND", where="is a directory", kind=WeightsError) as caught:
        read_checkpoint(tmp_path)
    assert caught.value.where == str(tmp_path)


def test_another_digest_than_expected_is_refused(tmp_path: Path, state: State) -> None:
    save_checkpoint(tmp_path / "w.safetensors", state)
    with refused("E_WEIGHTS_DIGEST", kind=WeightsError):
        read_checkpoint(tmp_path / "w.safetensors", expected_sha256="0" * 64)


@pytest.mark.parametrize(
    ("content", "code", "place"),
    [
        ([torch.ones(1)], "E_WEIGHTS_STATE", "w.pth"),
        ({}, "E_WEIGHTS_STATE", "w.pth"),
        ({"epoch": 3}, "E_WEIGHTS_STATE", "epoch"),
        ({"model": {"a": torch.ones(1), "module.a": torch.ones(1)}}, "E_WEIGHTS_TWICE", "w.pth"),
    ],
)
def test_a_file_without_one_state_dict_is_refused(
    tmp_path: Path, content: Any, code: str, place: str
) -> None:
    torch.save(content, tmp_path / "w.pth")
    with refused(code, where=place, kind=WeightsError):
        read_checkpoint(tmp_path / "w.pth")


@pytest.mark.parametrize(
    "unusual",
    [
        pytest.param(torch.ones(2).to_sparse(), id="sparse"),
        pytest.param(torch.ones(2).to(torch.float8_e4m3fn), id="float8"),
        pytest.param(torch.ones(2).to(torch.complex64), id="complex"),
        pytest.param(torch.empty(2, device="meta"), id="without values"),
    ],
)
def test_a_tensor_that_is_no_plain_table_is_named(
    tmp_path: Path, state: State, unusual: Tensor
) -> None:
    torch.save({**state, "bn1.weight": unusual}, tmp_path / "w.pth")
    with refused("E_WEIGHTS_TYPE", where="bn1.weight", kind=WeightsError):
        read_checkpoint(tmp_path / "w.pth")


def test_float8_in_safetensors_is_named(tmp_path: Path) -> None:
    save_file({"w": torch.ones(2).to(torch.float8_e4m3fn)}, tmp_path / "w.safetensors")
    with refused("E_WEIGHTS_TYPE", where="float8", kind=WeightsError):
        read_checkpoint(tmp_path / "w.safetensors")


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
@given(share=st.floats(0, 1, exclude_max=True))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_truncated_file_is_a_clear_error(
    tmp_path: Path, state: State, kind: str, share: float
) -> None:
    whole = tmp_path / ("w.safetensors" if kind == "safetensors" else "w.pth")
    if kind == "safetensors":
        save_checkpoint(whole, state)
    else:
        torch.save(_authors(state), whole, _use_new_zipfile_serialization=kind == "zip")
    content = whole.read_bytes()
    cut = tmp_path / f"cut{whole.suffix}"
    cut.write_bytes(content[: int(len(content) * share)])
    with refused(where=cut, kind=WeightsError) as caught:
        read_checkpoint(cut)
    # What is left of a name in the old format is the name of something that is not permitted.
    codes = {"E_WEIGHTS_DAMAGED"} | ({"E_WEIGHTS_CODE"} if kind == "legacy" else set())
    assert caught.value.code in codes


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("place", [0, -1])
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_one_value_that_is_not_finite_is_found_anywhere(
    tmp_path: Path, state: State, value: float, place: int, kind: torch.dtype
) -> None:
    state["bn1.bias"] = torch.zeros_like(state["bn1.bias"], dtype=kind)
    load_into(_network(), Checkpoint(tmp_path / "w.pth", state, {}, ""))
    state["bn1.bias"][place] = value
    with refused("E_WEIGHTS_MISFIT", where="bn1.bias"):
        load_into(_network(), Checkpoint(tmp_path / "w.pth", state, {}, ""))


def test_a_tensor_without_values_is_finite(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "w.safetensors", {"bank": torch.zeros(0, 4)})
    assert read_checkpoint(tmp_path / "w.safetensors").tensors["bank"].shape == (0, 4)


def test_loading_weights_draws_no_random_number() -> None:
    before = torch.get_rng_state()
    load_localizer("ezvsl")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("half", [False, True])
def test_values_that_cannot_be_stored_leave_no_file(tmp_path: Path, half: bool) -> None:
    value = 1e6 if half else float("inf")
    with refused("E_WEIGHTS_NOT_FINITE", kind=WeightsError):
        save_checkpoint(tmp_path / "w.safetensors", {"w": torch.tensor([value])}, half=half)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_names_a_class_at_great_length_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(b"\x80\x02c" + b"a" * 200_000 + b"\nb\n.")
    with refused("E_WEIGHTS_SIZE", where=path):
        read_checkpoint(path)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_file_of_too_many_steps_is_refused(tmp_path: Path, zipped: bool) -> None:
    content = {"weight": torch.ones(1), "history": [0] * 600_000}
    path = tmp_path / "w.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with refused("E_WEIGHTS_SIZE", where=path):
        read_checkpoint(path)


def test_a_text_that_claims_to_be_long_is_not_made_room_for(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(b"\x80\x02X" + (2**31).to_bytes(4, "little") + b"a.")
    with refused("E_WEIGHTS_DAMAGED", where=path):
        read_checkpoint(path)


class _Long:
    def __reduce__(self) -> tuple[Any, ...]:
        return bytearray, (2**32,)


@pytest.mark.parametrize("old_format", [False, True])
@pytest.mark.parametrize(
    "content",
    [
        {"model": {"w": torch.ones(2)}, "x": _Long()},
        {"model": {"w": torch.ones(1).expand(10**12)}},
        {"w": torch.ones(3, 1).expand(3, 10**9)},
    ],
)
def test_what_would_take_more_memory_than_the_file_has_is_refused(
    tmp_path: Path, content: Any, old_format: bool
) -> None:
    path = tmp_path / "small.pth"
    torch.save(content, path, _use_new_zipfile_serialization=not old_format)
    with refused("E_WEIGHTS_SIZE", where="small.pth"):
        read_checkpoint(path)


def test_compressed_members_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(10**6)}, tmp_path / "plain.pth")
    with (
        zipfile.ZipFile(tmp_path / "plain.pth") as plain,
        zipfile.ZipFile(tmp_path / "small.pth", "w", zipfile.ZIP_DEFLATED) as small,
    ):
        for name in plain.namelist():
            small.writestr(name, plain.read(name))
    with refused("E_WEIGHTS_SIZE", where="small.pth"):
        read_checkpoint(tmp_path / "small.pth")


def test_a_shape_that_no_tensor_can_have_is_a_clear_error(tmp_path: Path) -> None:
    header = b'{"w":{"dtype":"F32","shape":[0,9223372036854775808],"data_offsets":[0,0]}}'
    path = tmp_path / "zero.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with refused("E_WEIGHTS_DAMAGED", where="zero.safetensors"):
        read_checkpoint(path)


def test_many_long_fields_are_cut(tmp_path: Path, state: State) -> None:
    fields = {f"{number}" + "x" * 10**4: number for number in range(1000)}
    torch.save({"model": state, **fields}, tmp_path / "wide.pth")
    network = _network()
    recognised = load_into(network, read_checkpoint(tmp_path / "wide.pth"))
    assert len(recognised.fields) == 100
    assert len(str(recognised)) < 3000


def test_values_of_another_shape_are_not_looked_at(tmp_path: Path) -> None:
    tensors = {"weight": torch.full((1,), torch.nan).expand(10**12), "bias": torch.ones(1)}
    with refused("E_WEIGHTS_MISFIT", where="weight (1000000000000,)") as caught:
        load_into(torch.nn.Linear(1, 1), Checkpoint(tmp_path, tensors, {}, ""))
    assert "finite" not in str(caught.value)
