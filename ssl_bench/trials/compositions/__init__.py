"""Compositions: from samples to trials. One module each, found by name.

A composition module holds ``compose(test_set, seed, *, ...)``, a pure function that returns trials:
a list, or an iterator where there may be many. Its
keyword-only parameters, with types and defaults, are those that a protocol file may set in
``[composition] parameters``; they are checked against the types before it is called.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Iterable
from pathlib import Path

from pydantic import ConfigDict, ValidationError, validate_call

from ssl_bench.arguments import checked_arguments
from ssl_bench.errors import ProtocolError, one_of
from ssl_bench.protocols.protocol import (
    Protocol,
    load_protocol,
    load_suite,
    protocol_names,
    suite_names,
)
from ssl_bench.schemas import in_words
from ssl_bench.testsets import data_root, definition, is_embedded, open_test_set
from ssl_bench.testsets.base import TestSet
from ssl_bench.trials.trial import Trial
from ssl_bench.trials.trial_set import TrialSet


def composition_names() -> list[str]:
    """Names of the compositions, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def compose(protocol: Protocol, test_set: TestSet) -> TrialSet:
    """Compose a test set's samples into the protocol's trials.

    ProtocolError if the composition is unknown, does not take these parameters or cannot use these
    samples.
    """
    protocol = with_split(protocol, test_set.split)
    table = protocol.composition
    if table.kind not in composition_names():
        raise ProtocolError(
            f"no composition is called {table.kind!r}",
            code="E_COMPOSITION_UNKNOWN",
            where=protocol.label,
            remedy=one_of(composition_names(), table.kind),
        )
    module = importlib.import_module(f"{__name__}.{table.kind}")
    checked = validate_call(config=ConfigDict(strict=True, arbitrary_types_allowed=True))
    try:
        trials: Iterable[Trial] = checked(module.compose)(test_set, table.seed, **table.parameters)
    except ValidationError as error:
        raise ProtocolError(
            f"the composition {table.kind!r} does not take these parameters: {in_words(error)}",
            code="E_COMPOSITION_PARAMETER",
            where=protocol.label,
        ) from error
    return TrialSet(protocol, test_set, trials)


def with_split(
    protocol: Protocol, default: str | None = None, *, data: Path | None = None
) -> Protocol:
    """The same protocol with its test set's default split spelled out; None to look it up.

    Label and digest then do not depend on whether the split was named. A test set of the user's
    own is looked for in the folder `data`, else ``SSL_BENCH_DATA``.

    Examples
    --------
    >>> with_split(load_protocol("concat@vggss")).label
    'concat@vggss:all'
    """
    table = protocol.test_set
    if table.split is not None:
        return protocol
    split = definition(table.name, data).splits[0] if default is None else default
    return protocol.model_copy(update={"test_set": table.model_copy(update={"split": split})})


def open_protocol_test_set(protocol: Protocol, data: Path | None = None) -> TestSet:
    """Open the test set that a protocol names."""
    table = protocol.test_set
    return open_test_set(table.name, table.split, data=data, options=table.options)


@checked_arguments
def open_trials(
    protocol: str | os.PathLike[str] | Protocol, data: str | os.PathLike[str] | None = None
) -> TrialSet:
    """Open a protocol's test set and compose its trials.

    Parameters
    ----------
    protocol
        ``NAME[@TESTSET[:SPLIT]]``, a path to a protocol file, or a protocol itself.
    data
        Folder with one sub-folder per test set; None for ``SSL_BENCH_DATA``.

    Raises
    ------
    SslBenchError
        If there is no such protocol, or its test set is missing or damaged.

    Examples
    --------
    >>> len(open_trials("synth"))
    500
    """
    loaded = load_protocol(protocol)
    return compose(loaded, open_protocol_test_set(loaded, None if data is None else Path(data)))


def resolve_protocols(text: str, data: Path | None = None) -> list[Protocol]:
    """The protocols that a text names.

    It is one reference, several with commas between, the name of a suite, or ``all``: every
    protocol whose test set is embedded or lies in the data folder. ProtocolError if a name is
    unknown, or the same protocol is named twice.

    Examples
    --------
    >>> [protocol.label for protocol in resolve_protocols("synth,concat")]
    ['synth@synth:standard', 'concat@synth:standard']
    """
    if text == "all":
        root = data_root(data)
        every = [with_split(load_protocol(name)) for name in protocol_names()]
        return [
            protocol
            for protocol in every
            if is_embedded(protocol.test_set.name)
            or (root is not None and (root / protocol.test_set.name).is_dir())
        ]
    is_suite = text in suite_names() and text not in protocol_names()
    names = load_suite(text).protocols if is_suite else text.split(",")
    found: dict[str, Protocol] = {}
    for name in map(str.strip, names):
        if "@" not in name and not name.endswith(".toml") and name not in protocol_names():
            known = [*protocol_names(), *suite_names(), "all"]
            raise ProtocolError(
                f"no protocol or suite is called {name!r}",
                code="E_PROTOCOL_UNKNOWN",
                remedy=f"{one_of(known, name)}, or a path ending in .toml",
            )
        protocol = with_split(load_protocol(name), data=data)
        if protocol.label in found:
            raise ProtocolError(
                f"{protocol.label} is named twice",
                code="E_PROTOCOL_REPEATED",
                remedy="name each protocol once",
            )
        found[protocol.label] = protocol
    return list(found.values())
