"""The submissions of a board as they lie there: which files there are, and what cannot be one.

Nothing is executed, links are not followed, and files are read in bounded memory. What a killed
command left is removed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from ssl_bench import testsets
from ssl_bench.errors import LeaderboardError, SslBenchError, one_of
from ssl_bench.files import content_folder, is_left_over, remove_left_overs, sha256_of_file
from ssl_bench.leaderboard.assessment import RANKED, Lock, read_lock
from ssl_bench.leaderboard.card import (
    AnyCard,
    BaselineCard,
    Retired,
    is_slug,
    read_card,
    untouched_fields,
)
from ssl_bench.leaderboard.compact import MAX_MAPS_BYTES
from ssl_bench.models.registry import list_baselines, load_baseline
from ssl_bench.protocols.protocol import Protocol, load_protocol, protocol_names
from ssl_bench.scoring.aggregate import n_replicates
from ssl_bench.scoring.checks import measures_of
from ssl_bench.trials.compositions import with_split

SUBMISSIONS, SITE = "submissions", "site"
CARD, MAPS, AUDIO_BLIND, LOCK = "card.toml", "maps.npz", "vision-only.npz", "lock.json"
_MAX_FILES = 20_000
REPRODUCED = "reproduced.json"
"""Name of the file of a board that holds what ``reproduce all --json`` printed."""
_TOP = frozenset({"README.md", "papers.toml", "published.csv", REPRODUCED, SUBMISSIONS, SITE})

Level = Literal["wrong", "not checked", "trusted"]


@dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    Attributes
    ----------
    level
        ``wrong``: the board contradicts itself or its rules. ``not checked``: it may be right; what
        would prove it is not at hand. ``trusted``: not checked either, and byte for byte what a
        trusted board has.
    path
        The submission or file concerned, relative to the board.
    """

    level: Level
    path: str
    message: str
    code: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message.rstrip('.')}. [{self.code}]"


@dataclass(frozen=True)
class Submission:
    """One folder of a board with a card that can be used.

    Attributes
    ----------
    root
        The board.
    folder, slug
        Names of the protocol's folder and of its own.
    lock
        What was accepted where it cannot be computed again; None where nothing is locked.
    """

    root: Path
    folder: str
    slug: str
    card: AnyCard
    lock: Lock | None = None

    @property
    def path(self) -> str:
        """Its folder, relative to the board."""
        return submission_path(self.folder, self.slug)

    @property
    def maps(self) -> Path | None:
        """Its maps; None where they are made again, or kept elsewhere."""
        return self._file(MAPS)

    @property
    def audio_blind(self) -> Path | None:
        """The model's own maps made without the sound."""
        return self._file(AUDIO_BLIND)

    @property
    def title(self) -> str:
        """What it is called: by its card, or its own name where that is the baseline's."""
        return self.slug if isinstance(self.card, BaselineCard) else self.card.name

    @property
    def withdrawn(self) -> Retired | None:
        """The maps that it had until it was withdrawn; None where it was not."""
        return self.card.withdrawn

    @property
    def maps_sha256(self) -> str | None:
        """Digest of its maps, wherever they are kept; None where they are made again."""
        if self.lock is not None:
            return self.lock.result.predictions_sha256
        return None if self.maps is None else sha256_of_file(self.maps)

    @property
    def is_regenerated(self) -> bool:
        """Whether its maps are those of a trivial baseline, made again whenever needed."""
        return isinstance(self.card, BaselineCard) and self.card.seed is not None

    @cached_property
    def protocol(self) -> Protocol:
        """The protocol that ships, with its split spelled out."""
        return protocol_of_folder(self.folder)

    def _file(self, name: str) -> Path | None:
        path = self.root / self.path / name
        return path if path.is_file() else None


def default_board() -> Path:
    """The folder ``leaderboard`` with submissions of the checkout that one is in.

    Outside of any, that of the checkout that this package is run from.

    Raises
    ------
    LeaderboardError
        If there is none: submissions do not travel with an installed package.
    """
    here = Path.cwd()
    for above in (here, *here.parents):
        if (above / "leaderboard" / SUBMISSIONS).is_dir():
            return above / "leaderboard"
    folder = content_folder("leaderboard")
    if not (folder / SUBMISSIONS).is_dir():
        raise LeaderboardError(
            "there is no leaderboard here or above, and an installed package has none",
            code="E_BOARD_MISSING",
            where=here,
            remedy="give --board DIR, such as the folder 'leaderboard' of a checkout",
        )
    return folder


def submission_path(folder: str, slug: str) -> str:
    """Path of a submission within a board.

    Examples
    --------
    >>> submission_path("synth", "center")
    'submissions/synth/center'
    """
    return f"{SUBMISSIONS}/{folder}/{slug}"


def protocol_folder(protocol: Protocol) -> str:
    """Name of a protocol's folder: its own where it stands on its default test set.

    Examples
    --------
    >>> protocol_folder(load_protocol("vggss")), protocol_folder(load_protocol("concat@vggss"))
    ('vggss', 'concat--vggss--all')
    """
    full = with_split(protocol)
    if full.name in protocol_names() and with_split(load_protocol(full.name)).label == full.label:
        return full.name
    return f"{full.name}--{full.test_set.name}--{full.test_set.split}"


def protocol_of_folder(folder: str) -> Protocol:
    """The protocol that ships and whose folder has this name; raises as ``shipped_protocol``."""
    name, _, on = folder.partition("--")
    protocol = shipped_protocol(f"{name}@{on.replace('--', ':')}" if on else name)
    if protocol_folder(protocol) != folder:
        raise LeaderboardError(
            f"this folder must be called {protocol_folder(protocol)}",
            code="E_PROTOCOL_FOLDER",
            where=folder,
        )
    return protocol


def shipped_protocol(reference: str, data: Path | None = None) -> Protocol:
    """A protocol that ships, with its split spelled out: no other can have submissions.

    A test set of the user's own is looked for in the folder `data`.

    Raises
    ------
    LeaderboardError
        If it is a file of the user's own.
    ProtocolError
        If there is none of that name.
    """
    if reference.partition("@")[0] not in protocol_names():
        load_protocol(reference)
        raise LeaderboardError(
            "only protocols that ship with this project have a leaderboard",
            code="E_PROTOCOL_UNKNOWN",
            where=reference,
            remedy=f"{one_of(protocol_names(), reference)}; to rank by a protocol of your own, "
            "contribute its file first",
        )
    return with_split(load_protocol(reference), data=data)


def is_embedded(protocol: Protocol) -> bool:
    """Whether the test set is made by code, so that anybody can score, and truth may be shown."""
    return testsets.is_embedded(protocol.test_set.name)


def find_submissions(
    root: Path, folders: Iterable[str] | None = None
) -> tuple[list[Submission], list[Finding]]:
    """Read the submissions of a board, and name everything on it that is none.

    Parameters
    ----------
    root
        The board.
    folders
        Protocol folders to read; None for all.

    Raises
    ------
    LeaderboardError
        If there is no such board.
    """
    names = {path.name for path in root.iterdir()} if root.is_dir() else set()
    if not root.is_dir() or (SUBMISSIONS not in names and names - _TOP):
        raise LeaderboardError(
            f"there is no board here (a folder with {SUBMISSIONS!r} in it)",
            code="E_BOARD_MISSING",
            where=root,
            remedy="check --board",
        )
    findings: list[Finding] = []

    def entries_of(path: Path) -> list[os.DirEntry[str]]:
        found = []
        remove_left_overs(path)
        for item in sorted(os.scandir(path), key=lambda each: each.name):
            if is_left_over(item.name) and item.is_dir(follow_symlinks=False):
                # Another process writes it just now.
                continue
            if item.is_symlink():
                refuse(item, "links are not allowed on a board", "E_BOARD_LINK")
            else:
                found.append(item)
        return found

    def refuse(item: os.DirEntry[str], message: str, code: str) -> None:
        place = Path(item.path).relative_to(root).as_posix()
        shown = place if place.isprintable() else ascii(place)
        findings.append(Finding("wrong", shown, message, code))

    top = entries_of(root)
    for item in top:
        if item.name not in _TOP or item.is_dir() != (item.name in (SUBMISSIONS, SITE)):
            refuse(item, "this does not belong on a board", "E_BOARD_FILE")
    found: list[Submission] = []
    count = 0
    for protocol in entries_of(root / SUBMISSIONS) if (root / SUBMISSIONS).is_dir() else ():
        if folders is not None and protocol.name not in folders:
            continue
        try:
            protocol_of_folder(protocol.name)
        except SslBenchError as error:
            refuse(protocol, error.problem, error.code)
            continue
        for item in entries_of(Path(protocol.path)) if protocol.is_dir() else ():
            count += 1
            if count > _MAX_FILES:
                refuse(item, f"more than {_MAX_FILES:,} submissions", "E_BOARD_SIZE")
                return found, findings
            if not is_slug(item.name) or not item.is_dir():
                refuse(item, "not the folder of a submission", "E_SLUG")
                continue
            for file in entries_of(Path(item.path)):
                if file.name not in (CARD, MAPS, AUDIO_BLIND, LOCK) or not file.is_file():
                    refuse(file, "this does not belong to a submission", "E_BOARD_FILE")
            try:
                found.append(_read(root, protocol.name, item.name))
            except LeaderboardError as error:
                findings.append(
                    Finding(
                        "wrong",
                        Path(error.where or item.path).relative_to(root).as_posix(),
                        error.problem,
                        error.code,
                    )
                )
    return found, findings


def _read(root: Path, folder: str, slug: str) -> Submission:
    path = root / submission_path(folder, slug)
    read = Submission(root, folder, slug, read_card(path / CARD))
    return replace(read, lock=read_lock(path / LOCK)) if (path / LOCK).exists() else read


def input_problems(submission: Submission) -> list[Finding]:
    """What can be said of a submission before anything is scored, with no test set at hand."""

    def wrong(message: str, code: str) -> None:
        found.append(Finding("wrong", submission.path, message, code))

    found: list[Finding] = []
    card, lock, maps = submission.card, submission.lock, submission.maps
    if card.slug != submission.slug:
        wrong(f"its card is that of {card.slug!r}", "E_SLUG")
    if isinstance(card, BaselineCard):
        for message in _baseline_problems(submission, card):
            wrong(message, "E_BASELINE")
    else:
        if card.measured_by != "submitter" or card.baseline is not None:
            wrong("only this project's own entries are measured by it", "E_CARD_CLAIM")
        untouched = untouched_fields(card)
        if untouched:
            wrong(
                f"its card still has the template's text in: {', '.join(untouched)}",
                "E_CARD_TEMPLATE",
            )
    if submission.withdrawn is not None:
        if maps is not None or submission.audio_blind is not None or lock is not None:
            wrong("it is withdrawn, and maps or a lock are still there", "E_WITHDRAWN")
        return found
    for path in filter(None, (maps, submission.audio_blind)):
        if path.stat().st_size > MAX_MAPS_BYTES:
            wrong(f"{path.name} has more than {MAX_MAPS_BYTES:,} bytes", "E_MAPS_SIZE")
    if maps is None and not submission.is_regenerated and (lock is None or lock.url is None):
        wrong("its maps are missing", "E_MAPS_MISSING")
    if submission.audio_blind is not None and maps is None:
        wrong("audio-blind maps without maps to compare with", "E_MAPS_MISSING")
    for name in sorted(card.claims.keys() - set(submission.protocol.measures)):
        wrong(f"it claims {name!r:.80}, which its protocol does not measure", "E_CLAIM")
    return found + (_lock_problems(submission, lock) if lock is not None else [])


def _baseline_problems(submission: Submission, card: BaselineCard) -> list[str]:
    if submission.withdrawn is not None:
        return []
    if card.baseline not in list_baselines():
        return [f"no baseline is called {card.baseline!r:.80}"]
    found = []
    if card.seed is not None and load_baseline(card.baseline).card.modality != "trivial":
        found.append("only maps of an annotation-only baseline are made again")
    if card.seed is not None and submission.maps is not None:
        found.append("it has maps, and a seed to make them again")
    if submission.lock is not None and submission.lock.url is not None:
        found.append("maps of this project's baselines are kept on the board")
    return found


def _lock_problems(submission: Submission, lock: Lock) -> list[Finding]:
    """Where a lock is not of this protocol or of these maps."""
    place = f"{submission.path}/{LOCK}"
    found: list[Finding] = []

    def wrong(message: str, code: str) -> None:
        found.append(Finding("wrong", place, message, code))

    result, protocol = lock.result, submission.protocol
    if result.protocol.label != protocol.label:
        wrong(f"it is of the protocol {result.protocol.label!r:.80}", "E_LOCK_PROTOCOL")
    for path, digest in (
        (submission.maps, result.predictions_sha256),
        (submission.audio_blind, result.vision_only and result.vision_only.predictions_sha256),
    ):
        if path is not None and sha256_of_file(path) != digest:
            wrong(f"it is not of this {path.name} (digest {str(digest)[:12]})", "E_LOCK_DIGEST")
    if (result.vision_only is None) != (submission.audio_blind is None):
        wrong("it and the audio-blind maps do not go together", "E_LOCK_DIGEST")
    if result.protocol.digest != protocol.digest:
        if result.protocol.version >= protocol.version:
            wrong("it is of another protocol of this name and version", "E_LOCK_PROTOCOL")
        return found
    asked = measures_of(protocol)
    drawn = lock.evidence.replicates
    if [each.measure for each in result.measures] != [str(each) for each in asked]:
        wrong("its measures are not those of the protocol", "E_LOCK_FORM")
    elif [each.measure for each in drawn] != [str(each) for each in asked[:RANKED]] or any(
        each.array().size not in (0, n_replicates(measure))
        for each, measure in zip(drawn, asked, strict=False)
    ):
        wrong("its replicates are not those of the protocol's first measures", "E_LOCK_FORM")
    return found
