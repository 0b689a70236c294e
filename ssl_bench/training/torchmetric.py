"""The measures as a metric of torchmetrics, for loops that synchronise and log those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torchmetrics
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from ssl_bench.arguments import named_arguments
from ssl_bench.errors import ArrayError
from ssl_bench.measures.arrays import base_names
from ssl_bench.measures.metric import Metric
from ssl_bench.protocols.protocol import Protocol

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Names travel between processes as bytes, of which each has so many.
_NAME_BYTES = 128


class TorchMetric(torchmetrics.Metric):
    """:class:`ssl_bench.Metric` as a ``torchmetrics.Metric``.

    Tensors may lie on any device; they are scored on the CPU, in double precision. It works with
    ``MetricCollection``, with Lightning's ``self.log_dict(metric.compute())``, and under DDP, where
    torchmetrics gathers its states.

    Parameters
    ----------
    *measures : str
        Text forms, such as ``cIoU(adaptive)@0.5``.
    dialect, protocol, map_threshold
        As for :class:`ssl_bench.Metric`.
    **settings
        Those of ``torchmetrics.Metric``, such as ``sync_on_compute`` and ``process_group``.

    Raises
    ------
    SslBenchError
        As :class:`ssl_bench.Metric` does.

    References
    ----------
    Detlefsen et al. 2022 (torchmetrics); each measure names its source.

    Examples
    --------
    >>> metric = TorchMetric("cIoU@0.5", "pointing")
    >>> metric.update(torch.eye(2)[None], torch.eye(2, dtype=torch.bool)[None])
    >>> {name: value.item() for name, value in metric.compute().items()}
    {'cIoU@0.5': 1.0, 'pointing': 1.0}
    """

    is_differentiable = False
    full_state_update = False

    def __init__(
        self,
        *measures: str | Sequence[str],
        dialect: str | None = None,
        protocol: str | Protocol | None = None,
        map_threshold: float | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self._empty = Metric(
            *measures,
            dialect=dialect,
            protocol=protocol,
            map_threshold=map_threshold,
            sync_on_compute=False,
        )
        self._columns = tuple(sorted(base_names(self._empty.measures)))
        for name in self._columns:
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def _metric(self) -> Metric:
        return deepcopy(self._empty)

    @property
    def higher_is_better(self) -> bool | None:  # type: ignore[override]
        """Whether higher values are better; None where the measures differ in that."""
        return self._empty.higher_is_better

    @named_arguments(preds="maps", target="truths")
    def update(self, maps: Tensor, truths: Tensor, **facts: Any) -> None:
        """Add a batch; arguments as for :meth:`ssl_bench.Metric.update`."""
        metric = self._metric()
        given = {name: _on_cpu(values) for name, values in facts.items()}
        metric.update(_on_cpu(maps), _on_cpu(truths), **given)
        for name, column in metric.state.items():
            getattr(self, name).append(_packed(column, name).to(self.device))

    def compute(self) -> dict[str, Tensor]:
        """The value of each measure by its text form, as float64 tensors of no dimension."""
        scores = self._merged().compute()
        return {
            name: torch.tensor(float(value), dtype=torch.float64, device=self.device)
            for name, value in scores.items()
        }

    def _merged(self) -> Metric:
        metric = self._metric()
        state = {
            name: _unpacked(dim_zero_cat(parts).cpu())
            for name in self._columns
            if len(parts := getattr(self, name)) > 0
        }
        metric.merge_state(state)
        return metric

    def plot(
        self,
        val: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        ax: Axes | None = None,
    ) -> tuple[Figure, Axes]:
        """Draw values, with intervals where they are its own; as :meth:`ssl_bench.Metric.plot`."""
        if val is None:
            with self.sync_context(
                should_sync=self._to_sync and self.sync_on_compute, should_unsync=True
            ):
                return self._merged().plot(None, ax)
        if isinstance(val, Mapping):
            return self._empty.plot(_numbers(val), ax)
        return self._empty.plot([_numbers(each) for each in val], ax)


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def _on_cpu(values: Any) -> Any:
    if not isinstance(values, Tensor):
        return values
    moved = values.detach().cpu()
    return moved.float() if moved.dtype == torch.bfloat16 else moved


def _packed(column: NDArray[Any], name: str) -> Tensor:
    """A column as a tensor: names as rows of bytes, flags as bytes."""
    if column.dtype.kind == "U":
        texts = [text.encode() for text in column.tolist()]
        if max(map(len, texts)) > _NAME_BYTES:
            raise ArrayError(
                f"a name of {name} is longer than {_NAME_BYTES} bytes",
                code="E_NAME_LONG",
                remedy="give a shorter name or a number",
            )
        column = np.array(texts, f"S{_NAME_BYTES}").view(np.uint8).reshape(len(texts), -1)
    elif column.dtype == np.bool_:
        column = column.view(np.uint8)
    return torch.from_numpy(np.ascontiguousarray(column))


def _unpacked(column: Tensor) -> NDArray[Any]:
    values = column.numpy()
    if values.dtype != np.uint8:
        return values
    if values.ndim == 1:
        return values.astype(bool)
    texts = np.ascontiguousarray(values).view(f"S{_NAME_BYTES}").ravel()
    return np.char.decode(texts, "utf-8")
