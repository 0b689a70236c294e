"""Compositions: from samples to trials. One module each, found by name.

A composition module holds ``compose(samples, *, seed, parameters) -> list[Trial]``, a pure
function; where trials are made of more than samples, also ``compose_test_set(test_set, *, seed,
parameters) -> list[Trial]``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssl_bench.errors import ProtocolError, one_of
from ssl_bench.protocols.protocol import Protocol
from ssl_bench.testsets import definition, open_test_set
from ssl_bench.testsets.base import TestSet
from ssl_bench.trials.trial import TrialSet


def composition_names() -> list[str]:
    """Names of the compositions, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def compose(protocol: Protocol, test_set: TestSet) -> TrialSet:
    """Compose a test set's samples into the protocol's trials.

    Raises
    ------
    ProtocolError
        If the composition is unknown or cannot use these samples.
    """
    protocol = with_split(protocol, test_set.split)
    kind = protocol.composition.kind
    if kind not in composition_names():
        raise ProtocolError(
            f"no composition is called {kind!r}",
            where=protocol.label,
            remedy=one_of(composition_names(), kind),
        )
    module = importlib.import_module(f"{__name__}.{kind}")
    settings = {
        "seed": protocol.composition.seed,
        "parameters": protocol.composition.parameters,
    }
    if hasattr(module, "compose_test_set"):
        trials = module.compose_test_set(test_set, **settings)
    else:
        trials = module.compose(test_set.samples, **settings)
    return TrialSet(protocol, test_set, trials)


def refuse_parameters(kind: str, parameters: Mapping[str, Any] | None) -> None:
    """Raise ProtocolError where parameters are left that the composition `kind` does not know."""
    if parameters:
        raise ProtocolError(f"the composition {kind!r} has no parameter {next(iter(parameters))!r}")


def with_split(protocol: Protocol, default: str | None = None) -> Protocol:
    """The same protocol with its test set's default split spelled out.

    Label and digest then do not depend on whether the split was named.

    Parameters
    ----------
    default
        That split; None to look it up.

    Examples
    --------
    >>> from ssl_bench.protocols.protocol import load_protocol
    >>> with_split(load_protocol("concat@vggss")).label
    'concat@vggss:all'
    """
    table = protocol.test_set
    if table.split is not None:
        return protocol
    split = definition(table.name).splits[0] if default is None else default
    return protocol.model_copy(update={"test_set": table.model_copy(update={"split": split})})


def open_protocol_test_set(protocol: Protocol, data: Path | None = None) -> TestSet:
    """Open the test set that a protocol names."""
    table = protocol.test_set
    return open_test_set(table.name, table.split, data=data, options=table.options)


def open_trials(protocol: Protocol, data: Path | None = None) -> TrialSet:
    """Open the protocol's test set and compose its trials.

    Examples
    --------
    >>> from ssl_bench.protocols.protocol import load_protocol
    >>> len(open_trials(load_protocol("synth")))
    500
    """
    return compose(protocol, open_protocol_test_set(protocol, data))
