"""Whether other maps of the same trials may be compared with a model's predictions."""

from __future__ import annotations

from ssl_bench.errors import PredictionsError
from ssl_bench.predictions import Predictions


def check_twin(blind: Predictions, predictions: Predictions) -> None:
    """Audio-blind maps must be of the same model, and of every trial that it answered.

    Raises
    ------
    PredictionsError
        If they are not.
    """
    problems = []
    if (blind.meta.model, blind.meta.weights_digest) != (
        predictions.meta.model,
        predictions.meta.weights_digest,
    ):
        problems.append(
            f"its maps are of {blind.meta.model!r}, and the predictions of "
            f"{predictions.meta.model!r} with other weights or another name"
        )
    problems += _lacking(blind, predictions)
    if problems:
        raise PredictionsError(problems, where=blind.path)


def check_prior(prior: Predictions, predictions: Predictions) -> None:
    """Maps of a prior must be of another model, and of every trial that the model answered.

    Raises
    ------
    PredictionsError
        If they are not: a gap would flatter the model, or be nothing.
    """
    problems = []
    if prior.path.resolve() == predictions.path.resolve():
        problems.append("these are the predictions themselves, and not those of a prior")
    problems += _lacking(prior, predictions)
    if problems:
        raise PredictionsError(problems, where=prior.path)


def _lacking(other: Predictions, predictions: Predictions) -> list[str]:
    lacking = sorted(set(predictions.trial_ids) - set(other.trial_ids))
    if not lacking:
        return []
    return [f"it lacks {len(lacking)} trials that the predictions have, such as {lacking[0]!r}"]
