"""A submission's ``card.toml``: what a submitter states of a model, or which baseline it is."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter, model_validator

from ssl_bench.errors import LeaderboardError
from ssl_bench.schemas import Strict, parse_toml, read_bytes

MAX_CARD_BYTES = 2**16
# Of these, the template's word may be the right one.
_CHOICES = ("modality", "overlap", "audio")
_HOST = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
_REMEDY = "'ssl-bench submit --template' prints a card with every field explained"


def _printable(text: str) -> str:
    if not text.strip() or not text.replace("\n", "").isprintable():
        raise ValueError("blank, or with characters that cannot be printed")
    return text


def checked_url(text: str) -> str:
    """Refuse everything but a plain https URL of a named host.

    Raises
    ------
    ValueError
        Saying what is wrong with it.

    Examples
    --------
    >>> checked_url("javascript:alert(1)")
    Traceback (most recent call last):
    ...
    ValueError: not an https:// URL of a named host
    """
    parts = urlsplit(text) if re.fullmatch(r"[!-~]+", text) else None
    if parts is None or parts.scheme != "https" or not _HOST.fullmatch(parts.netloc.lower()):
        raise ValueError("not an https:// URL of a named host")
    if re.search(r"[\"'<>\\^`{|}]", text):
        raise ValueError("characters that a URL must not contain")
    return f"https{text[5:]}"


Line = Annotated[
    str, StringConstraints(max_length=200, pattern=r"^[^\n]*$"), AfterValidator(_printable)
]
"""One printable line."""
Paragraph = Annotated[str, StringConstraints(max_length=6000), AfterValidator(_printable)]
Name = Annotated[
    str, StringConstraints(max_length=80, pattern=r"^[ -~]+$"), AfterValidator(_printable)
]
"""A model's name: printable ASCII, so that two names that differ look different."""
Person = Annotated[
    str, StringConstraints(max_length=80, pattern=r"^[^\n]*$"), AfterValidator(_printable)
]
Url = Annotated[str, StringConstraints(max_length=500), AfterValidator(checked_url)]
Slug = Annotated[str, StringConstraints(max_length=60, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
"""Name of a folder: lowercase letters and digits, with single hyphens between them."""
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Claims = Annotated[dict[Line, float], Field(max_length=50)]
"""Values by the text form of a measure, as fractions or ranks."""


class SubmittedPretraining(Strict):
    """What the model had learned before audio-visual training; ``none`` where nothing.

    `labels` are those that any part of the model has seen.
    """

    image: Line
    audio: Line
    labels: Line


class TrainingData(Strict):
    """What the model was trained on, and whether clips of the test set are among it.

    `overlap_clips` says how many, only with ``overlap = "yes"``; `list_sha256` is the digest of the
    training list.
    """

    data: Paragraph
    overlap: Literal["none", "unknown", "yes"]
    overlap_clips: Annotated[int, Field(ge=1)] | None = None
    list_sha256: Digest | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.overlap == "yes") != (self.overlap_clips is not None):
            raise ValueError('overlap_clips goes with overlap = "yes", and only with it')
        return self


class Retired(Strict):
    """Maps that an entry no longer has: when and why they went, and what they were.

    `measure` is the first one of the protocol; `score` and `maps_sha256` are null where they were
    not known. ``submit`` and ``leaderboard withdraw`` write it; nobody else does.
    """

    date: date
    reason: Line
    measure: Line | None = None
    score: float | None = None
    maps_sha256: Digest | None = None


class SubmissionCard(Strict):
    """Who a model is. What a submitter writes, and what a page shows of any entry.

    Attributes
    ----------
    slug
        Name of the submission's folder, unique within a protocol.
    paper, paper_address, code_address
        Reference in words, and where to read it; None where there is none.
    modality
        What the maps depend on. An ``oracle`` sees the truth.
    reimplementation
        Where it departs from the paper; None where these are the authors' own weights and code.
    measured_by
        Who made the maps; submitters write ``submitter`` or nothing.
    licence
        Licence under which the maps are given.
    baseline
        The baseline of this project that it is; never in a submitter's own card.
    claims
        What it is said to score; compared with what the maps score.
    history
        What was replaced, the oldest first.
    withdrawn
        The maps that were withdrawn; such an entry has none any more.
    """

    slug: Slug
    name: Name
    authors: Annotated[tuple[Person, ...], Field(min_length=1, max_length=50)]
    summary: Paragraph
    paper: Line | None = None
    paper_address: Url | None = None
    code_address: Url | None = None
    modality: Literal["audio-visual", "vision-only", "trivial", "oracle"]
    pretraining: SubmittedPretraining
    training: TrainingData
    preprocessing: Paragraph
    reimplementation: Paragraph | None = None
    measured_by: Literal["this project", "submitter"] = "submitter"
    licence: Line
    baseline: Slug | None = None
    claims: Claims = Field(default_factory=dict)
    history: Annotated[tuple[Retired, ...], Field(max_length=200)] = ()
    withdrawn: Retired | None = None


class BaselineCard(Strict):
    """The card of an entry of this project: the baseline's own card says the rest.

    `alpha` is the weight of the audio-visual map where it is mixed with an object prior; `seed` is
    that of a trivial baseline whose maps are not stored but made again.
    """

    baseline: Slug
    alpha: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    claims: Claims = Field(default_factory=dict)
    withdrawn: Retired | None = None

    @property
    def slug(self) -> str:
        """Name of the submission's folder."""
        return self.baseline if self.alpha is None else f"{self.baseline}-ogl"


AnyCard = SubmissionCard | BaselineCard


def read_card(path: Path) -> AnyCard:
    """Read a ``card.toml``.

    Raises
    ------
    LeaderboardError
        If it is missing, a link, too large, not TOML, or does not follow the schema; every field
        is named.
    """
    raw = bounded_bytes(path, MAX_CARD_BYTES)
    model: type[AnyCard] = SubmissionCard
    if re.search(rb"^baseline\s*=", raw, re.MULTILINE):
        model = BaselineCard
    return parse_toml(raw, model, path, error=LeaderboardError, remedy=_REMEDY)


def untouched_fields(card: SubmissionCard) -> list[str]:
    """Fields of a card whose text is still that of the template, in its order."""
    template = tomllib.loads(TEMPLATE)
    stated = card.model_dump(mode="json")
    return [
        f"{prefix}{key}"
        for table, own, prefix in (
            (template, stated, ""),
            *((template[name], stated[name], f"{name}.") for name in ("pretraining", "training")),
        )
        for key, value in table.items()
        if not isinstance(value, dict)
        and key not in _CHOICES
        and (any(part in own[key] for part in value) if key == "authors" else own[key] == value)
    ]


def with_claims(text: str, claims: dict[str, float]) -> str:
    """The text of a card with its claims after everything else.

    Examples
    --------
    >>> print(with_claims('baseline = "full"', {"AUC": 0.5}), end="")
    baseline = "full"
    <BLANKLINE>
    [claims]
    "AUC" = 0.5
    """
    lines = [f'"{measure}" = {float(value)!r}' for measure, value in claims.items()]
    return "\n".join([text.rstrip("\n"), "", "[claims]", *lines, ""]) if lines else text


def with_retired(text: str, retired: Sequence[Retired], table: str = "[[history]]") -> str:
    """The text of a card with what was replaced, or under ``[withdrawn]``, after everything else.

    Examples
    --------
    >>> old = Retired(date=date(2026, 11, 30), reason="A mistake", score=0.5)
    >>> print(with_retired('name = "Mine"', [old]), end="")
    name = "Mine"
    <BLANKLINE>
    [[history]]
    date = "2026-11-30"
    reason = "A mistake"
    score = 0.5
    """
    for each in retired:
        facts = each.model_dump(mode="json", exclude_none=True).items()
        lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in facts]
        text = "\n".join([text.rstrip("\n"), "", table, *lines, ""])
    return text


def is_slug(text: str) -> bool:
    """Whether a text may be the name of a submission's folder."""
    try:
        TypeAdapter(Slug).validate_python(text, strict=True)
    except ValueError:
        return False
    return True


def bounded_bytes(path: Path, limit: int) -> bytes:
    """Content of a plain file of at most `limit` bytes.

    Raises
    ------
    LeaderboardError
        If there is none, it is a link or not a plain file, or it is larger.
    """
    if path.is_symlink():
        raise LeaderboardError("this is a link, not a plain file", code="E_FILE_KIND", where=path)
    return read_bytes(path, error=LeaderboardError, limit=limit)


TEMPLATE = '''# A card for the leaderboard. Lines that start with # explain; every other is needed
# unless it says otherwise. Texts are plain: no markup, no control characters.

# Name of the submission's folder: lowercase letters, digits and single hyphens; unique within a
# protocol.
slug = "your-model"
# Name on the leaderboard: at most 80 characters, ASCII.
name = "Your model"
authors = ["First Author", "Second Author"]
# What it does, in a few sentences.
summary = """
Two networks project images and sounds into one space; the map is the cosine of each location with
the sound."""

# Reference in words, and addresses that start with https://. Leave out what does not exist.
paper = "First Author and Second Author, A title, A conference 2026"
paper_address = "https://example.org/paper"
code_address = "https://example.org/code"

# What the maps depend on: "audio-visual", "vision-only" (the same whatever is heard), "trivial"
# (neither looks nor listens) or "oracle" (sees the truth).
modality = "audio-visual"
# What happens to images and sounds before the network sees them.
preprocessing = """
Such as: whole image resized to 224x224; the centre 3 s at 16 kHz as a log-power spectrogram."""
# Where it departs from the paper. Leave out where these are the authors' own weights and code.
reimplementation = "Trained again by us, with batches of 64 in place of 128."
# Licence under which you give the maps.
licence = "such as CC-BY-4.0"

# What it started from, and the labels that any part of it has seen; "none" where nothing.
[pretraining]
image = "such as ImageNet (ResNet-18)"
audio = "none"
labels = "such as ImageNet's classes"

[training]
data = "such as 144k pairs of VGG-Sound, no annotation"
# Whether clips of the test set are among the training data: "none", "unknown", or "yes" with how
# many; 'ssl-bench data audit' counts them.
overlap = "unknown"
# overlap_clips = 3709
# Optional: SHA-256 of the training list.
# list_sha256 = "..."
'''
"""A card to fill in, with every field explained."""
