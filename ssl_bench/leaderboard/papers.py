"""Papers that printed figures and cards of baselines cite: ``papers.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Self

from pydantic import Field, model_validator

from ssl_bench.files import content_folder
from ssl_bench.schemas import Document

PAPERS = "papers.toml"
"""Name of the file that ships."""

_Text = Annotated[str, Field(min_length=1)]

# How an entry of a bibliography names a paper of a venue; all others are of conferences.
_KINDS = {"arXiv": ("misc", "howpublished"), "TPAMI": ("article", "journal")}


class Paper(Document):
    """One paper, and where it can be read."""

    title: _Text
    authors: Annotated[tuple[_Text, ...], Field(min_length=1)]
    venue: _Text  # Short name of the conference or journal; ``arXiv`` for a preprint
    year: Annotated[int, Field(ge=1900, le=2100)]
    # arxiv, url: Its number there; else the page of the proceedings.
    arxiv: Annotated[str, Field(pattern=r"^\d{4}\.\d{4,5}$")] | None = None
    url: Annotated[str, Field(pattern=r"^https://\S+$")] | None = None
    doi: Annotated[str, Field(pattern=r"^10\.\S+$")] | None = None

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        if (self.arxiv is None) == (self.url is None):
            raise ValueError("a paper has its number on arXiv, or else an address")
        return self

    @property
    def address(self) -> str:
        """Where it can be read by everybody."""
        return self.url or f"https://arxiv.org/abs/{self.arxiv}"

    @property
    def label(self) -> str:
        """Authors and year, as papers cite each other.

        Examples
        --------
        >>> known_papers()["mo2022"].label, known_papers()["lin2021"].label
        ('Mo and Morgado 2022', 'Lin et al. 2021')
        """
        names = [author.rpartition(" ")[2] for author in self.authors]
        some = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
        return f"{some} {self.year}"

    def bibtex(self, key: str) -> str:
        """An entry of a bibliography."""
        kind, place = _KINDS.get(self.venue, ("inproceedings", "booktitle"))
        fields = {
            "title": f"{{{self.title}}}",
            "author": " and ".join(self.authors),
            place: self.venue,
            "year": str(self.year),
            **({"eprint": self.arxiv, "archiveprefix": "arXiv"} if self.arxiv else {}),
            **({"url": self.url} if self.url else {}),
            **({} if self.doi is None else {"doi": self.doi}),
        }
        lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
        return f"@{kind}{{{key},\n{lines}\n}}\n"


@cache
def known_papers() -> Mapping[str, Paper]:
    """The papers that ship, by key."""
    text = (content_folder("leaderboard") / PAPERS).read_text(encoding="utf-8")
    return {key: Paper.model_validate(table) for key, table in tomllib.loads(text).items()}


def key_named_in(text: str) -> str | None:
    """The key of the paper whose title a reference in words holds; None if it is not known.

    Examples
    --------
    >>> key_named_in("Mo and Morgado, Localizing Visual Sounds the Easy Way, ECCV 2022")
    'mo2022'
    """
    return next((key for key, paper in known_papers().items() if paper.title in text), None)


def paper_named_in(text: str) -> Paper | None:
    """The paper that a reference in words names; None if it is not known.

    Examples
    --------
    >>> paper_named_in("Mo and Morgado, Localizing Visual Sounds the Easy Way, ECCV 2022").year
    2022
    """
    key = key_named_in(text)
    return None if key is None else known_papers()[key]
