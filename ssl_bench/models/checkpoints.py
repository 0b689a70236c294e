"""Weights files: reading ours and the authors', strictly; writing ours.

Nothing in a file is ever executed: torch files, as the authors of the field publish them, are read
with ``weights_only=True`` and a short list of permitted numpy types.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
import warnings
import zipfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ssl_bench.errors import WeightsError
from ssl_bench.files import CappedReader, atomic_path, sha256_of_file
from ssl_bench.models.provenance import RecognisedWeights, counted
from ssl_bench.schemas import in_words

_MODULE = "module."
_KINDS = frozenset(
    {
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.bool),
        *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    }
)
_MAX_TEXT = 200
# Of the pickle in a torch file; each takes torch about 10 us, and a thousand tensors take 50,000.
_MAX_STEPS = 500_000
_MAX_FIELDS = 100
_COUNTER = "num_batches_tracked"
_NORMALISED = {
    "weight_g": "parametrizations.weight.original0",
    "weight_v": "parametrizations.weight.original1",
}


STATE_FIELDS = ("model", "model_state_dict", "state_dict")
"""Where the authors' containers keep the state dict."""

_NUMBERS = "?" + np.typecodes["AllInteger"] + np.typecodes["Float"]
# numpy scalars beside the weights, under the module names of numpy 1 and numpy 2.
_PERMITTED: list[Any] = [
    np.dtype,
    *{type(np.dtype(code)) for code in _NUMBERS},
    (np.float64(0).__reduce__()[0], "numpy.core.multiarray.scalar"),
    (np.float64(0).__reduce__()[0], "numpy._core.multiarray.scalar"),
]
# torch words it in two ways: a name that it does not look up, and a type that it does not fill.
_REFUSED = re.compile(r"GLOBAL (\S+)|`add_safe_globals`,? but got <class '(\S+)'>")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Tensors of a weights file.

    ``module.``, which distributed training puts into keys, is removed from them. `metadata` is text
    that travels with the tensors of safetensors; `fields` are plain values beside the weights;
    `container` is the kind of file, and where it keeps the weights.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]
    sha256: str
    container: str = "tensors"
    prefixes_removed: tuple[str, ...] = ()
    fields: Mapping[str, int | float | str] = field(default_factory=dict)


class MisfitError(WeightsError):
    """Weights that do not fit a network, whole as their file is; and the file's keys."""

    keys: tuple[str, ...] = ()


def read_checkpoint(path: Path, *, expected_sha256: str | None = None) -> Checkpoint:
    """Read a safetensors file, or a torch file as the authors of the field publish them.

    What a torch file may hold: :func:`read_torch_file`.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, of another kind, holds anything but tensors and plain
        values, or has another digest.
    """
    return read_with_beside(path, expected_sha256=expected_sha256)[0]


def read_with_beside(
    path: Path, *, expected_sha256: str | None = None
) -> tuple[Checkpoint, Mapping[Any, Any]]:
    """What :func:`read_checkpoint` reads, and all that a torch file holds beside its state dict.

    Raises as :func:`read_checkpoint` does.
    """
    if path.is_dir():
        raise WeightsError(
            "this is a directory, not a weights file",
            code="E_WEIGHTS_KIND",
            where=path,
            remedy="give a file in it",
        )
    if not path.is_file():
        raise WeightsError(
            "this weights file does not exist",
            code="E_FILE_MISSING",
            where=path,
            remedy="check the path",
        )
    digest = sha256_of_file(path)
    if expected_sha256 is not None and digest != expected_sha256:
        raise WeightsError(
            f"the weights have the digest {digest[:12]}..., and the recipe names "
            f"{expected_sha256[:12]}...",
            code="E_WEIGHTS_DIGEST",
            where=path,
            remedy="restore the file, or train again and put the new digest into the recipe",
        )
    beside: Mapping[Any, Any] = {}
    metadata: Mapping[str, str] = {}
    if is_safetensors(path):
        container = "safetensors"
        tensors, metadata = _read_safetensors(path)
    else:
        tensors, container, beside = read_torch_file(path)
    _check_plain(tensors, path)
    prefixed = any(_MODULE in key for key in tensors)
    checkpoint = Checkpoint(
        path=path,
        tensors=_without_module(tensors, path),
        metadata=metadata,
        sha256=digest,
        container=container,
        prefixes_removed=(_MODULE,) if prefixed else (),
        fields=_fields(metadata or beside),
    )
    return checkpoint, beside


def read_torch_file(path: Path) -> tuple[dict[str, Tensor], str, Mapping[Any, Any]]:
    """State dict, bare or under one of `STATE_FIELDS`; where the file keeps it; and what is beside.

    State dicts of parts, and nothing else, are joined, with the part's name before each entry. The
    old format of torch before 1.6 is read, too.

    Raises
    ------
    WeightsError
        If the file is damaged, holds no state dict, or holds anything but tensors, plain values and
        numpy's scalar numbers.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "best.pth"
    >>> torch.save({"model": {"w": torch.ones(2)}, "epoch": np.int32(3)}, file)
    >>> tensors, container, beside = read_torch_file(file)
    >>> tensors["w"], container, int(beside["epoch"])
    (tensor([1., 1.]), "torch file, state dict under 'model'", 3)
    """
    _refuse_inflation(path)
    try:
        with torch.serialization.safe_globals(_PERMITTED), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if zipfile.is_zipfile(path):
                content = torch.load(path, map_location="cpu", weights_only=True)
            else:
                with CappedReader(path) as stream:
                    content = torch.load(stream, map_location="cpu", weights_only=True)
    # torch names no set of errors for damaged files, and its parser raises almost every kind.
    except Exception as error:
        refused = _REFUSED.search(str(error))
        if refused:
            raise WeightsError(
                f"this file holds {refused[1] or refused[2]}, which is refused because reading it "
                "could run code",
                code="E_WEIGHTS_CODE",
                where=path,
                remedy="save its state dict alone, if you trust the file",
            ) from None
        if path.suffix.lower() in (".npz", ".npy"):
            raise WeightsError(
                "this is a file of numpy arrays, and no weights file",
                code="E_WEIGHTS_KIND",
                where=path,
                remedy="give a checkpoint of torch or safetensors; 'ssl-bench score' takes maps",
            ) from None
        raise WeightsError(
            "this file is damaged, or is not a weights file",
            code="E_WEIGHTS_DAMAGED",
            where=path,
            remedy="fetch it again",
        ) from None
    container, beside = "torch file, bare state dict", {}
    if isinstance(content, dict):
        for name in STATE_FIELDS:
            if isinstance(content.get(name), dict):
                container, beside = f"torch file, state dict under {name!r}", content
                content = content[name]
                break
        else:
            if content and all(map(_is_state, content.values())):
                container = "torch file, state dicts of parts"
                content = {
                    f"{part}.{key}": value
                    for part, state in content.items()
                    for key, value in state.items()
                }
    if not isinstance(content, dict) or not content:
        raise WeightsError(
            "this file holds no state dict",
            code="E_WEIGHTS_STATE",
            where=path,
            remedy=f"save one, bare or under one of {', '.join(STATE_FIELDS)}",
        )
    strangers = [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
    if strangers:
        raise WeightsError(
            f"this file's state dict has {counted('not tensors', strangers)}",
            code="E_WEIGHTS_STATE",
            where=path,
            remedy=f"save the state dict bare or under one of {', '.join(STATE_FIELDS)}",
        )
    return {str(key): value for key, value in content.items()}, container, beside


def _is_state(content: Any) -> bool:
    """Whether it is a dictionary of tensors, and has some."""
    if not isinstance(content, dict) or not content:
        return False
    return all(isinstance(value, Tensor) for value in content.values())


def current_name(key: str) -> str:
    """The name that torch now gives an entry of a layer whose weights are normalised.

    Examples
    --------
    >>> current_name("pos_conv.0.weight_g"), current_name("fc.weight")
    ('pos_conv.0.parametrizations.weight.original0', 'fc.weight')
    """
    stem, dot, last = key.rpartition(".")
    return stem + dot + _NORMALISED.get(last, last)


def _refuse_inflation(path: Path) -> None:
    """Raise WeightsError where a torch file asks for more memory than it has bytes, or much time.

    torch itself stores its members as they are, and never writes a ``bytearray``, which its reader
    makes as long as the file says. It searches its own messages for long in which long names stand.
    """
    size = path.stat().st_size
    problem = ""
    streams: list[BinaryIO] = []
    with suppress(zipfile.BadZipFile, ValueError, OSError, NotImplementedError, RuntimeError):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
                if sum(member.file_size for member in members) > size:
                    problem = "unpacks to more bytes than it has"
                else:
                    pickles = [each for each in members if each.filename.endswith(".pkl")]
                    streams = [io.BytesIO(archive.read(each)) for each in pickles]
        else:
            streams = [CappedReader(path)]
        for stream in streams:
            with stream:
                problem = problem or _problem_of(stream)
    if problem:
        raise WeightsError(
            f"this file {problem}",
            code="E_WEIGHTS_SIZE",
            where=path,
            remedy="save its state dict alone, with torch.save",
        )


def _problem_of(stream: BinaryIO) -> str:
    """What makes the pickles of a stream costly to read, up to where it holds something else."""
    steps = 0
    while stream.read(1) == pickle.PROTO:
        stream.seek(-1, io.SEEK_CUR)
        for operation, argument, _ in pickletools.genops(stream):
            steps += 1
            if steps > _MAX_STEPS:
                return f"takes more than {_MAX_STEPS:,} steps to read"
            if operation.name in ("GLOBAL", "INST"):
                name = str(argument)
                if "bytearray" in name:
                    return "holds a bytearray"
                if len(name) > _MAX_TEXT:
                    return f"names a class by {len(name):,} letters"
    return ""


def load_into(
    network: nn.Module,
    checkpoint: Checkpoint,
    *,
    ignored: Collection[str] = (),
    spare_unknown: bool = False,
    beside: Collection[str] = (),
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
    beside
        Keys that the file may hold and something else than the network reads.

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
        if key in wanted or not (spare_unknown or key in ignored or key in beside)
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
            # A tensor of another shape may be of any size.
            if given[key].shape == wanted[key].shape
            and given[key].is_floating_point()
            and not _is_finite(given[key])
        ],
    }
    problems = [counted(name, keys) for name, keys in findings.items() if keys]
    if problems:
        remedy = (
            "name the model and the variant that the weights belong to, or fetch the file again"
        )
        prefix = _common_prefix(checkpoint.tensors, wanted)
        if prefix:
            remedy = f"remove {prefix!r}, with which all keys of the file begin"
        error = MisfitError(
            f"these weights do not fit the network: {'; '.join(problems)}",
            code="E_WEIGHTS_MISFIT",
            where=checkpoint.path,
            remedy=remedy,
        )
        error.keys = tuple(checkpoint.tensors)
        raise error
    network.load_state_dict(
        {key: given.get(key, value).to(value.dtype) for key, value in wanted.items()}
    )
    remarks: tuple[str, ...] = ()
    if uncounted:
        lacking = f"{len(uncounted)} counters of batch normalisation ({_COUNTER})"
        remarks = (f"the file lacks {lacking}, which evaluation does not read",)
    return RecognisedWeights(
        container=checkpoint.container,
        entries=len(given),
        prefixes_removed=checkpoint.prefixes_removed,
        ignored=tuple(key for key in checkpoint.tensors if key not in given and key not in beside),
        fields=dict(checkpoint.fields),
        remarks=remarks,
    )


def _is_finite(tensor: Tensor) -> bool:
    """Whether all values are finite: least and greatest say it, which torch finds much faster."""
    return tensor.numel() == 0 or bool(torch.stack(tensor.aminmax()).isfinite().all())


_DRAWS = (
    *(Tensor.uniform_, Tensor.normal_, nn.init.uniform_, nn.init.normal_),
    *(nn.init.kaiming_uniform_, nn.init.kaiming_normal_, nn.init.trunc_normal_),
)


class ParametersNotDrawn(TorchFunctionMode):
    """Within it, a network is made without drawing its parameters, which :func:`load_into` fills.

    Drawing them takes longer than loading them. Buffers are made as they always are.

    Examples
    --------
    >>> before = torch.get_rng_state()
    >>> with ParametersNotDrawn():
    ...     layer = nn.Linear(3, 2)
    >>> layer.weight.shape, bool((torch.get_rng_state() == before).all())
    (torch.Size([2, 3]), True)
    """

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Call `function`, unless it draws a parameter."""
        del types
        named = kwargs or {}
        tensor = args[0] if args else named.get("tensor")
        if function in _DRAWS and isinstance(tensor, nn.Parameter):
            return tensor
        return function(*args, **named)


def _common_prefix(given: Collection[str], wanted: Collection[str]) -> str:
    """What all keys begin with, up to a dot, where without it at least half are wanted; or ''."""
    # What the first and the last in order share, all between them share.
    ends = zip(min(given).split("."), max(given).split("."), strict=False)
    prefix = "".join(f"{one}." for one, _ in takewhile(lambda pair: pair[0] == pair[1], ends))
    fitting = sum(key.removeprefix(prefix) in wanted for key in given) if prefix else 0
    return prefix if fitting > max(len(given) // 2, sum(key in wanted for key in given)) else ""


def save_checkpoint(
    path: Path,
    tensors: Mapping[str, Tensor],
    *,
    metadata: Mapping[str, str] | None = None,
    half: bool = False,
) -> str:
    """Write tensors as safetensors, whole or not at all.

    Returns the SHA-256 of the file. `metadata` is text that travels with the tensors; with `half`
    floating-point tensors are stored as float16 (they are loaded as float32). A value that is not
    finite, or does not fit into float16, is a WeightsError.

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
            if not _is_finite(value):
                raise WeightsError(
                    f"{key} holds values that are not finite as {value.dtype}",
                    code="E_WEIGHTS_NOT_FINITE",
                    where=path,
                    remedy="store them as float32" if half else "train again",
                )
        stored[key] = value
    with atomic_path(path) as temporary:
        safetensors.torch.save_file(stored, temporary, metadata=dict(metadata or {}))
    return sha256_of_file(path)


def is_safetensors(path: Path) -> bool:
    """Whether a file is read as safetensors: by its name or, under any other, by how it begins."""
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
    except (safetensors.SafetensorError, OSError, TypeError, RuntimeError, ValueError) as error:
        # Where torch cannot make a shape, its error is a stack of functions.
        own = isinstance(error, safetensors.SafetensorError | OSError)
        reason = in_words(error) if own else "a shape that no tensor can have"
        raise WeightsError(
            f"this file is not readable as safetensors ({reason})",
            code="E_WEIGHTS_DAMAGED",
            where=path,
            remedy="fetch or train it again",
        ) from None


def _check_plain(tensors: Mapping[str, Tensor], path: Path) -> None:
    unusual = [
        f"{key} {value.layout} {value.dtype}"
        for key, value in tensors.items()
        if value.dtype not in _KINDS or value.layout != torch.strided or value.is_meta
    ]
    if unusual:
        raise WeightsError(
            f"this file has {counted('tensors of an unsupported type or layout', unusual)}",
            code="E_WEIGHTS_TYPE",
            where=path,
            remedy="save them dense, as float32 or float16",
        )
    stretched = [
        f"{key} {tuple(value.shape)}"
        for key, value in tensors.items()
        if value.numel() * value.element_size() > value.untyped_storage().nbytes()
    ]
    if stretched:
        raise WeightsError(
            f"this file stores fewer numbers than its shapes say: {counted('tensors', stretched)}",
            code="E_WEIGHTS_SIZE",
            where=path,
            remedy="save them dense",
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
        if isinstance(value, int | float) or (isinstance(value, str) and len(value) <= _MAX_TEXT):
            found[str(key)[:_MAX_TEXT]] = value
            if len(found) == _MAX_FIELDS:
                break
    return found


def _without_module(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    cleaned = {key.replace(_MODULE, ""): value for key, value in tensors.items()}
    if len(cleaned) != len(tensors):
        raise WeightsError(
            "this file holds the same weights twice, with and without 'module.' in their keys",
            code="E_WEIGHTS_TWICE",
            where=path,
            remedy="keep one of the two",
        )
    return cleaned
