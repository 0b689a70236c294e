"""Cards: what a schema refuses, what cannot be true, and whom a name may not look like."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from boards import write_card
from refusals import refused

from ssl_bench.errors import LeaderboardError
from ssl_bench.leaderboard.card import (
    TEMPLATE,
    BaselineCard,
    SubmissionCard,
    read_card,
)
from ssl_bench.leaderboard.claims import baseline_problems, card_problems, page_card, squeezed
from ssl_bench.models.registry import list_baselines, load_baseline
from ssl_bench.scoring.results import ModelIdentity


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("a" + ".a" * 30_000 + " = 1", "E_TOML"),
        ("[a" + ".a" * 15_000 + "]", "E_TOML"),
        ("x = " + "{a = " * 9_000 + "1" + "}" * 9_000, "E_TOML"),
        (f"a = {'[' * 20_000}{']' * 20_000}", "E_TOML"),
        (f"overlap_clips = {'9' * 5_000}", "E_TOML"),
        ('slug = "a"\nslug = "b"', "E_TOML"),
        ("name = 1979-05-27", "E_SCHEMA"),
        ("name = nan", "E_SCHEMA"),
        (TEMPLATE + "#" * 2**17, "E_FILE_SIZE"),
        ('baseline = "ezvsl"\nname = "EZ-VSL"', "E_SCHEMA"),
        ('baseline = "../ezvsl"', "E_SCHEMA"),
    ],
)
def test_what_a_parser_chokes_on(content: str, code: str, tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    path.write_text(content)
    tracemalloc.start()
    with refused(code, where=path) as caught:
        read_card(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 128 * 2**20
    assert len(str(caught.value)) < 4000


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ('slug = "../../escape"', "slug"),
        ('slug = "Upper"', "slug"),
        ('slug = "my-\u212aodel"', "slug"),
        ('slug = "fresh\\n"', "slug"),
        ("slug = 3", "slug"),
        ('name = " "', "name"),
        ('name = "a\\u001b[2Jb"', "name"),
        ('name = "a\\u202eb"', "name"),
        ('name = "\u0415Z-VSL"', "name"),
        (f'name = "{"x" * 81}"', "name"),
        ('authors = "one"', "authors"),
        ("authors = []", "authors"),
        ('authors = ["a\\nb"]', "authors"),
        ('modality = "clairvoyant"', "modality"),
        ('paper_address = "javascript:alert(1)"', "paper_address"),
        ('code_address = "http://example.org"', "code_address"),
        ('code_address = "https://user@example.org/x"', "code_address"),
        ('code_address = "https://example.org:80/x"', "code_address"),
        ('code_address = "https://example.org/\\"onload"', "code_address"),
        ('code_address = "https://localhost/x"', "code_address"),
        ('unknown = "x"', "unknown"),
    ],
)
def test_one_wrong_line(line: str, field: str, tmp_path: Path) -> None:
    key = line.split(" ")[0]
    kept = [each for each in TEMPLATE.splitlines() if not each.startswith(f"{key} =")]
    path = tmp_path / "card.toml"
    path.write_text("\n".join([line, *kept]))
    with refused("E_SCHEMA", where=path) as caught:
        read_card(path)
    assert field in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_all_faults_at_once(tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    path.write_text('slug = "A"\nname = 3\n')
    with refused("E_SCHEMA") as caught:
        read_card(path)
    for field in ("slug", "name", "authors", "training"):
        assert field in str(caught.value)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link.toml").symlink_to(write_card(tmp_path / "card.toml"))
    with refused("E_FILE_KIND"):
        read_card(tmp_path / "link.toml")


def test_overlap_needs_its_count(tmp_path: Path) -> None:
    path = write_card(tmp_path / "c.toml", changes={'overlap = "unknown"': 'overlap = "yes"'})
    with refused("E_SCHEMA", where="c.toml"):
        read_card(path)


def test_people_have_letters_of_any_language(tmp_path: Path) -> None:
    path = write_card(tmp_path / "c.toml", changes={"Ada Author": "Nguy\u1ec5n \u65b9"})
    card = read_card(path)
    assert isinstance(card, SubmissionCard)
    assert list(card_problems(card, 500, embedded=True)) == []


def problems(tmp_path: Path, name: str = "My model", **changes: str) -> list[str]:
    replaced = {f'"{old}"': f'"{new}"' for old, new in changes.items()}
    card = read_card(write_card(tmp_path / "c.toml", name=name, changes=replaced))
    assert isinstance(card, SubmissionCard)
    return [each.code for each in card_problems(card, 500, embedded=False)]


@pytest.mark.parametrize(
    "name",
    [
        "EZ-VSL",
        "ez vsl",
        "EZ-VS1",
        "EZ-VSI",
        "EZ-VSL with object prior (alpha 0.5)",
        "EZ-VSL, small",
    ],
)
def test_names_that_look_like_a_baseline(name: str, tmp_path: Path) -> None:
    assert problems(tmp_path, name) == ["E_CARD_NAME"]


@pytest.mark.parametrize("name", ["EZ-VSL+", "EZ-VSL (our weights)", "EZ-VSL 2", "My model"])
def test_names_of_ones_own(name: str, tmp_path: Path) -> None:
    assert problems(tmp_path, name) == []


def test_every_baseline_is_reserved_by_name_and_title(tmp_path: Path) -> None:
    for baseline in list_baselines():
        for text in (
            baseline,
            load_baseline(baseline).card.title,
            load_baseline(baseline).card.title.upper(),
        ):
            assert "E_CARD_NAME" in problems(tmp_path, text)
    titles = [squeezed(load_baseline(name).card.title) for name in list_baselines()]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize(
    "author", ["ssl-bench", "SSL Bench", "\u0455sl-bench", "The ssl-bench team", "This project"]
)
def test_this_project_is_author_of_its_baselines_only(author: str, tmp_path: Path) -> None:
    assert problems(tmp_path, **{"Ben Author": author}) == ["E_CARD_AUTHOR"]


def test_an_oracle_would_give_an_annotation_away(tmp_path: Path) -> None:
    changes = {'modality = "audio-visual"': 'modality = "oracle"'}
    card = read_card(write_card(tmp_path / "c.toml", changes=changes))
    assert isinstance(card, SubmissionCard)
    assert [each.code for each in card_problems(card, 500, embedded=False)] == ["E_CARD_ORACLE"]
    assert list(card_problems(card, 500, embedded=True)) == []


@pytest.mark.parametrize("name", ["ezvsl", "oracle", "center"])
def test_a_page_shows_what_the_baselines_card_says(name: str) -> None:
    card = page_card(BaselineCard(baseline=name), "synth", ModelIdentity(name=name))
    assert (card.baseline, card.measured_by, card.authors) == (name, "this project", ("ssl-bench",))
    assert card.summary == load_baseline(name).card.summary.strip()


@pytest.mark.parametrize(
    ("name", "variant", "alpha", "shown"),
    [
        ("ezvsl", "synth", None, "EZ-VSL, small, synth"),
        ("ezvsl", "synth", 0.4, "EZ-VSL with object prior (alpha 0.4), small, synth"),
        ("ezvsl", "full", None, "EZ-VSL"),
        ("gradcam", "imagenet-lite", None, "Grad-CAM saliency, imagenet-lite"),
        ("center", None, None, "Image centre"),
    ],
)
def test_a_small_re_implementation_never_has_a_papers_name_alone(
    name: str, variant: str | None, alpha: float | None, shown: str
) -> None:
    model = ModelIdentity(name=name, variant=variant, alpha=alpha)
    assert page_card(BaselineCard(baseline=name, alpha=alpha), "synth", model).name == shown


def test_maps_of_a_baseline_state_its_name_alpha_and_weights() -> None:
    card = BaselineCard(baseline="ogl-l1")
    forged = ModelIdentity(name="ogl-l1", variant="synth", weights_sha256="0" * 64)
    assert [each.code for each in baseline_problems(card, forged)] == ["E_BASELINE_WEIGHTS"]
    other = ModelIdentity(name="mine", alpha=0.5)
    assert [each.code for each in baseline_problems(card, other)] == ["E_BASELINE"]


def test_an_unreadable_card_is_our_error(tmp_path: Path) -> None:
    with pytest.raises(LeaderboardError):
        read_card(tmp_path / "absent.toml")
