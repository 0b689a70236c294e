"""Where entries of one protocol stand."""

from __future__ import annotations

from collections.abc import Mapping

from ssl_bench.errors import LeaderboardError
from ssl_bench.leaderboard.assessment import Assessment
from ssl_bench.measures.values import parse_measure
from ssl_bench.statistics.ties import Contender, Ties, find_ties


def find_standings(entries: Mapping[str, Assessment]) -> Ties:
    """Tie groups by the protocol's first measure.

    Parameters
    ----------
    entries
        Of one protocol digest, by slug.

    Raises
    ------
    LeaderboardError
        If the entries are of different protocols, or cannot be compared.
    """
    if not entries:
        return Ties((), ())
    first = next(iter(entries.values())).result
    contenders: dict[str, Contender] = {}
    for slug, entry in entries.items():
        if entry.result.protocol.digest != first.protocol.digest:
            raise LeaderboardError(
                "entries of different protocols, or versions of one, are not ranked together",
                code="E_RANKED_APART",
                where=slug,
            )
        value, drawn = entry.result.measures[0], entry.evidence.replicates[0]
        contenders[slug] = Contender(value.value, drawn.array(), value.n_groups)
    sign = parse_measure(first.measures[0].measure).sign
    try:
        return find_ties(contenders, sign=sign)
    except ValueError as error:
        raise LeaderboardError(
            f"these entries cannot be compared ({error})",
            code="E_RANKED_APART",
            remedy="'ssl-bench leaderboard check' names what contradicts itself",
        ) from error
