"""What a card states that can be held against this project's baselines and the test set."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache

from ssl_bench.errors import Problem, SslBenchError
from ssl_bench.files import sha256_of_file
from ssl_bench.leaderboard.card import (
    AnyCard,
    BaselineCard,
    SubmissionCard,
    SubmittedPretraining,
    TrainingData,
)
from ssl_bench.leaderboard.papers import paper_named_in
from ssl_bench.models.registry import list_baselines, load_baseline
from ssl_bench.scoring.results import ModelIdentity

_PROJECT = "ssl-bench"
_RESERVED_AUTHORS = (_PROJECT, "this project")
_ADDED = ("with object prior", "small")
"""What pages add to a baseline's title."""
_LOOKS = str.maketrans("o1i|", "0lll")


def card_problems(card: SubmissionCard, n_samples: int, *, embedded: bool) -> Iterator[Problem]:
    """Where a submitter's card states what cannot be.

    Parameters
    ----------
    n_samples
        Number of samples of the test set.
    embedded
        Whether its truth may be copied.
    """
    clips = card.training.overlap_clips
    if clips is not None and clips > n_samples:
        yield Problem(
            f"its card states training on {clips:,} clips of a test set that has {n_samples:,}",
            "E_CARD_OVERLAP",
        )
    if card.modality == "oracle" and not embedded:
        yield Problem(
            "maps made from this test set's annotation would give the annotation away",
            "E_CARD_ORACLE",
        )
    name = squeezed(card.name)
    for reserved, title in _reserved().items():
        if name == reserved or name.startswith(
            tuple(f"{reserved}{squeezed(each)}" for each in _ADDED)
        ):
            yield Problem(
                f"its name looks like that of the baseline {title!r}; say whose version it is, "
                f"such as '{title} (retrained by us)'",
                "E_CARD_NAME",
            )
    for author in card.authors:
        scripts = (
            {unicodedata.name(letter, "").split(" ")[0] for letter in word if letter.isalpha()}
            for word in author.split()
        )
        if any(squeezed(reserved) in squeezed(author) for reserved in _RESERVED_AUTHORS) or any(
            len(found) > 1 for found in scripts
        ):
            yield Problem(f"the author {author!r} looks like somebody else", "E_CARD_AUTHOR")


def squeezed(name: str) -> str:
    """What is left of a name for a reader who looks at it briefly.

    Examples
    --------
    >>> squeezed("EZ-VSL") == squeezed("ez vs1"), squeezed("EZ-VSL+") == squeezed("EZ-VSL")
    (True, False)
    """
    plain = unicodedata.normalize("NFKD", name).lower().translate(_LOOKS)
    return re.sub(r"[^\w+*]|_|[\u0300-\u036f]", "", plain)


def is_deaf(card: AnyCard) -> bool:
    """Whether a card says that the model knows neither the sound nor the truth."""
    if isinstance(card, SubmissionCard):
        return card.modality in ("vision-only", "trivial")
    return (
        card.baseline != "oracle" and load_baseline(card.baseline).card.modality != "audio-visual"
    )


def look_alike(own: AnyCard, other: AnyCard, *, same_protocol: bool) -> bool:
    """Whether a reader would take the entries of two cards for the same.

    In different protocols, the same name of the same authors is the same model.
    """
    if isinstance(own, BaselineCard) or isinstance(other, BaselineCard):
        return False
    if squeezed(own.name) != squeezed(other.name):
        return False
    return same_protocol or (own.name, own.authors) != (other.name, other.authors)


@cache
def _reserved() -> Mapping[str, str]:
    titles = {name: load_baseline(name).card.title for name in list_baselines()}
    return {squeezed(text): title for name, title in titles.items() for text in (name, title)}


def baseline_problems(card: BaselineCard, model: ModelIdentity) -> Iterator[Problem]:
    """Where maps are said to be a baseline's, and state otherwise."""
    parts = (model, *model.parts)
    if card.baseline not in {part.name for part in parts} or model.alpha != card.alpha:
        yield Problem(
            f"its card names the baseline {card.baseline} (alpha {card.alpha}), and its maps state "
            f"{model.name!r:.80} (alpha {model.alpha})",
            "E_BASELINE",
        )
    for part in parts:
        if part.variant is None or part.name not in list_baselines():
            continue
        ships = _shipped_digest(part.name, part.variant)
        if ships is not None and part.weights_sha256 != ships:
            yield Problem(
                f"its weights (digest {str(part.weights_sha256)[:12]}) are not those that ship "
                f"with {part.name}",
                "E_BASELINE_WEIGHTS",
            )


@cache
def _shipped_digest(name: str, variant: str) -> str | None:
    """SHA-256 of the weights that ship; None where there are none, or no such variant."""
    try:
        ships = load_baseline(name).shipped_weights(variant)
    except SslBenchError:
        return None
    return None if ships is None else sha256_of_file(ships[0])


def page_card(card: AnyCard, test_set: str, model: ModelIdentity) -> SubmissionCard:
    """The card that a page shows: the submitter's, or what the baseline's own card says.

    Parameters
    ----------
    card
        As submitted.
    test_set
        Name of the test set that it was measured on.
    model
        What its predictions state.
    """
    if isinstance(card, SubmissionCard):
        return card
    own = load_baseline(card.baseline).card
    guided = "" if card.alpha is None else f" with object prior (alpha {card.alpha:g})"
    variant = next((part.variant for part in (model, *model.parts) if part.name == own.name), None)
    ships = variant is not None and _shipped_digest(own.name, variant) is not None
    cited = paper_named_in(own.paper)
    unseen = own.modality == "trivial" or (ships and test_set == "synth")
    return SubmissionCard(
        slug=card.slug,
        name=_with_world(f"{own.title}{guided}", variant, ships=ships),
        authors=(_PROJECT,),
        summary=own.summary.strip(),
        paper=None if own.paper == "none" else _one_line(own.paper),
        paper_address=None if cited is None else cited.address,
        code_address=own.code if own.code.startswith("https://") else None,
        modality="oracle" if own.name == "oracle" else own.modality,
        pretraining=SubmittedPretraining(
            image=_one_line(own.pretraining.image),
            audio=_one_line(own.pretraining.audio),
            labels=_one_line(own.pretraining.labels),
        ),
        training=TrainingData(
            data=own.training_data.strip(), overlap="none" if unseen else "unknown"
        ),
        preprocessing=own.preprocessing.strip(),
        reimplementation=" ".join(own.deviations).strip()[:6000] or None,
        measured_by="this project",
        licence="Apache-2.0",
        baseline=card.baseline,
        claims=card.claims,
    )


def _with_world(name: str, variant: str | None, *, ships: bool) -> str:
    """A baseline's name with its variant: a small re-implementation never has a paper's name alone.

    Examples
    --------
    >>> _with_world("EZ-VSL", "synth", ships=True), _with_world("Image centre", None, ships=False)
    ('EZ-VSL, small, synth', 'Image centre')
    """
    if variant in (None, "standard", "full"):
        return name[:80]
    world = f"{', small' if ships else ''}, {variant}"
    return f"{name[: 80 - len(world)]}{world}"


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else line[:199] + "…"
