"""From the options of a command to the request that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ssl_bench.cli.options import parse_priors, parse_settings

if TYPE_CHECKING:
    from ssl_bench.analysis.evaluation import Request


def request_of(given: Mapping[str, Any]) -> Request:
    """The model that a command was asked to run, and its settings.

    Parameters
    ----------
    given
        The command's options; those that it lacks have their usual values.

    Raises
    ------
    ModelError
        If an option is no ``KEY=VALUE``, or the model has no object prior to be guided by.
    """
    from ssl_bench.analysis.evaluation import Request

    alpha, settings = given["alpha"], parse_settings(given["settings"])
    if alpha is None and given["ogl"]:
        from ssl_bench.models.registry import PRESET, default_alpha

        alpha = default_alpha(given["model"], given["variant"], settings.get(PRESET))
    return Request(
        model=given["model"],
        variant=given["variant"],
        weights=given["weights"],
        alpha=alpha,
        seed=given["seed"],
        settings=settings,
        data=given["data"],
        folder=given["out"],
        dialect=given.get("dialect"),
        batch_size=given.get("batch_size", 32),
        jobs=given["jobs"],
        dtype="float16" if given.get("float16") else "float32",
        priors=parse_priors(given.get("priors", ())),
    )
