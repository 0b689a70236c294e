"""What a card claims that this project can hold against its own baselines."""

from __future__ import annotations

from ssl_bench.errors import SslBenchError
from ssl_bench.files import sha256_of_file
from ssl_bench.leaderboard.card import SubmissionCard, SubmittedPretraining, TrainingData
from ssl_bench.leaderboard.entry import Entry, RemadePredictions
from ssl_bench.leaderboard.likeness import posing
from ssl_bench.models.registry import list_baselines, load_baseline
from ssl_bench.scoring.results import ModelIdentity

_EMBEDDED = "synth"
_PROJECT = "ssl-bench"
_LICENCE = "Apache-2.0"


def claim_problems(card: SubmissionCard, n_samples: int) -> list[str]:
    """Where a card claims what cannot be, whatever it was submitted with.

    Parameters
    ----------
    card
        What a submitter says.
    n_samples
        How many samples the test set has.

    Returns
    -------
    list of str
        Sentences without a full stop.
    """
    found = []
    clips = card.training.overlap_clips
    if clips is not None and clips > n_samples:
        found.append(f"it was trained on {clips:,} clips of a test set that has {n_samples:,}")
    if card.measured_by == "submitter" and card.baseline is None:
        return [*found, *posing(card)]
    if card.measured_by == "submitter":
        return [*found, "only this project's own entries name a baseline"]
    if card.baseline is None or card.baseline not in list_baselines():
        found.append("it claims to be measured by this project, and names no baseline that ships")
    return found


def card_problems(entry: Entry) -> list[str]:
    """Where a card says what the entry is not, as sentences without a full stop."""
    card = entry.card
    found = claim_problems(card, entry.result.test_set.n_samples)
    maps = entry.predictions
    if isinstance(maps, RemadePredictions) and maps.model != card.baseline:
        found.append(f"its maps are those of the baseline {maps.model}, and its card is another's")
    if found or card.baseline is None:
        return found
    if entry.is_kept_elsewhere:
        found.append("it claims to be measured by this project, which keeps its maps on the board")
    model = entry.result.model
    parts = (model, *model.parts)
    if card.baseline not in {part.name for part in parts}:
        found.append(
            f"it names the baseline {card.baseline}, and the maps are of {model.name!r:.80}"
        )
    for part in parts:
        found += _weights_problems(part)
    try:
        made = baseline_card(card.baseline, card.slug, entry.result.test_set.name, model)
    except SslBenchError as error:
        return [*found, error.problem]
    own, other = card.model_dump(), made.model_dump()
    names = [name for name, value in own.items() if value != other[name]]
    if names:
        found.append(f"it differs from the baseline's own card in: {', '.join(names)}")
    return found


def baseline_card(name: str, slug: str, test_set: str, model: ModelIdentity) -> SubmissionCard:
    """The card of an entry that this project measured.

    Parameters
    ----------
    name
        The baseline.
    slug
        Of the entry.
    test_set
        Name of the test set that it was measured on.
    model
        What its predictions say of it.

    Raises
    ------
    ModelError
        If there is no such baseline.
    """
    card = load_baseline(name).card
    guided = "" if model.alpha is None else f" with object prior (alpha {model.alpha:g})"
    own = next((part for part in (model, *model.parts) if part.name == name), model)
    ships = own.variant is not None and load_baseline(name).shipped_weights(own.variant) is not None
    trained = card.modality != "trivial"
    return SubmissionCard(
        slug=slug,
        name=f"{card.title}{guided}"[:80],
        authors=(_PROJECT,),
        summary=card.summary.strip(),
        paper=None if card.paper == "none" else _one_line(card.paper),
        code_address=card.code if card.code.startswith("https://") else None,
        modality="oracle" if name == "oracle" else card.modality,
        pretraining=SubmittedPretraining(
            image=_one_line(card.pretraining.image),
            audio=_one_line(card.pretraining.audio),
            labels=_one_line(card.pretraining.labels),
        ),
        training=TrainingData(
            data=card.training_data.strip(),
            overlap="none" if not trained or (ships and test_set == _EMBEDDED) else "unknown",
        ),
        preprocessing=card.preprocessing.strip(),
        reimplementation=" ".join(card.deviations).strip()[:6000] or None,
        measured_by="this project",
        licence=_LICENCE,
        baseline=name,
    )


def _weights_problems(model: ModelIdentity) -> list[str]:
    """Where weights are not those that ship under the name."""
    if model.variant is None or model.name not in list_baselines():
        return []
    try:
        ships = load_baseline(model.name).shipped_weights(model.variant)
    except SslBenchError as error:
        return [error.problem]
    if ships is None:
        return []
    expected = sha256_of_file(ships[0])
    if model.weights_sha256 == expected:
        return []
    return [
        f"its weights (digest {str(model.weights_sha256)[:12]}) are not those that ship with "
        f"{model.name} (digest {expected[:12]})"
    ]


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else line[:199] + "…"
