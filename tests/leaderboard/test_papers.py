"""Papers: every one that is cited is known, with an address that everybody can read."""

from __future__ import annotations

import pytest

from ssl_bench.leaderboard.papers import known_papers, paper_named_in
from ssl_bench.leaderboard.published import read_published
from ssl_bench.models.registry import list_baselines, load_baseline


def test_every_printed_figure_has_its_paper() -> None:
    assert {figure.paper for figure in read_published()} <= known_papers().keys()


@pytest.mark.parametrize("name", list_baselines())
def test_the_paper_of_a_baseline_is_found_by_its_title(name: str) -> None:
    card = load_baseline(name).card
    paper = paper_named_in(card.paper)
    assert (paper is None) == (card.paper == "none")
    if paper is not None:
        assert str(paper.year) in card.paper
        assert paper.address == (paper.url or f"https://arxiv.org/abs/{paper.arxiv}")
        assert paper.address.startswith("https://")


def test_a_paper_becomes_an_entry_of_a_bibliography() -> None:
    text = known_papers()["mo2022"].bibtex("mo2022")
    assert text.startswith("@inproceedings{mo2022,\n")
    assert "  author = {Shentong Mo and Pedro Morgado},\n" in text
    assert "  doi = {10.1007/978-3-031-19836-6_13}\n}" in text
    assert known_papers()["lin2021"].bibtex("lin2021").startswith("@misc{")
    journal = known_papers()["senocak2025"].bibtex("senocak2025")
    assert journal.startswith("@article{")
    assert "  journal = {TPAMI}," in journal
    elsewhere = known_papers()["senocak2022less"].bibtex("x")
    assert "  url = {https://" in elsewhere
    assert "eprint" not in elsewhere
