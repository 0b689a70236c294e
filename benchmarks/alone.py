"""Protocols that score a model and nothing beside it."""

from __future__ import annotations

from collections.abc import Iterable

from ssl_bench.protocols.protocol import ControlsTable, Protocol, load_protocol


def alone(names: Iterable[str]) -> list[Protocol]:
    """Protocols without floors, ceiling, priors and audio-blind maps: nothing reads them here."""
    nothing = ControlsTable(floors=(), ceiling=False, vision_only=False)
    return [load_protocol(name).model_copy(update={"controls": nothing}) for name in names]
