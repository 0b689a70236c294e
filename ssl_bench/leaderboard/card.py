"""A submission's card: what a submitter says of a model, as a TOML file."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ssl_bench.leaderboard.text import Address, Digest, Line, Paragraph, ShortLine, Slug
from ssl_bench.schemas import Strict

Modality = Literal["audio-visual", "vision-only", "trivial", "oracle"]


class SubmittedPretraining(Strict):
    """What the model had learned before audio-visual training; ``none`` where nothing.

    Attributes
    ----------
    image, audio
        Where the weights come from that each trunk starts from.
    labels
        Labels that any part of the model has seen.
    """

    image: Line
    audio: Line
    labels: Line


class TrainingData(Strict):
    """What the model was trained on.

    Attributes
    ----------
    data
        In words.
    overlap
        Whether clips of the test set are among it.
    overlap_clips
        How many; only with ``overlap = "yes"``.
    list_sha256
        Digest of the training list, for others to compare.
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


class SubmissionCard(Strict):
    """Content of a submission's ``card.toml``.

    Attributes
    ----------
    slug
        Name of the entry's files, unique within a protocol.
    name
        Name on the leaderboard.
    authors
        Whose model it is.
    summary
        What it does, in a few sentences.
    paper
        Reference in words; None where there is none.
    paper_address, code_address
        Where to read them; None where there is none.
    modality
        What the maps depend on. An ``oracle`` sees the truth.
    pretraining, training
        Where its knowledge comes from.
    preprocessing
        What happens to images and sounds.
    reimplementation
        Where it departs from the paper; None where these are the authors' own weights and code.
    measured_by
        Who made the maps: this project, or the submitter.
    licence
        Licence under which the maps are given.
    baseline
        The baseline of this project that it is; None for others.
    """

    slug: Slug
    name: ShortLine
    authors: Annotated[tuple[ShortLine, ...], Field(min_length=1, max_length=50)]
    summary: Paragraph
    paper: Line | None = None
    paper_address: Address | None = None
    code_address: Address | None = None
    modality: Modality
    pretraining: SubmittedPretraining
    training: TrainingData
    preprocessing: Paragraph
    reimplementation: Paragraph | None = None
    measured_by: Literal["this project", "submitter"]
    licence: Line
    baseline: Slug | None = None


TEMPLATE = '''# A card for the leaderboard. Lines that start with # explain; every other is needed
# unless it says otherwise. Texts are plain: no markup, no control characters.

# Name of the entry's files: small letters, digits and single hyphens; unique within a protocol.
slug = "my-model"
# Name on the leaderboard, at most 80 characters.
name = "My model"
authors = ["First Author", "Second Author"]
# What it does, in a few sentences.
summary = """
Two networks project images and sounds into one space; the map is the cosine of each location with
the sound."""

# Reference in words, and addresses that start with https://. Leave out what there is none of.
paper = "First Author and Second Author, A title, A conference 2026"
paper_address = "https://example.org/paper"
code_address = "https://example.org/code"

# What the maps depend on: "audio-visual", "vision-only" (the same whatever is heard), "trivial"
# (neither looks nor listens) or "oracle" (sees the truth).
modality = "audio-visual"
# What happens to images and sounds before the network sees them.
preprocessing = """
Whole image resized to 224x224; the centre 3 s at 16 kHz as a log-power spectrogram."""
# Where it departs from the paper. Leave out where these are the authors' own weights and code.
reimplementation = "Trained again by us, with batches of 64 in place of 128."
# "submitter"; "this project" is for baselines that ship with it.
measured_by = "submitter"
# Licence under which you give the maps.
licence = "CC-BY-4.0"

# What it started from, and the labels that any part of it has seen; "none" where nothing.
[pretraining]
image = "ImageNet (ResNet-18)"
audio = "none"
labels = "ImageNet's classes"

[training]
data = "144k pairs of VGG-Sound, no annotation"
# Whether clips of the test set are among the training data: "none", "unknown", or "yes" with how
# many; 'ssl-bench data audit' counts them.
overlap = "unknown"
# overlap_clips = 3709
# Optional: SHA-256 of the training list.
# list_sha256 = "..."
'''
"""A card to fill in, with every field explained."""
