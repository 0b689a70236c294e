"""The project's own entries: every baseline that ships, on every protocol that it can answer.

Trained baselines answer the protocols of the embedded world, where their weights ship. The
annotation-only ones also answer protocols on published test sets: there they need no media.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ssl_bench.analysis.evaluation import run_predict
from ssl_bench.analysis.request import Request
from ssl_bench.engine.predict import Predicted
from ssl_bench.errors import DataError, LeaderboardError, one_of
from ssl_bench.files import files_of, temporary_folder, write_text
from ssl_bench.leaderboard.assess import Bench, open_bench
from ssl_bench.leaderboard.assessment import disagreements, read_lock
from ssl_bench.leaderboard.card import read_card
from ssl_bench.leaderboard.submissions import (
    CARD,
    LOCK,
    SUBMISSIONS,
    shipped_protocol,
    submission_path,
)
from ssl_bench.leaderboard.submit import (
    Prepared,
    SubmissionOptions,
    prepare,
    write_submission,
)
from ssl_bench.models.registry import default_alpha, list_baselines, load_baseline
from ssl_bench.protocols.protocol import load_protocol, protocol_names
from ssl_bench.scoring.formatting import scale_of
from ssl_bench.testsets import is_embedded

PUBLISHED_PROTOCOLS = ("vggss", "interactive@is3")
"""Protocols on published test sets that the annotation-only baselines answer."""

_EMBEDDED_VARIANT = "synth"
_MIXED = "w/ OGL"


@dataclass(frozen=True)
class Contestant:
    """A baseline as it enters.

    Attributes
    ----------
    name
        Of the baseline.
    alpha
        Weight of its audio-visual map, where it is mixed with its object prior.
    """

    name: str
    alpha: float | None = None

    @property
    def slug(self) -> str:
        """Name of its entries."""
        return self.name if self.alpha is None else f"{self.name}-ogl"

    @property
    def needs_no_media(self) -> bool:
        """Whether it is an annotation-only baseline."""
        return load_baseline(self.name).card.modality == "trivial"


@dataclass(frozen=True)
class Added:
    """What became of one entry; the reason is why it was left out, or how storing changed it."""

    protocol: str
    slug: str
    outcome: Literal["written", "unchanged", "left out"]
    reason: str = ""


def embedded_protocols() -> list[str]:
    """Protocols whose default test set is made by code, in alphabetical order.

    Examples
    --------
    >>> "concat" in embedded_protocols(), "vggss" in embedded_protocols()
    (True, False)
    """
    return [name for name in protocol_names() if is_embedded(load_protocol(name).test_set.name)]


def contestants() -> list[Contestant]:
    """Baselines whose weights ship or that have none, alone, and mixed where a paper mixes them.

    Mixed means with their object prior, as published figures of theirs ("w/ OGL") are.
    """
    found = []
    for name in list_baselines():
        alone = Contestant(name)
        if alone.needs_no_media:
            found.append(alone)
            continue
        recipe = load_baseline(name).recipe
        variant = recipe.default_variant
        if variant != _EMBEDDED_VARIANT or load_baseline(name).shipped_weights(variant) is None:
            continue
        found.append(alone)
        prior = recipe.object_prior
        mixed = any(
            (figure.variant or "").startswith(_MIXED)
            for figure in load_baseline(name).card.published
        )
        if (
            mixed
            and prior is not None
            and load_baseline(prior).shipped_weights(variant) is not None
        ):
            found.append(Contestant(name, default_alpha(name)))
    return found


def add_baselines(
    root: Path,
    *,
    baselines: Sequence[str] = (),
    protocols: Sequence[str] = (),
    data: Path | None = None,
    jobs: int = 1,
    new_board: bool = True,
    notify: Callable[[str], None] = lambda _stage: None,
) -> Iterator[Added]:
    """Measure baselines, and write their entries where anything changed.

    Parameters
    ----------
    root
        The board.
    baselines, protocols
        Which ones; all where none is named.
    data
        Folder with one sub-folder per test set; None for ``SSL_BENCH_DATA``. Protocols whose test
        set is not at hand are left out.
    jobs
        Threads.
    new_board
        Whether a board is begun where there is none.
    notify
        Called with a short text at the start of each stage.

    Yields
    ------
    Added
        One for each entry, as it is done.

    Raises
    ------
    LeaderboardError
        If a baseline is unknown or has no weights that ship, or there is no board.
    """
    if not (root / SUBMISSIONS).is_dir() and not new_board:
        raise LeaderboardError(
            "there is no board here",
            code="E_BOARD_MISSING",
            where=root,
            remedy="check --board, or give --new-board to begin one",
        )
    entering = contestants()
    for name in baselines:
        if name not in {each.name for each in entering}:
            raise LeaderboardError(
                f"no baseline called {name!r} can be measured with what ships",
                code="E_BASELINE",
                remedy=one_of((each.name for each in entering), name),
            )
    chosen = [each for each in entering if not baselines or each.name in baselines]
    benches: dict[str, Bench] = {}
    for reference in protocols or (*embedded_protocols(), *PUBLISHED_PROTOCOLS):
        label = shipped_protocol(reference).label
        try:
            benches[label] = open_bench(reference, data, jobs=jobs, notify=notify)
        except DataError as error:
            yield Added(reference, "", "left out", f"test set not available ({error.problem})")
    for each in chosen:
        yield from _entered(root, each, benches, data, jobs, notify)


def _entered(
    root: Path,
    contestant: Contestant,
    benches: dict[str, Bench],
    data: Path | None,
    jobs: int,
    notify: Callable[[str], None],
) -> Iterator[Added]:
    """Entries of one baseline: everything that protocols share is encoded once."""
    wanted = [
        label for label, bench in benches.items() if bench.embedded or contestant.needs_no_media
    ]
    if not wanted:
        return
    with temporary_folder() as folder:
        notify(f"predicting: {contestant.slug}")
        request = Request(
            model=contestant.name,
            alpha=contestant.alpha,
            data=data,
            folder=folder,
            jobs=jobs,
        )
        answered = run_predict(request, wanted)
        for trials, predicted in answered:
            bench = benches[trials.protocol.label]
            yield _written(root, bench, contestant, predicted)


def _written(root: Path, bench: Bench, contestant: Contestant, predicted: Predicted) -> Added:
    """Write a submission unless the board has the same card and maps."""
    label, slug = bench.trials.protocol.label, contestant.slug
    path = root / submission_path(bench.folder, slug)
    gone = read_card(path / CARD).withdrawn if (path / CARD).exists() else None
    if gone is not None:
        return Added(label, slug, "left out", f"withdrawn on {gone.date}: {gone.reason}")
    lines = [f'baseline = "{contestant.name}"']
    if contestant.alpha is not None:
        lines.append(f"alpha = {contestant.alpha!r}")
    if contestant.needs_no_media:
        lines.append("seed = 0")
    with temporary_folder() as scratch:
        card = scratch / CARD
        write_text(card, "\n".join([*lines, ""]))
        blind = predicted.vision_only
        options = SubmissionOptions(vision_only=blind, replace=True, new_board=True)
        prepared = prepare(root, bench, predicted.predictions, card, options)
    held = {item.name: item.read_bytes() for item in files_of(path, ("*",))}
    lock = prepared.entry.submission.lock
    if lock is not None and LOCK in held and not disagreements(read_lock(path / LOCK), lock):
        held[LOCK] = prepared.files[LOCK]
    if held == prepared.files:
        return Added(label, slug, "unchanged", _changed_by_storing(prepared))
    write_submission(root, prepared)
    return Added(label, slug, "written", _changed_by_storing(prepared))


def _changed_by_storing(prepared: Prepared) -> str:
    """Which measures of the reduced maps differ from those of the maps as made, as a text."""
    changes = []
    for own, made in zip(prepared.entry.result.measures, prepared.submitted, strict=True):
        if own.value is not None and made.value is not None and own.value != made.value:
            changes.append(f"{own.measure} {scale_of(own.measure) * (own.value - made.value):+.2f}")
    return f"its maps are stored smaller, which changes {', '.join(changes)}" if changes else ""
