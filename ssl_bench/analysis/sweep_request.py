"""What is asked of a sweep: a setting, its values, a model, and how weights are trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ssl_bench.analysis.request import Request
from ssl_bench.engine.encode import Progress
from ssl_bench.errors import SslBenchError
from ssl_bench.media.image import MaskRule
from ssl_bench.protocols.protocol import Protocol


class SweepError(SslBenchError):
    """A setting cannot be varied as was asked."""

    code = "E_SWEEP"


@dataclass(frozen=True)
class Training:
    """How weights are trained with each value.

    Attributes
    ----------
    data
        ``synth``, ``collage`` or a folder; None for the world that the variant is for.
    ids, truth, masks, skip_missing, held_out, skip_held_out
        What is chosen of a folder, as :class:`ssl_bench.training.sources.FolderChoices` has it.
    changes
        Of the recipe, the same with each value.
    image_trunk, neighbours, accelerator
        As in :func:`ssl_bench.train`.
    weights_dir
        Where trained weights are taken from, and missing ones trained into.
    """

    data: str | None = None
    ids: Path | None = None
    truth: Path | None = None
    masks: MaskRule | None = None
    skip_missing: bool = False
    held_out: tuple[str, ...] = ()
    skip_held_out: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)
    image_trunk: Path | None = None
    neighbours: tuple[Path, Path] | None = None
    accelerator: Literal["auto", "cpu", "cuda"] = "cpu"
    weights_dir: Path = Path("trained")
    seed: int = 0


@dataclass(frozen=True)
class Asked:
    """What is to be varied, and on what.

    Attributes
    ----------
    setting, values
        As :mod:`ssl_bench.analysis.sweep` explains them, and the values as texts.
    request
        The model and how it is run; its protocol is `protocol`.
    measures
        Text forms; none for the protocol's own.
    maps, prior_maps
        Stored predictions in place of the model's: of the model, and, for ``alpha``, of the prior.
    training
        How weights are trained.
    """

    setting: str
    values: Sequence[str]
    request: Request
    protocol: str | Protocol
    measures: Sequence[str] = ()
    maps: Path | None = None
    prior_maps: Path | None = None
    training: Training = field(default_factory=Training)
    progress: Progress = lambda _what, _done, _all: None
    notify: Callable[[str], None] = lambda _stage: None
