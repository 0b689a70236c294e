"""A submission's card: what a submitter says of a model, as a TOML file."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ssl_bench.leaderboard.text import Address, Digest, Line, Paragraph, Slug, Table

Modality = Literal["audio-visual", "vision-only", "trivial", "oracle"]


class SubmittedPretraining(Table):
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


class TrainingData(Table):
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


class SubmissionCard(Table):
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
    name: Annotated[Line, Field(max_length=80)]
    authors: Annotated[
        tuple[Annotated[Line, Field(max_length=100)], ...], Field(min_length=1, max_length=50)
    ]
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
