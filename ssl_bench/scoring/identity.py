"""What a result document says of the protocol, the test set, the model and the files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import ValidationError

from ssl_bench.files import sha256_of_file, sha256_of_json
from ssl_bench.predictions import Predictions
from ssl_bench.scoring.results import (
    Coverage,
    ModelIdentity,
    PredictedUnder,
    ProtocolIdentity,
    TestSetIdentity,
)
from ssl_bench.trials.trial import TrialSet


def digest_of(path: Path) -> str:
    """SHA-256 of a predictions file; for a folder, of the digests of its shards by name."""
    if path.is_file():
        return sha256_of_file(path)
    return sha256_of_json({shard.name: sha256_of_file(shard) for shard in path.glob("*.npz")})


def identity_of_protocol(trials: TrialSet) -> ProtocolIdentity:
    """Which protocol was answered, under which dialect."""
    protocol = trials.protocol
    return ProtocolIdentity(
        name=protocol.name,
        label=protocol.label,
        title=protocol.title,
        version=protocol.version,
        digest=protocol.digest,
        trials_digest=trials.digest,
        dialect=protocol.dialect,
        composition_seed=protocol.composition.seed,
        tables=protocol.tables,
    )


def predicted_under(predictions: Predictions, trials: TrialSet) -> PredictedUnder | None:
    """The protocol that predictions were made for; None where it is that of `trials` itself."""
    meta = predictions.meta
    if meta.protocol_digest == trials.protocol.digest:
        return None
    return PredictedUnder(label=meta.protocol, digest=meta.protocol_digest)


def identity_of_test_set(trials: TrialSet) -> TestSetIdentity:
    """Which test set it was answered on."""
    test_set = trials.test_set
    return TestSetIdentity(
        name=test_set.name,
        split=test_set.split,
        digest=test_set.digest,
        revision=test_set.revision,
        options=trials.protocol.test_set.options,
        n_samples=len(test_set),
        truth_convention=trials.truth_convention,
    )


def coverage_of(scores: pd.DataFrame, partial: bool) -> Coverage:
    """How many trials were answered, from their whole score table."""
    present = scores["present"].to_numpy()
    ids = scores["trial_id"].to_numpy()
    tied = scores["n_tied"].to_numpy() if "n_tied" in scores else np.zeros(len(scores))
    flat = scores["flat"].to_numpy() if "flat" in scores else np.zeros(len(scores))
    return Coverage(
        expected=len(scores),
        present=int(present.sum()),
        partial=partial,
        missing=tuple(ids[~present]),
        unscorable=tuple(ids[scores["unscorable"].to_numpy()]),
        flat_maps=int(flat.sum()),
        tied_maps=int((tied > 1).sum()),
    )


def model_of(predictions: Predictions) -> ModelIdentity:
    """What a predictions file says of its model."""
    meta = predictions.meta
    stated = {"name": meta.model, "weights_sha256": meta.weights_digest}
    try:
        return ModelIdentity.model_validate({**meta.provenance, **stated})
    except ValidationError:
        return ModelIdentity(**stated, notes=meta.provenance)
