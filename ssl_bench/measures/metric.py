"""Measures over the batches of one's own loop: update, compute, reset."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl_bench.arguments import named_arguments
from ssl_bench.errors import ArrayError, MeasureError
from ssl_bench.measures.arrays import (
    Conventions,
    Score,
    base_columns,
    base_names,
    conventions,
    score_of,
)
from ssl_bench.measures.checks import check_given, checked_facts, checked_maps, checked_truths
from ssl_bench.measures.definition import Measure
from ssl_bench.measures.values import parse_measure
from ssl_bench.plots import fitted, new_figure
from ssl_bench.protocols.protocol import Protocol

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Columns = dict[str, NDArray[Any]]
Scores = dict[str, Score]

_WIDTH, _ROW, _FONT = 6.4, 0.45, 9.0


class Metric:
    """Measures that are updated batch by batch, as in the validation of a training loop.

    The conventions of torchmetrics hold: ``update`` adds a batch, ``compute`` gives the values over
    all of them, ``reset`` starts again, a call gives the values of one batch and adds it, and
    under ``torch.distributed`` ``compute`` gathers what all processes have seen. It needs no torch;
    :class:`ssl_bench.TorchMetric` is the same as a ``torchmetrics.Metric``. It can be pickled.

    Parameters
    ----------
    *measures : str
        Text forms, such as ``cIoU(adaptive)@0.5``; ``ssl-bench measures`` lists them. Those of the
        dialect or protocol by default, or cIoU@0.5 and AUC.
    dialect : str, optional
        A public evaluator's conventions, such as ``ezvsl``; see :func:`ssl_bench.measures.cIoU`.
    protocol : str or Protocol, optional
        A protocol whose conventions for maps and thresholds hold, such as ``negative-audio``.
    map_threshold : float, optional
        What the rules 'absolute' and 'fraction' compare with, or a protocol's universal threshold.
    seed : int
        Seed of the bootstrap of intervals.
    sync_on_compute : bool
        Whether ``compute`` gathers from all processes of ``torch.distributed``, where it is
        initialised. Every process must call it then.

    Attributes
    ----------
    higher_is_better : bool or None
        None where the measures differ in that.
    is_differentiable, full_state_update : bool
        False: as torchmetrics names them.
    update_count : int
        Number of batches since the last reset, in this process.

    Raises
    ------
    SslBenchError
        If a name is unknown, or a measure needs all samples at once (retrieval, swap-sensitivity).

    References
    ----------
    Detlefsen et al. 2022 (torchmetrics), for the conventions; each measure names its source.

    Examples
    --------
    >>> truths = np.array([[[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    >>> metric = Metric("cIoU@0.5", "AUC")
    >>> for truth in truths:
    ...     metric.update(maps=np.array([[[2.0, 1.0]]]), truths=truth[None])
    >>> scores = metric.compute()
    >>> scores["cIoU@0.5"], round(scores["AUC"], 4), metric.update_count
    (0.5, 0.6625, 2)
    >>> metric.reset()
    """

    is_differentiable = False
    full_state_update = False

    @named_arguments()
    def __init__(
        self,
        *measures: str | Measure | Sequence[str | Measure],
        dialect: str | None = None,
        protocol: str | Protocol | None = None,
        map_threshold: float | None = None,
        seed: int = 0,
        sync_on_compute: bool = True,
    ) -> None:
        texts = [
            text
            for each in measures
            for text in (each if isinstance(each, list | tuple) else (each,))
        ]
        asked = [parse_measure(str(text)) for text in texts]
        under = conventions(dialect, protocol, measures=asked, map_threshold=map_threshold)
        self.measures: tuple[Measure, ...] = tuple(
            dict.fromkeys(asked or [parse_measure(text) for text in under.measures])
        )
        for measure in self.measures:
            _check_streams(measure)
        self.sync_on_compute = sync_on_compute
        self._under: Conventions = under
        self._seed = seed
        self._parts: list[Columns] = []
        self.update_count = 0

    def __repr__(self) -> str:
        names = ", ".join(repr(str(measure)) for measure in self.measures)
        under = "" if self._under.name == "canonical" else f", under {self._under.name!r}"
        return f"Metric({names}{under}; {self.n_samples} samples)"

    @property
    def higher_is_better(self) -> bool | None:
        """Whether higher values are better; None where the measures differ in that."""
        signs = {measure.sign for measure in self.measures}
        return signs == {1} if len(signs) == 1 else None

    @property
    def update_called(self) -> bool:
        """Whether there was a batch since the last reset."""
        return self.update_count > 0

    @property
    def n_samples(self) -> int:
        """Number of samples in this process, before any is left out as repeated."""
        return sum(len(part["sounding"]) for part in self._parts)

    # Their names in torchmetrics are taken, too.
    @named_arguments(preds="maps", target="truths")
    def update(
        self,
        maps: ArrayLike,
        truths: ArrayLike,
        *,
        sounding: ArrayLike | None = None,
        images: Sequence[Any] | None = None,
        categories: Sequence[Any] | None = None,
        roles: Sequence[Any] | None = None,
        mixtures: Sequence[Any] | None = None,
        types: Sequence[Any] | None = None,
        same_category: ArrayLike | None = None,
        confidence: ArrayLike | None = None,
        places: ArrayLike | None = None,
        silent_tiles: ArrayLike | None = None,
        groups: Sequence[Any] | None = None,
        ids: Sequence[Any] | None = None,
    ) -> None:
        """Add a batch of n samples.

        Parameters
        ----------
        maps : array ``(n, h, w)`` or ``(n, 1, h, w)``
            Numbers of any scale and size; batches may differ in size.
        truths : array ``(n, s, s)`` or ``(n, 1, s, s)``
            bool, or numbers from 0 to 1; maps are brought to its size. Without a pixel where
            nothing sounds.
        sounding : array ``(n,)`` of bool, optional
            Whether anything sounds that the map is asked for; everywhere by default.
        images, categories, roles, mixtures, types : sequence of n names, optional
            Picture, category, kind of silent sample, scene, and type A or B, for the measures that
            need them.
        same_category : array ``(n,)`` of bool, optional
            For ``AP(clean)``: whether a silent sample's sound is of the picture's own category.
        confidence : array ``(n,)``, optional
            The model's confidence that anything sounds.
        places : array ``(n, 4)`` of int, optional
            For side-accuracy: top, left, bottom, right of the sounding half, in pixels of the grid.
        silent_tiles : array ``(n, s, s)`` of bool, optional
            For tile-NSA: parts of a composed picture that show nothing that sounds.
        groups : sequence of n names, optional
            Samples of one group (a source video) are resampled together for the interval.
        ids : sequence of n names, optional
            A sample that comes more than once counts once: a distributed sampler repeats some.

        Raises
        ------
        ArrayError
            If an array has another shape or number of samples, values that cannot be scored, or
            lies on another device; if a measure needs something that is not given, or an earlier
            batch had other facts. The batch is not added then.
        """
        part = self._columns(
            maps,
            truths,
            sounding=sounding,
            images=images,
            categories=categories,
            roles=roles,
            mixtures=mixtures,
            types=types,
            same_category=same_category,
            confidence=confidence,
            places=places,
            silent_tiles=silent_tiles,
            groups=groups,
            ids=ids,
        )
        self._add([part], 1)

    def _columns(self, maps: ArrayLike, truths: ArrayLike, **facts: Any) -> Columns:
        heats = checked_maps(maps)
        drawn = checked_truths(truths, len(heats))
        known = checked_facts(facts, len(heats))
        check_given(self.measures, known)
        return base_columns(heats, drawn, known, self.measures, self._under)

    def _add(self, parts: Iterable[Columns], batches: int) -> None:
        for part in parts:
            if self._parts and part.keys() != self._parts[0].keys():
                differ = sorted(part.keys() ^ self._parts[0].keys())
                raise ArrayError(
                    f"some batches have {', '.join(differ)} and others have not",
                    code="E_METRIC_STATE",
                    remedy="give the same facts with every batch, and merge metrics that are alike",
                )
            self._parts.append(part)
        self.update_count += batches

    @named_arguments(preds="maps", target="truths")
    def forward(self, maps: ArrayLike, truths: ArrayLike, **facts: Any) -> Scores:
        """Add a batch, as :meth:`update` does, and give the values of this batch alone."""
        before = len(self._parts)
        self.update(maps, truths, **facts)
        return self._scores(self._parts[before:])

    __call__ = forward

    def compute(self) -> Scores:
        """The value of each measure over all samples, by its text form.

        Returns
        -------
        dict of str to Score
            Floats with their intervals and samples; see :class:`ssl_bench.measures.Score`.

        Raises
        ------
        ArrayError
            If there was no batch, in this or any other process.
        """
        parts = self._parts
        if self.sync_on_compute:
            parts = [part for state in _gathered(self.state) for part in _parts_of(state)]
        if not parts:
            raise ArrayError(
                "there is nothing to compute",
                code="E_METRIC_EMPTY",
                remedy="call update(maps, truths) first",
            )
        return self._scores(parts)

    def _scores(self, parts: Sequence[Columns]) -> Scores:
        if any(part.keys() != parts[0].keys() for part in parts):
            raise ArrayError("processes were given different facts", code="E_METRIC_STATE")
        table = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        if "id" in table:
            # In the order of ids too, so that it does not depend on who saw which.
            first = np.unique(table["id"], return_index=True)[1]
            table = {name: values[first] for name, values in table.items()}
        return {str(each): score_of(each, table, self._seed) for each in self.measures}

    def reset(self) -> None:
        """Forget all batches."""
        self._parts = []
        self.update_count = 0

    @property
    def state(self) -> Columns:
        """What :meth:`compute` needs of this process's samples, as arrays ``(n, ...)`` by name.

        Plain arrays: states of several processes are joined along their first axis.
        """
        if not self._parts:
            return {}
        if len(self._parts) > 1:
            names = self._parts[0]
            self._parts = [
                {name: np.concatenate([part[name] for part in self._parts]) for name in names}
            ]
        return dict(self._parts[0])

    def merge_state(self, incoming: Metric | Mapping[str, NDArray[Any]]) -> None:
        """Add what another metric of the same measures has seen, or its :attr:`state`.

        Raises ArrayError if its measures, conventions or facts are others.

        Examples
        --------
        >>> one, other = Metric("pointing"), Metric("pointing")
        >>> other.update(np.eye(2)[None], np.eye(2)[None])
        >>> one.merge_state(other)
        >>> one.compute()
        {'pointing': 1.0}
        """
        batches = 1
        if isinstance(incoming, Metric):
            if (incoming.measures, incoming._under) != (self.measures, self._under):
                raise ArrayError(
                    f"{incoming!r} cannot be merged with {self!r}",
                    code="E_METRIC_STATE",
                    remedy="merge metrics of the same measures and conventions",
                )
            batches = incoming.update_count
        given = incoming.state if isinstance(incoming, Metric) else dict(incoming)
        if given and not ({*given} <= base_names(self.measures) and "sounding" in given):
            raise ArrayError("this is not the state of such a metric", code="E_METRIC_STATE")
        self._add(_parts_of(given), batches)

    def plot(
        self,
        val: Mapping[str, float] | Sequence[Mapping[str, float]] | None = None,
        ax: Axes | None = None,
    ) -> tuple[Figure, Axes]:
        """Draw values with their intervals, or the course of several.

        Parameters
        ----------
        val : mapping or sequence of mappings, optional
            What :meth:`compute` or a call gave; several make lines, one for each measure. By
            default what :meth:`compute` gives.
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        figure, axes
            Of matplotlib; ``figure.savefig("scores.pdf")`` writes it. Shares are in percent.

        Raises
        ------
        ArrayError
            If there is nothing to draw.

        Examples
        --------
        >>> metric = Metric("pointing")
        >>> metric.update(np.eye(2)[None], np.eye(2)[None])
        >>> figure, axes = metric.plot()
        >>> axes.get_xlabel()
        'percent'
        """
        shown = self.compute() if val is None else val
        course = None if isinstance(shown, Mapping) else list(shown)
        if not shown:
            raise ArrayError("there is nothing to draw", code="E_METRIC_EMPTY")
        if ax is None:
            rows = len(self.measures) if course is None else 6
            size = (_WIDTH, 1.0 + _ROW * rows)
            ax = new_figure(*size, layout="constrained").subplots()
        figure = ax.get_figure(root=True)
        assert figure is not None
        if course is None:
            self._draw_values(ax, shown if isinstance(shown, Mapping) else {})
        else:
            self._draw_course(ax, course)
        return figure, ax

    def _scales(self) -> tuple[dict[str, float], str]:
        """What values are multiplied by, and the unit."""
        shares = {str(each): each.definition.unit == "share" for each in self.measures}
        return {name: 100.0 if share else 1.0 for name, share in shares.items()}, (
            "percent" if all(shares.values()) else "value"
        )

    def _draw_values(self, axes: Axes, values: Mapping[str, float]) -> None:
        scales, unit = self._scales()
        for row, (name, value) in enumerate(values.items()):
            scale = scales.get(name, 1.0)
            colour = f"C{row % 10}"
            axes.plot(scale * value, row, "o", color=colour)
            if isinstance(value, Score):
                ends = (scale * value.interval.low, scale * value.interval.high)
                axes.plot(ends, (row, row), "-", color=colour)
        axes.set_yticks(range(len(values)), [fitted(name, 2.0, _FONT) for name in values])
        axes.set_ylim(len(values) - 0.5, -0.5)
        axes.set_xlabel(unit)
        axes.grid(axis="x", alpha=0.3)

    def _draw_course(self, axes: Axes, course: Sequence[Mapping[str, float]]) -> None:
        scales, unit = self._scales()
        for name in course[0]:
            heights = [scales.get(name, 1.0) * each[name] for each in course]
            axes.plot(range(1, len(course) + 1), heights, "o-", label=name, markersize=3)
        axes.set_xlabel("step")
        axes.locator_params(axis="x", integer=True)
        axes.set_ylabel(unit)
        axes.grid(alpha=0.3)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


def _check_streams(measure: Measure) -> None:
    """Raise MeasureError for a measure that needs maps or embeddings of all samples at once."""
    columns = measure.columns
    retrieval = any(name.endswith(("_a2i", "_i2a")) for name in columns)
    if retrieval or measure.definition.rows == "twins":
        function = measure.name.replace("-", "_")
        raise MeasureError(
            f"{measure} needs all samples at once",
            code="E_METRIC_STREAM",
            remedy=f"keep them and call ssl_bench.measures.{function}",
        )


def _parts_of(state: Columns) -> list[Columns]:
    return [state] if state else []


def _gathered(state: Columns) -> list[Columns]:
    """The states of all processes; this one's alone where there are no others."""
    # Whoever initialised process groups has imported it.
    torch = sys.modules.get("torch")
    distributed = getattr(torch, "distributed", None)
    if distributed is None or not (distributed.is_available() and distributed.is_initialized()):
        return [state]
    found: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(found, state)
    return found
