"""One setting over several values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ssl_bench.analysis.request import Request
from ssl_bench.analysis.sweep import Sweep
from ssl_bench.analysis.sweep import sweep as run
from ssl_bench.analysis.sweep_request import Asked, Training
from ssl_bench.arguments import AnyPath, checked_arguments
from ssl_bench.library.given import AnyModel, AnyProtocol, path_of, protocol_of
from ssl_bench.media.image import MaskRule
from ssl_bench.progress import progress_bars


@checked_arguments
def sweep(
    setting: str,
    model: AnyModel,
    protocol: AnyProtocol,
    values: Sequence[float | str],
    *,
    variant: str | None = None,
    weights: AnyPath | None = None,
    settings: Mapping[str, Any] | None = None,
    dialect: str | None = None,
    measures: Sequence[str] = (),
    maps: AnyPath | None = None,
    prior_maps: AnyPath | None = None,
    weights_dir: AnyPath = "trained",
    seed: int = 0,
    training_data: AnyPath | None = None,
    ids: AnyPath | None = None,
    truth: AnyPath | None = None,
    masks: MaskRule | None = None,
    held_out: Sequence[str] = (),
    skip_held_out: bool = False,
    skip_missing: bool = False,
    changes: Mapping[str, Any] | None = None,
    image_trunk: AnyPath | None = None,
    neighbours: tuple[AnyPath, AnyPath] | None = None,
    accelerator: Literal["auto", "cpu", "cuda"] = "cpu",
    data: AnyPath | None = None,
    limit: int | None = None,
    jobs: int = 1,
    progress: bool = False,
) -> Sweep:
    """Score a model over several values of one setting.

    Parameters
    ----------
    setting
        ``alpha``, ``threshold``, ``top``, ``dimension``, ``train-size``, ``option.NAME`` or
        ``change.NAME``, as the command ``sweep`` explains them.
    values
        Two or more; numbers or words.
    measures
        Text forms; none for the protocol's own.
    maps, prior_maps
        Stored predictions of the model and, for ``alpha``, of its object prior, in place of
        running them.
    weights_dir, seed
        Where trained weights are taken from, and missing ones trained into; the training seed.
    training_data
        What is trained on, as ``data`` of :func:`ssl_bench.train`; None for the world of the
        variant. Clips that are scored, and others of their videos, are refused.
    ids, truth, masks, held_out, skip_held_out, changes, image_trunk, neighbours, accelerator
        As in :func:`ssl_bench.train`.
    skip_missing
        Leave out trials, and clips of training, with a missing or unusable file, truth or label.
    model, protocol, variant, weights, settings, dialect, data, limit, jobs, progress
        As in :func:`ssl_bench.evaluate`.

    Returns
    -------
    Sweep
        One point a value; ``to_frame()`` gives a table.

    Raises
    ------
    SslBenchError
        If the setting cannot be varied, or as in :func:`ssl_bench.evaluate`.

    Examples
    --------
    >>> found = sweep("alpha", "ezvsl", "synth", [0, 0.5, 1], limit=4)
    >>> found
    <Sweep alpha of ezvsl on synth@synth:standard, 3 values>
    >>> found.to_frame()["value"].unique().tolist()
    ['0', '0.5', '1']
    """
    request = Request(
        model=model,
        variant=variant,
        weights=path_of(weights),
        settings=settings or {},
        dialect=dialect,
        data=path_of(data),
        limit=limit,
        jobs=jobs,
        missing="skip" if skip_missing else None,
    )
    with progress_bars(quiet=not progress) as (show, notify):
        return run(
            Asked(
                setting=setting,
                values=[f"{each:g}" if isinstance(each, float) else str(each) for each in values],
                request=request,
                protocol=protocol_of(protocol),
                measures=measures,
                maps=path_of(maps),
                prior_maps=path_of(prior_maps),
                training=Training(
                    data=None if training_data is None else str(training_data),
                    ids=path_of(ids),
                    truth=path_of(truth),
                    masks=masks,
                    skip_missing=skip_missing,
                    held_out=tuple(held_out),
                    skip_held_out=skip_held_out,
                    changes=changes or {},
                    image_trunk=path_of(image_trunk),
                    neighbours=neighbours and (Path(neighbours[0]), Path(neighbours[1])),
                    accelerator=accelerator,
                    weights_dir=Path(weights_dir),
                    seed=seed,
                ),
                progress=show,
                notify=notify,
            )
        )
