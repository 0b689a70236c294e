"""From a board's predictions to an entry: the one way in which entries are made and checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ssl_bench.errors import LeaderboardError
from ssl_bench.leaderboard.card import SubmissionCard
from ssl_bench.leaderboard.entry import Entry, PredictionsReference, StoredPredictions
from ssl_bench.leaderboard.evidence import Shown, gather_evidence, under_dialects
from ssl_bench.leaderboard.places import protocol_folder
from ssl_bench.leaderboard.stated import stated_environment
from ssl_bench.protocols.protocol import Protocol, load_protocol, protocol_names
from ssl_bench.scoring.references import Controls, control_scores
from ssl_bench.scoring.run import Notify, ScoringOptions, measures_of, score_file
from ssl_bench.testsets import definition
from ssl_bench.trials.compositions import open_trials, with_split
from ssl_bench.trials.trial import TrialSet


@dataclass(frozen=True)
class Named:
    """A predictions file at hand, and what an entry says of where it is."""

    path: Path
    reference: PredictionsReference


class Bench:
    """One protocol with its trials, floors and ceiling, which all of its entries share.

    Parameters
    ----------
    trials
        Trials of a protocol that ships.
    jobs
        Threads that score.
    notify
        Called with a short text at the start of each stage.
    """

    def __init__(
        self, trials: TrialSet, *, jobs: int = 1, notify: Notify = lambda _stage: None
    ) -> None:
        self.trials = trials
        self.jobs = jobs
        self.notify = notify
        self.folder = protocol_folder(trials.protocol)

    @property
    def embedded(self) -> bool:
        """Whether the test set is made by code, so that its truth may be copied."""
        return definition(self.trials.test_set.name).embedded

    @cached_property
    def controls(self) -> Controls | None:
        """Scores of floors and ceiling; None for a ranking, which has neither."""
        protocol = self.trials.protocol
        if protocol.answers != "maps":
            return None
        self.notify("computing floors and ceiling")
        return control_scores(self.trials, measures_of(protocol), jobs=self.jobs)

    def entry(self, card: SubmissionCard, maps: Named, blind: Named | None = None) -> Entry:
        """Score predictions, and gather everything that a page shows of them.

        Parameters
        ----------
        card
            What the submitter says.
        maps
            The predictions.
        blind
            The model's own audio-blind maps.

        Raises
        ------
        PredictionsError
            With every problem of a file, if it cannot be scored.
        LeaderboardError
            If the audio-blind maps are not on the board.
        """
        beside = None if blind is None else blind.reference
        if beside is not None and not isinstance(beside, StoredPredictions):
            raise LeaderboardError("audio-blind maps must be stored on the board", where=card.slug)
        options = ScoringOptions(jobs=self.jobs, notify=self.notify)
        scored = score_file(
            maps.path,
            self.trials,
            vision_only=None if blind is None else blind.path,
            options=options,
            controls=self.controls,
            dialects=under_dialects(self.trials.protocol),
        )
        self.notify("gathering evidence")
        shown = Shown(truth=self.embedded, maps=maps.reference.kind != "remade")
        protocol = scored.result.protocol
        return Entry(
            slug=card.slug,
            protocol=protocol.label,
            protocol_digest=protocol.digest,
            result=scored.result.model_copy(
                update={
                    "timings": {},
                    "environment": stated_environment(scored.result.environment),
                    "protocol": protocol.model_copy(update={"tables": None}),
                }
            ),
            predictions=maps.reference,
            vision_only=beside,
            card=card,
            evidence=gather_evidence(maps.path, self.trials, scored, shown),
        )


def shipped_protocol(reference: str) -> Protocol:
    """A protocol that ships, with its split spelled out: no other can have entries.

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
            where=reference,
            remedy=f"use one of: {', '.join(protocol_names())}; to rank by a protocol of your own, "
            "contribute its file first",
        )
    return with_split(load_protocol(reference))


def open_bench(
    reference: str,
    data: Path | None = None,
    *,
    jobs: int = 1,
    notify: Callable[[str], None] = lambda _stage: None,
) -> Bench:
    """Open the trials of a protocol that ships; raises as :func:`shipped_protocol` does."""
    protocol = shipped_protocol(reference)
    notify("opening trials")
    return Bench(open_trials(protocol, data), jobs=jobs, notify=notify)
