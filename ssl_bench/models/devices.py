"""On what a localizer computes: the device, and the precision of its networks.

torch is imported where it is needed, so that localizers without it work where it is not installed.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import ModelError
from ssl_bench.extras import extra_needed
from ssl_bench.models.provenance import Provenance, provenance_of

if TYPE_CHECKING:
    from torch import Tensor, nn

Precision = Literal["32", "bf16", "16"]
"""Bits in which networks multiply; weights, normalisation and what leaves a network have 32."""


@dataclass(frozen=True)
class Place:
    """A device and a precision that it has; :func:`resolve` makes one of what a user asks for.

    Examples
    --------
    >>> place = Place()
    >>> with place.computing():
    ...     doubled = place.send(np.ones(2, np.float32)) * 2
    >>> place.fetch(doubled)
    array([2., 2.], dtype=float32)
    """

    device: str = "cpu"  # As torch names it, such as ``cuda:1``
    precision: Precision = "32"
    # What results name, where other machines compute there and this process does not.
    elsewhere: str | None = field(default=None, repr=False)

    def send(self, array: NDArray[Any]) -> Tensor:
        """The array as a tensor on the device."""
        import torch

        tensor = torch.from_numpy(array)
        if self.device.startswith("cuda"):
            # torch keeps what is pinned until all of it has arrived.
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)

    def fetch(self, tensor: Tensor) -> NDArray[np.float32]:
        """The tensor as an array in the memory of the processor, contiguous."""
        fetched: NDArray[np.float32] = tensor.detach().float().cpu().contiguous().numpy()
        return fetched

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Compute without gradients and in this precision until it ends.

        32 bits are 32: TF32 and other short cuts, if the process allows them, are off meanwhile.
        That is a setting of the process, so other threads compute without them, too.
        """
        import torch

        if self.precision == "32":
            with torch.no_grad(), _FULL:
                yield
            return
        kind = torch.bfloat16 if self.precision == "bf16" else torch.float16
        with torch.no_grad(), torch.autocast(self.device.partition(":")[0], dtype=kind):
            yield

    def described(self) -> tuple[str | None, str | None]:
        """Device and precision as results have them: None for the processor, and for 32 bits.

        A GPU is named by what it is, not by its number.
        """
        kind, precision = self.elsewhere or self.device.partition(":")[0], self.precision
        if kind == "cuda":
            import torch

            kind = f"cuda ({torch.cuda.get_device_name(self.device)})"
        return None if kind == "cpu" else kind, None if precision == "32" else precision


class _FullPrecision:
    """Keeps torch from rounding to fewer bits than 32, until the last of those who entered leaves.

    Counted, since what the first one found is put back, and threads need not leave in turn.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before: list[str] = []

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._before = [part.fp32_precision for part in self._parts()]
                for part in self._parts():
                    part.fp32_precision = "ieee"

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                for part, value in zip(self._parts(), self._before, strict=True):
                    part.fp32_precision = value

    @staticmethod
    def _parts() -> tuple[Any, ...]:
        from torch.backends import cuda, cudnn, mkldnn

        return (
            cuda.matmul,
            cudnn.conv,  # type: ignore[attr-defined]
            cudnn.rnn,
            mkldnn.matmul,  # type: ignore[attr-defined]
            mkldnn.conv,  # type: ignore[attr-defined]
        )


_FULL = _FullPrecision()

PROCESSOR = Place()
"""Where every localizer is before it is moved."""


def available() -> list[str]:
    """Names of the devices that there are, the processor last."""
    with extra_needed("choosing a device"):
        import torch
    found = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def resolve(device: str = "auto", precision: Precision = "32") -> Place:
    """The device and the precision that a user asks for.

    Parameters
    ----------
    device
        ``cpu``, ``cuda`` (the first GPU), ``cuda:N``, ``mps``; ``auto`` for the first that there is
        of ``cuda``, ``mps`` and ``cpu``.
    precision
        ``32``; ``bf16`` or ``16`` for half precision where networks multiply.

    Raises
    ------
    ModelError
        If the device is not there, or does not compute in that precision.

    Examples
    --------
    >>> resolve("cpu", "bf16")
    Place(device='cpu', precision='bf16')
    """
    if device == "cpu" and precision == "32":
        return PROCESSOR
    there = available()
    name = {"auto": there[0], "cuda": "cuda:0"}.get(device, device)
    if name not in there:
        raise ModelError(
            f"there is no device {device!r}",
            code="E_DEVICE",
            where="device",
            remedy=f"use one of: auto, {', '.join(there)}",
        )
    kinds: dict[str, tuple[Precision, ...]] = {"cpu": ("32", "bf16"), "mps": ("32", "16")}
    able = ("32",) if precision == "32" else kinds.get(name) or _precisions_of_gpu(name)
    if precision not in able:
        raise ModelError(
            f"{name} does not compute in the precision {precision!r}",
            code="E_PRECISION",
            where="precision",
            remedy=f"use one of: {', '.join(able)}",
        )
    return Place(name, precision)


class Movable(Protocol):
    """A localizer, as far as moving it goes."""

    name: str
    provenance: Provenance | None

    def move(self, place: Place) -> Place:
        """Compute there from now on; returns where it does."""


def move(localizer: Movable, place: Place) -> Place:
    """Move a localizer, let its provenance say where it computes, and return that.

    Nothing is said of the processor with 32 bits.
    """
    where = localizer.move(place)
    device, precision = where.described()
    provenance = provenance_of(localizer)
    if (provenance.device, provenance.precision) != (device, precision):
        changes = {"device": device, "precision": precision}
        localizer.provenance = provenance.model_copy(update=changes)
    return where


def move_held(values: Iterable[Any], place: Place, localizer: type[Any]) -> Place:
    """Move every torch module and localizer among values, and in lists and dictionaries of these.

    From outside a module seems to stay where it is: what it is called with is sent to the device,
    and what it returns comes back. Only calling it does so, not its other methods. Returns where
    the first of them is that has left the processor.
    """
    # A module that is held has imported torch.
    torch = sys.modules.get("torch")
    found = PROCESSOR
    for value in values:
        where = PROCESSOR
        if isinstance(value, localizer):
            where = value.move(place)
        elif torch is not None and isinstance(value, torch.nn.Module):
            _compute_at(value, place)
            where = place
        elif isinstance(value, dict):
            where = move_held(value.values(), place, localizer)
        elif isinstance(value, list | tuple):
            where = move_held(value, place, localizer)
        found = where if found == PROCESSOR else found
    return found


def _compute_at(module: nn.Module, place: Place) -> None:
    """Move a module, and let its calls take and return tensors on the processor."""
    earlier = vars(module).get("forward")
    forward = getattr(earlier, "_moved_from", module.forward)
    if place == PROCESSOR:
        module.to("cpu")
        if forward != module.forward:
            module.forward = forward
        return

    def at_place(*arguments: Any, **named: Any) -> Any:
        with place.computing():
            returned = forward(*_sent(arguments, place.device), **_sent(named, place.device))
        return _sent(returned, "cpu", widened=True)

    at_place._moved_from = forward  # type: ignore[attr-defined]
    module.to(place.device)
    module.forward = at_place


def _sent(value: Any, device: str, *, widened: bool = False) -> Any:
    """The same with every tensor on that device; with `widened`, half precision made single."""
    import torch

    if isinstance(value, torch.Tensor):
        half = widened and value.dtype in (torch.float16, torch.bfloat16)
        return value.to(device, torch.float32) if half else value.to(device)
    if isinstance(value, dict):
        return {key: _sent(each, device, widened=widened) for key, each in value.items()}
    if isinstance(value, list | tuple):
        parts = [_sent(each, device, widened=widened) for each in value]
        # The fields of a named tuple are arguments of their own.
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def _precisions_of_gpu(name: str) -> tuple[Precision, ...]:
    import torch

    with torch.cuda.device(name):
        bfloat = torch.cuda.is_bf16_supported(including_emulation=False)
    return ("32", "bf16", "16") if bfloat else ("32", "16")
