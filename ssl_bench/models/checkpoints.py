"""Weights files: reading ours and the authors', strictly; writing ours.

Nothing in a file is ever executed.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ssl_bench.errors import WeightsError
from ssl_bench.files import atomic_path, sha256_of_file
from ssl_bench.models.provenance import RecognisedWeights, counted
from ssl_bench.models.torch_files import read_torch_file

_MODULE = "module."
_KINDS = frozenset(
    {
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.bool),
        *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    }
)
_LONGEST = 200
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Tensors of a weights file.

    Attributes
    ----------
    path
        The file.
    tensors
        Tensors by key; ``module.``, which distributed training puts into keys, is removed.
    metadata
        Text that travels with the tensors (safetensors only).
    sha256
        Digest of the file.
    container
        Kind of file, and where it keeps the weights.
    prefixes_removed
        What was removed from keys.
    fields
        Plain values beside the weights, by name.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]
    sha256: str
    container: str = "tensors"
    prefixes_removed: tuple[str, ...] = ()
    fields: Mapping[str, int | float | str] = field(default_factory=dict)


class MisfitError(WeightsError):
    """Weights that do not fit a network, whole as their file is.

    Attributes
    ----------
    keys
        The file's keys.
    """

    keys: tuple[str, ...] = ()


def read_checkpoint(path: Path, *, expected_sha256: str | None = None) -> Checkpoint:
    """Read a safetensors file, or a torch file as the authors of the field publish them.

    What a torch file may hold: :func:`ssl_bench.models.torch_files.read_torch_file`.

    Parameters
    ----------
    path
        The file.
    expected_sha256
        The digest that the file must have, if it is known.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, of another kind, holds anything but tensors and plain
        values, or has another digest.
    """
    if not path.is_file():
        raise WeightsError("this weights file does not exist", where=path, remedy="check the path")
    digest = sha256_of_file(path)
    if expected_sha256 is not None and digest != expected_sha256:
        raise WeightsError(
            f"the weights have the digest {digest[:12]}..., and the recipe names "
            f"{expected_sha256[:12]}...",
            where=path,
            remedy="restore the file, or train again and put the new digest into the recipe",
        )
    if _is_safetensors(path):
        tensors, metadata = _read_safetensors(path)
        container, fields = "safetensors", _fields(metadata)
    else:
        metadata = {}
        content = read_torch_file(path)
        tensors, container, fields = content.tensors, content.container, _fields(content.beside)
    _check_plain(tensors, path)
    prefixed = any(_MODULE in key for key in tensors)
    return Checkpoint(
        path=path,
        tensors=_without_module(tensors, path),
        metadata=metadata,
        sha256=digest,
        container=container,
        prefixes_removed=(_MODULE,) if prefixed else (),
        fields=fields,
    )


def load_into(
    network: nn.Module,
    checkpoint: Checkpoint,
    *,
    ignored: Collection[str] = (),
    spare_unknown: bool = False,
) -> RecognisedWeights:
    """Copy a checkpoint into a network, which needs every one of its keys and no other.

    Counters of batch normalisation (``num_batches_tracked``) may be missing, and a remark says so:
    files older than torch 0.4.1 have none, and evaluation does not read them.

    Parameters
    ----------
    network
        The network; it is left as it was when anything is wrong.
    checkpoint
        The weights.
    ignored
        Keys that the file may hold and the network does not use.
    spare_unknown
        Whether any other key that the network does not know is left aside, and reported, too.

    Returns
    -------
    RecognisedWeights
        What the file turned out to be.

    Raises
    ------
    MisfitError
        If keys are missing, unknown, of another shape or kind, or hold values that are not finite;
        one error names all of these.
    """
    wanted = network.state_dict()
    given = {
        key: value
        for key, value in checkpoint.tensors.items()
        if key in wanted or not (spare_unknown or key in ignored)
    }
    shared = [key for key in wanted if key in given]
    missing = [key for key in wanted if key not in given]
    uncounted = [key for key in missing if key.endswith(_COUNTER)]
    findings = {
        "missing": [key for key in missing if key not in uncounted],
        "not known to this network": [key for key in given if key not in wanted],
        "of another shape": [
            f"{key} {tuple(given[key].shape)} instead of {tuple(wanted[key].shape)}"
            for key in shared
            if given[key].shape != wanted[key].shape
        ],
        "of another kind": [
            f"{key} {given[key].dtype}"
            for key in shared
            if given[key].is_floating_point() != wanted[key].is_floating_point()
        ],
        "not finite": [
            key
            for key in shared
            if given[key].is_floating_point() and not bool(given[key].isfinite().all())
        ],
    }
    problems = [counted(name, keys) for name, keys in findings.items() if keys]
    if problems:
        error = MisfitError(
            f"these weights do not fit the network: {'; '.join(problems)}",
            where=checkpoint.path,
            remedy="name the model and the variant that the weights belong to, or fetch the file "
            "again",
        )
        error.keys = tuple(checkpoint.tensors)
        raise error
    network.load_state_dict(
        {key: given.get(key, value).to(value.dtype) for key, value in wanted.items()}
    )
    return RecognisedWeights(
        container=checkpoint.container,
        entries=len(given),
        prefixes_removed=checkpoint.prefixes_removed,
        ignored=tuple(key for key in checkpoint.tensors if key not in given),
        fields=dict(checkpoint.fields),
        remarks=(_uncounted(len(uncounted)),) if uncounted else (),
    )


def save_checkpoint(
    path: Path,
    tensors: Mapping[str, Tensor],
    *,
    metadata: Mapping[str, str] | None = None,
    half: bool = False,
) -> str:
    """Write tensors as safetensors, whole or not at all.

    Parameters
    ----------
    path
        The file to write.
    tensors
        Tensors by key.
    metadata
        Text that travels with the tensors.
    half
        Whether floating-point tensors are stored as float16 (they are loaded as float32).

    Returns
    -------
    str
        SHA-256 of the file.

    Raises
    ------
    WeightsError
        If a value is not finite, or does not fit into float16.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "weights.safetensors"
    >>> digest = save_checkpoint(file, {"w": torch.ones(2)}, metadata={"seed": "0"}, half=True)
    >>> read_checkpoint(file, expected_sha256=digest).tensors["w"]
    tensor([1., 1.], dtype=torch.float16)
    """
    stored: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        value = tensor.detach().cpu().contiguous()
        if value.is_floating_point():
            value = value.to(torch.float16) if half else value
            if not bool(value.isfinite().all()):
                raise WeightsError(
                    f"{key} holds values that are not finite as {value.dtype}",
                    where=path,
                    remedy="store them as float32" if half else "train again",
                )
        stored[key] = value
    with atomic_path(path) as temporary:
        safetensors.torch.save_file(stored, temporary, metadata=dict(metadata or {}))
    return sha256_of_file(path)


def _is_safetensors(path: Path) -> bool:
    if path.suffix == ".safetensors":
        return True
    with path.open("rb") as stream:
        return stream.read(9)[8:] == b"{"


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safetensors.safe_open(path, framework="pt") as stream:
            keys = stream.keys()
            # Copied, so that the file is not kept open for as long as the weights live.
            tensors = {key: stream.get_tensor(key).clone() for key in keys}
            return tensors, dict(stream.metadata() or {})
    except (safetensors.SafetensorError, OSError) as error:
        raise WeightsError(
            f"this file is not readable as safetensors ({error})",
            where=path,
            remedy="fetch or train it again",
        ) from None


def _check_plain(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raise WeightsError where a tensor is no plain table of numbers, which no network here has."""
    unusual = [
        f"{key} {value.layout} {value.dtype}"
        for key, value in tensors.items()
        if value.dtype not in _KINDS or value.layout != torch.strided or value.is_meta
    ]
    if unusual:
        raise WeightsError(
            f"this file has {counted('tensors that are no plain tables', unusual)}",
            where=path,
            remedy="save them dense, as float32 or float16",
        )


def _fields(content: Mapping[Any, Any]) -> dict[str, int | float | str]:
    """The plain values of a container: numbers (of numpy and torch, too) and short texts."""
    found: dict[str, int | float | str] = {}
    for key, value in content.items():
        if isinstance(value, np.longdouble):
            value = float(value)  # Python has no number of its own for it
        elif isinstance(value, np.generic) or (isinstance(value, Tensor) and value.numel() == 1):
            value = value.item()
        if isinstance(value, float) and not math.isfinite(value):
            value = str(value)
        if isinstance(value, int | float) or (isinstance(value, str) and len(value) <= _LONGEST):
            found[str(key)] = value
    return found


def _without_module(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    cleaned = {key.replace(_MODULE, ""): value for key, value in tensors.items()}
    if len(cleaned) != len(tensors):
        raise WeightsError(
            "this file holds the same weights twice, with and without 'module.' in their keys",
            where=path,
            remedy="keep one of the two",
        )
    return cleaned


def _uncounted(count: int) -> str:
    return (
        f"the file lacks {count} counters of batch normalisation ({_COUNTER}), which evaluation "
        "does not read"
    )
