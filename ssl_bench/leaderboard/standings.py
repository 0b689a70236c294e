"""Where entries of one protocol stand, from what the entries themselves hold."""

from __future__ import annotations

from collections.abc import Sequence

from ssl_bench.errors import LeaderboardError, one_of
from ssl_bench.leaderboard.entry import Entry
from ssl_bench.measures.values import parse_measure
from ssl_bench.statistics.ties import Contender, Ties, find_ties


def find_standings(entries: Sequence[Entry], measure: str | None = None) -> Ties:
    """Tie groups of entries by one measure; names are slugs.

    Parameters
    ----------
    entries
        Of one protocol digest, each slug once.
    measure
        Text form of one of the protocol's first measures; None for the first of all.

    Raises
    ------
    LeaderboardError
        If the entries are of different protocols, a slug comes twice, or an entry lacks the
        measure.
    """
    contenders: dict[str, Contender] = {}
    for entry in entries:
        if entry.protocol_digest != entries[0].protocol_digest:
            raise LeaderboardError(
                "entries of different protocols, or versions of one, are not ranked together",
                where=entry.slug,
            )
        if entry.slug in contenders:
            raise LeaderboardError("two entries have this slug", where=entry.slug)
        contenders[entry.slug] = _contender(entry, measure or entries[0].headline.measure)
    if not contenders:
        return Ties((), ())
    chosen = parse_measure(measure or entries[0].headline.measure)
    try:
        return find_ties(
            contenders, better="lower" if chosen.definition.better == "lower" else "higher"
        )
    except ValueError as error:
        raise LeaderboardError(
            f"these entries cannot be compared ({error})",
            remedy="'ssl-bench leaderboard check' says which of them was changed",
        ) from error


def _contender(entry: Entry, measure: str) -> Contender:
    for drawn in entry.evidence.replicates:
        if drawn.measure == measure:
            value = entry.result[measure]
            return Contender(value.value, drawn.array(), value.n_groups)
    known = [drawn.measure for drawn in entry.evidence.replicates]
    raise LeaderboardError(
        f"{measure!r} ranks no entries of {entry.protocol}",
        where=entry.slug,
        remedy=one_of(known, measure),
    )
