"""A board as the pages need it: its entries by protocol version, and where each stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ssl_bench.errors import LeaderboardError, SslBenchError
from ssl_bench.files import sha256_of_file
from ssl_bench.leaderboard.assess import shipped_protocol
from ssl_bench.leaderboard.documents import read_entry
from ssl_bench.leaderboard.entry import Entry
from ssl_bench.leaderboard.files import find_files
from ssl_bench.leaderboard.places import entry_path, protocol_folder
from ssl_bench.leaderboard.published import PublishedFigure, read_published
from ssl_bench.leaderboard.standings import find_standings
from ssl_bench.measures.values import parse_measure
from ssl_bench.protocols.protocol import Protocol, load_protocol, protocol_names
from ssl_bench.statistics.ties import Standing, Ties
from ssl_bench.testsets import definition
from ssl_bench.trials.compositions import with_split

SITE = "site"
"""Name of the built page's folder in a board."""


@dataclass(frozen=True, eq=False)
class Competition:
    """Entries of one version of a protocol. Those of the version that ships are ranked together.

    Attributes
    ----------
    folder
        Name of the protocol's folder on the board.
    protocol
        The protocol as it ships.
    digest
        Of the version that the entries were made for.
    entries
        By slug, best first; those that are not ranked come last: oracles, which see the truth, and
        what cannot be scored again from the board.
    ties
        By the protocol's first measure, of all entries that are ranked.
    """

    folder: str
    protocol: Protocol
    digest: str
    entries: Mapping[str, Entry]
    ties: Ties

    @property
    def current(self) -> bool:
        """Whether the protocol that ships is this version."""
        return self.protocol.digest == self.digest

    @property
    def embedded(self) -> bool:
        """Whether the test set is made by code, so that anybody can score the entries again."""
        return definition(self.protocol.test_set.name).embedded

    @property
    def ranked(self) -> tuple[Entry, ...]:
        """Entries that are ranked, best first."""
        return tuple(self.entries[each.name] for each in self.ties.standings)

    @property
    def oracles(self) -> tuple[Entry, ...]:
        """Entries that see the truth, and can be scored again."""
        return tuple(
            each
            for each in self.entries.values()
            if each.card.modality == "oracle" and not self.why_apart(each)
        )

    @property
    def apart(self) -> tuple[Entry, ...]:
        """Entries that cannot be scored again from what is on the board."""
        return tuple(each for each in self.entries.values() if self.why_apart(each))

    def why_apart(self, entry: Entry) -> str:
        """Why an entry cannot be scored again from the board, in words; empty where it can."""
        if not self.current:
            return f"made for version {entry.result.protocol.version} of the protocol"
        return "its maps are kept elsewhere" if entry.is_kept_elsewhere else ""

    @cached_property
    def standings(self) -> Mapping[str, Standing]:
        """Where each entry stands, by slug."""
        return {each.name: each for each in self.ties.standings}

    @cached_property
    def under_dialects(self) -> Mapping[str, tuple[str, Mapping[str, int]]]:
        """For each dialect: its title, and the rank of each entry by its first measure.

        Equal values share a rank; an undefined value has the last.
        """
        values: dict[str, dict[str, float | None]] = {}
        titles: dict[str, str] = {}
        signs: dict[str, int] = {}
        for entry in self.ranked:
            for each in entry.evidence.dialects:
                titles[each.dialect] = each.title
                first = each.measures[0]
                better = parse_measure(first.measure).definition.better
                signs[each.dialect] = -1 if better == "lower" else 1
                values.setdefault(each.dialect, {})[entry.slug] = first.value
        return {
            name: (titles[name], _ranks(found, signs[name]))
            for name, found in sorted(values.items())
        }


@dataclass(frozen=True, eq=False)
class Board:
    """All that the pages are made of.

    Attributes
    ----------
    competitions
        Of every protocol that has entries, by folder; the version that ships first.
    digests
        Of each entry's file, by folder and slug.
    published
        Figures printed in papers.
    """

    competitions: Mapping[str, tuple[Competition, ...]]
    digests: Mapping[tuple[str, str], str]
    published: tuple[PublishedFigure, ...]

    @property
    def n_entries(self) -> int:
        """Entries of all protocols."""
        return len(self.digests)

    @property
    def n_apart(self) -> int:
        """Those that cannot be scored again from what is on the board."""
        return sum(len(each.apart) for found in self.competitions.values() for each in found)

    @cached_property
    def folders(self) -> tuple[str, ...]:
        """Folders of all protocols that have a page: those that ship, and those with entries."""
        return tuple(sorted({*protocol_names(), *self.competitions}))

    def protocol_of(self, folder: str) -> Protocol:
        """The protocol of a folder, with its split spelled out."""
        found = self.competitions.get(folder)
        return found[0].protocol if found else with_split(load_protocol(folder))


def read_board(root: Path) -> Board:
    """Read a board's entries, and find out where they stand.

    Raises
    ------
    LeaderboardError
        If there is no such board, or a file of it cannot be used.
    """
    if not root.is_dir():
        raise LeaderboardError("there is no such board", where=root, remedy="check the name")
    grouped: dict[str, dict[str, list[Entry]]] = {}
    digests: dict[tuple[str, str], str] = {}
    for path in find_files(root, (SITE,)).entries:
        entry = read_entry(root / path)
        folder = path.split("/")[1]
        protocol = _protocol(entry, root / path)
        if path != entry_path(protocol_folder(protocol), entry.slug):
            raise LeaderboardError("this entry belongs elsewhere", where=root / path)
        digests[folder, entry.slug] = sha256_of_file(root / path)
        grouped.setdefault(folder, {}).setdefault(entry.protocol_digest, []).append(entry)
    competitions = {}
    for folder, versions in sorted(grouped.items()):
        found = [_competition(folder, digest, entries) for digest, entries in versions.items()]
        competitions[folder] = tuple(
            sorted(found, key=lambda each: (not each.current, each.digest))
        )
    published = root / "published.csv"
    figures = read_published(published) if published.is_file() else ()
    return Board(competitions, digests, figures)


def _competition(folder: str, digest: str, entries: list[Entry]) -> Competition:
    protocol = _protocol(entries[0], Path(folder))
    outdated = digest != protocol.digest
    ties = find_standings([entry for entry in entries if entry.can_be_ranked and not outdated])
    by_slug = {entry.slug: entry for entry in entries}
    ordered = {each.name: by_slug.pop(each.name) for each in ties.standings} | by_slug
    return Competition(folder, protocol, digest, ordered, ties)


def _protocol(entry: Entry, where: Path) -> Protocol:
    try:
        return shipped_protocol(entry.protocol)
    except SslBenchError as error:
        raise LeaderboardError(error.problem, where=where, remedy=error.remedy) from error


def _ranks(values: Mapping[str, float | None], sign: int) -> dict[str, int]:
    """One more than the number of better ones."""
    defined = [sign * value for value in values.values() if value is not None]
    return {
        slug: len(values)
        if value is None
        else 1 + sum(other > sign * value + 1e-9 for other in defined)
        for slug, value in sorted(values.items())
    }
