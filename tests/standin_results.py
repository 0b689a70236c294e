"""Result documents with chosen numbers, for tests that read results."""

from __future__ import annotations

from typing import Any

from ssl_bench.scoring.results import (
    Coverage,
    Hearing,
    MeasuredValue,
    Prior,
    ProtocolIdentity,
    Reference,
    Result,
    TestSetIdentity,
)


def measured(measure: str, value: float | None, spread: float | None = 0.05) -> MeasuredValue:
    """A value with an interval of `spread` to each side."""
    bounded = value is not None and spread is not None
    return MeasuredValue(
        measure=measure,
        value=value,
        low=value - spread if bounded else None,
        high=value + spread if bounded else None,
        method="cluster-bootstrap" if bounded else "none",
        n_trials=100,
        n_groups=90,
    )


def hearing(
    measure: str,
    adds: float,
    spread: float = 0.05,
    *,
    best: str = "prior unet",
    without: float = 0.2,
) -> Hearing:
    """What hearing adds, above a score without sound."""
    return Hearing(
        measure=measure,
        score=measured(measure, without + adds),
        best_without=best,
        without_sound=measured(measure, without),
        adds=measured(measure, adds, spread),
        p_value=0.0001,
    )


def result(
    *values: MeasuredValue,
    model: str = "mine",
    weights: str | None = None,
    protocol: str = "handmade",
    digest: str = "a" * 64,
    dialect: str = "canonical",
    test_set: str = "memory",
    split: str = "all",
    test_set_digest: str = "b" * 64,
    floors: dict[str, float] | None = None,
    ceiling: float | None = 0.8,
    partial: bool = False,
    present: int = 90,
    hears: tuple[Hearing, ...] = (),
    priors: dict[str, float] | None = None,
    **model_fields: Any,
) -> Result:
    """A result; its floors, priors and ceiling have one measure, the first of `values`."""
    chosen = values or (measured("cIoU@0.5", 0.5),)
    first = chosen[0].measure
    trivial = {"center": 0.3} if floors is None else floors
    fields: dict[str, Any] = {
        "protocol": ProtocolIdentity(
            name=protocol,
            label=f"{protocol}@{test_set}:{split}",
            title=protocol.title(),
            version=1,
            digest=digest,
            dialect=dialect,
            composition_seed=0,
        ),
        "test_set": TestSetIdentity(
            name=test_set,
            split=split,
            digest=test_set_digest,
            revision=None,
            n_samples=100,
            truth_convention="union",
            **({"options": {}} if "options" in TestSetIdentity.model_fields else {}),
        ),
        "coverage": Coverage(
            expected=100,
            present=present,
            partial=partial,
            missing=(),
            unscorable=(),
            flat_maps=0,
            tied_maps=0,
        ),
        "measures": chosen,
        "breakdown": {},
        "floors": tuple(
            Reference(name=name, measures=(measured(first, value),))
            for name, value in trivial.items()
        ),
        "ceiling": None
        if ceiling is None
        else Reference(name="ceiling", measures=(measured(first, ceiling),)),
        "priors": tuple(
            Prior(name=name, predictions_sha256="0" * 64, measures=(measured(first, value),))
            for name, value in (priors or {}).items()
        ),
        "hearing": hears,
        "model": {"name": model, "weights_sha256": weights, **model_fields},
        "statistics": {},
        "environment": {},
    }
    return Result(**fields)
