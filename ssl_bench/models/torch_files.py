"""Torch files as the authors of the field publish them, read without running anything in them.

They are read with ``weights_only=True`` and a short list of permitted numpy types.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ssl_bench.errors import WeightsError
from ssl_bench.models.provenance import counted

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


class TorchContent(NamedTuple):
    """What a torch file holds.

    Attributes
    ----------
    tensors
        The state dict.
    container
        Where the file keeps it.
    beside
        The container's own entries; empty where the state dict is bare.
    """

    tensors: dict[str, Tensor]
    container: str
    beside: Mapping[Any, Any]


def read_torch_file(path: Path) -> TorchContent:
    """Read a state dict, bare or under one of `STATE_FIELDS`.

    The old format of torch before 1.6 is read, too.

    Parameters
    ----------
    path
        The file.

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
    >>> content = read_torch_file(file)
    >>> content.tensors["w"], content.container
    (tensor([1., 1.]), "torch file, state dict under 'model'")
    >>> int(content.beside["epoch"])
    3
    """
    try:
        with torch.serialization.safe_globals(_PERMITTED), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    # torch names no set of errors for damaged files, and its parser raises almost every kind.
    except Exception as error:
        refused = _REFUSED.search(str(error))
        if refused:
            raise WeightsError(
                f"this file holds {refused[1] or refused[2]}, which is refused because reading it "
                "could run code",
                where=path,
                remedy="save its state dict alone, if you trust the file",
            ) from None
        raise WeightsError(
            "this file is damaged, or is no weights file", where=path, remedy="fetch it again"
        ) from None
    container, beside = "torch file, bare state dict", {}
    if isinstance(content, dict):
        for name in STATE_FIELDS:
            if isinstance(content.get(name), dict):
                container, beside = f"torch file, state dict under {name!r}", content
                content = content[name]
                break
    if not isinstance(content, dict) or not content:
        raise WeightsError(
            "this file holds no state dict",
            where=path,
            remedy=f"save one, bare or under one of {', '.join(STATE_FIELDS)}",
        )
    strangers = [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
    if strangers:
        raise WeightsError(
            f"this file's state dict has {counted('not tensors', strangers)}",
            where=path,
            remedy=f"save the state dict bare or under one of {', '.join(STATE_FIELDS)}",
        )
    return TorchContent({str(key): value for key, value in content.items()}, container, beside)
