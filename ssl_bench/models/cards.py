"""Who a baseline is: its ``card.toml``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ssl_bench.schemas import Document

Text = Annotated[str, Field(min_length=1)]


class Pretraining(Document):
    """What was learned before, and outside of, audio-visual training."""

    # image, audio: Source of the weights that each trunk starts from; ``none`` for random ones.
    image: Text
    audio: Text
    labels: Text  # The labels, by people or machines, that any part of the model has seen


class PublishedReference(Document):
    """Rows of ``published.csv`` that belong to this baseline, by columns of the same names."""

    paper: Text
    method: Text
    variant: str = ""


class Card(Document):
    """Content of a ``card.toml``."""

    # Name of the baseline: its folder, and its name on the command line.
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    title: Text  # Name in text
    modality: Literal["audio-visual", "vision-only", "trivial"]  # What the maps depend on
    summary: Text  # What it does, in a few sentences
    # paper, code: Reference, and address of the authors' code; or ``none``.
    paper: Text
    code: Text
    licence: Text  # Licence of what ships here, and of what the user brings
    # training_data, weights, preprocessing: What it was trained on, where the weights come from,
    # and what happens to images and sounds; each by variant.
    training_data: Text
    pretraining: Pretraining  # What it started from
    weights: Text
    preprocessing: Text
    # Where this implementation departs from the paper or the authors' code, and what it assumes.
    # An assumption that fills a gap of the paper may have a label, ``[A-1]`` and so on, that no
    # other on this card has.
    deviations: tuple[Text, ...]
    # What this project measured, with remarks.
    measured: Annotated[tuple[Text, ...], Field(min_length=1)]
    # Its published figures; none where no paper of that table reports it.
    published: tuple[PublishedReference, ...] = ()
