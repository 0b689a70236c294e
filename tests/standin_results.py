"""Result documents with chosen numbers, for tests that read results."""

from __future__ import annotations

from typing import Any

from ssl_bench.scoring.results import (
    Coverage,
    MeasuredValue,
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
) -> Result:
    """A result; its floors and ceiling have one measure, the first of `values`."""
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
            present=90,
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
        "model": {"name": model, "weights_sha256": weights},
        "statistics": {},
        "environment": {},
    }
    return Result(**fields)
