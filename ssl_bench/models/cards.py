"""Who a baseline is: its ``card.toml``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ssl_bench.schemas import Document

Text = Annotated[str, Field(min_length=1)]


class Pretraining(Document):
    """What was learned before, and outside of, audio-visual training.

    Attributes
    ----------
    image, audio
        Source of the weights that each trunk starts from; ``none`` for random ones.
    labels
        The labels, by people or machines, that any part of the model has seen.
    """

    image: Text
    audio: Text
    labels: Text


class PublishedReference(Document):
    """Rows of ``published.csv`` that belong to this baseline, by columns of the same names."""

    paper: Text
    method: Text
    variant: str = ""


class Card(Document):
    """Content of a ``card.toml``.

    Attributes
    ----------
    name
        Name of the baseline: its folder, and its name on the command line.
    title
        Name in text.
    modality
        What the maps depend on.
    summary
        What it does, in a few sentences.
    paper, code
        Reference, and address of the authors' code; or ``none``.
    licence
        Licence of what ships here, and of what the user brings.
    training_data, weights, preprocessing
        What it was trained on, where the weights come from, and what happens to images and sounds;
        each by variant.
    pretraining
        What it started from.
    deviations
        Where this implementation departs from the paper or the authors' code, and what it assumes.
        An assumption that fills a gap of the paper may bear a label, ``[A-1]`` and so on, that no
        other on this card has.
    measured
        What this project measured, with remarks.
    published
        Its published figures; none where no paper of that table reports it.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    title: Text
    modality: Literal["audio-visual", "vision-only", "trivial"]
    summary: Text
    paper: Text
    code: Text
    licence: Text
    training_data: Text
    pretraining: Pretraining
    weights: Text
    preprocessing: Text
    deviations: tuple[Text, ...]
    measured: Annotated[tuple[Text, ...], Field(min_length=1)]
    published: tuple[PublishedReference, ...] = ()
