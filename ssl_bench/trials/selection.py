"""Which protocols a text means: names, lists, suites, or all that can be run."""

from __future__ import annotations

from pathlib import Path

from ssl_bench.errors import ProtocolError, one_of
from ssl_bench.protocols.protocol import Protocol, load_protocol, protocol_names
from ssl_bench.protocols.suites import load_suite, suite_names
from ssl_bench.testsets import data_root, definition
from ssl_bench.trials.compositions import with_split


def resolve_protocols(text: str, data: Path | None = None) -> list[Protocol]:
    """The protocols that a text names.

    Parameters
    ----------
    text
        One reference, several with commas between, the name of a suite, or ``all``: every protocol
        whose test set is embedded or lies in the data folder.
    data
        Folder with one sub-folder per test set; None for ``SSL_BENCH_DATA``.

    Raises
    ------
    ProtocolError
        If a name is unknown, or the same protocol is named twice.

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
            if definition(protocol.test_set.name).embedded
            or (root is not None and (root / protocol.test_set.name).is_dir())
        ]
    is_suite = text in suite_names() and text not in protocol_names()
    names = load_suite(text).protocols if is_suite else text.split(",")
    protocols = [with_split(_loaded(name.strip())) for name in names]
    labels = [protocol.label for protocol in protocols]
    for label in labels:
        if labels.count(label) > 1:
            raise ProtocolError(f"{label} is named twice", remedy="name each protocol once")
    return protocols


def _loaded(name: str) -> Protocol:
    if "@" not in name and not name.endswith(".toml") and name not in protocol_names():
        known = [*protocol_names(), *suite_names(), "all"]
        raise ProtocolError(
            f"no protocol or suite is called {name!r}",
            remedy=f"{one_of(known, name)}, or a path ending in .toml",
        )
    return load_protocol(name)
