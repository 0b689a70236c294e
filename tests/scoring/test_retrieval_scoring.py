"""From similarities or embeddings to ranks, whole results, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from refusals import refused
from standins import sample, trials_of

from ssl_bench.errors import ProtocolError
from ssl_bench.measures.values import parse_measure
from ssl_bench.predictions import PredictionsMeta, PredictionsWriter, open_predictions
from ssl_bench.protocols.protocol import load_dialect, load_protocol
from ssl_bench.scoring.results import Result
from ssl_bench.scoring.retrieval import by_image, by_sound, chance, retrieval_scores
from ssl_bench.scoring.run import ScoringOptions, score_file
from ssl_bench.testsets.base import UNLABELLED, Sample
from ssl_bench.trials.trial_set import TrialSet

MEASURES = load_protocol("retrieval").measures
COUNT = 7


def trials(**changes: Any) -> TrialSet:
    samples = [
        sample(f"s{number}", category=f"c{number % 3}", group=f"v{number // 2}")
        for number in range(COUNT)
    ]
    return trials_of(samples, "retrieval", measures=MEASURES, **changes)


def meta_of(asked: TrialSet, *, complete: bool = True) -> PredictionsMeta:
    return PredictionsMeta(
        protocol=asked.protocol.label,
        protocol_digest=asked.protocol.digest,
        test_set=asked.test_set.name,
        test_set_digest=asked.test_set.digest,
        model="mine",
        complete=complete,
    )


def written(
    path: Path, asked: TrialSet, rows: list[int], square: NDArray[Any], **meta: Any
) -> Path:
    """The similarities of some trials, in the order of `rows`."""
    with PredictionsWriter(path, meta_of(asked, **meta)) as writer:
        ids = [asked.ids[row] for row in rows]
        writer.add(ids, similarity=square[np.ix_(rows, rows)].astype(np.float32))
    return path


def square(seed: int = 0) -> NDArray[np.float64]:
    # Whole numbers, so that some tie.
    return np.random.default_rng(seed).integers(0, 5, (COUNT, COUNT)).astype(float)


def brute_force(scores: NDArray[np.float64], wanted: NDArray[np.bool_]) -> tuple[int, float]:
    order = sorted(range(len(scores)), key=lambda item: (-scores[item], wanted[item]))
    places = [place for place, item in enumerate(order, 1) if wanted[item]]
    return places[0], float(np.mean([n / place for n, place in enumerate(places, 1)]))


@pytest.mark.parametrize("direction", ["a2i", "i2a"])
def test_ranks_are_those_of_brute_force(tmp_path: Path, direction: str) -> None:
    asked = trials()
    path = written(tmp_path / "p.npz", asked, list(range(COUNT)), square())
    table = retrieval_scores(open_predictions(path), asked)
    by_query = square() if direction == "i2a" else square().T
    for row, scores in enumerate(by_query):
        own = np.arange(COUNT) == row
        alike = np.arange(COUNT) % 3 == row % 3
        assert table[f"rank_{direction}"][row] == brute_force(scores, own)[0]
        first, precision = brute_force(scores, alike)
        assert table[f"category_rank_{direction}"][row] == first
        assert table[f"average_precision_{direction}"][row] == pytest.approx(precision)


def test_map_without_a_direction_is_the_mean_of_both(tmp_path: Path) -> None:
    texts = ("mAP", "mAP(a2i)", "mAP(i2a)")
    samples = [sample(f"s{number}", category=f"c{number % 3}") for number in range(COUNT)]
    asked = trials_of(samples, "retrieval", measures=texts)
    result = score_file(written(tmp_path / "p.npz", asked, list(range(COUNT)), square()), asked)
    both, sounds, images = (result.result[text].value for text in texts)
    assert sounds is not None
    assert images is not None
    assert sounds != images
    assert both == pytest.approx((sounds + images) / 2)
    assert result.result.floors[0].measures[0].value == result.result.floors[0].measures[1].value


def test_the_order_of_the_file_does_not_matter(tmp_path: Path) -> None:
    asked = trials()
    tables = [
        retrieval_scores(
            open_predictions(written(tmp_path / f"{number}.npz", asked, rows, square())), asked
        )
        for number, rows in enumerate([list(range(COUNT)), [3, 1, 6, 0, 2, 5, 4]])
    ]
    pd.testing.assert_frame_equal(*tables)


@pytest.mark.parametrize("column_bytes", [1, 60, 10_000])
def test_sounds_are_read_in_any_number_of_parts(tmp_path: Path, column_bytes: int) -> None:
    path = written(tmp_path / "p.npz", trials(), list(range(COUNT)), square())
    found = np.zeros((COUNT, COUNT))
    for positions, block in by_sound(open_predictions(path), column_bytes):
        assert block.nbytes <= max(column_bytes, 4 * COUNT)
        found[positions] = block
    np.testing.assert_array_equal(found, square().T)


class TestEmbeddings:
    @staticmethod
    def saved(path: Path, images: NDArray[Any], sounds: NDArray[Any]) -> Path:
        with PredictionsWriter(path, meta_of(trials())) as writer:
            writer.add(trials().ids, image_embedding=images, audio_embedding=sounds)
        return path

    def test_they_are_ranked_by_their_cosine(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(1)
        images, sounds = rng.normal(size=(2, COUNT, 4))
        predictions = open_predictions(self.saved(tmp_path / "p.npz", images * 9, sounds * 0.1))
        unit = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (images, sounds)]
        for blocks, cosines in (
            (by_image(predictions), unit[0] @ unit[1].T),
            (by_sound(predictions), unit[1] @ unit[0].T),
        ):
            found = np.concatenate([block.copy() for _, block in blocks])
            np.testing.assert_allclose(found, cosines, atol=1e-6)

    def test_equal_embeddings_tie_and_rank_last(self, tmp_path: Path) -> None:
        same = np.tile(np.random.default_rng(0).normal(size=(1, 301)), (COUNT, 1))
        predictions = open_predictions(self.saved(tmp_path / "p.npz", same, same))
        table = retrieval_scores(predictions, trials())
        assert set(table["rank_a2i"]) == set(table["rank_i2a"]) == {COUNT}

    def test_an_embedding_of_length_zero_is_like_nothing(self, tmp_path: Path) -> None:
        images = np.eye(COUNT)
        images[2] = 0
        predictions = open_predictions(self.saved(tmp_path / "p.npz", images, np.eye(COUNT)))
        table = retrieval_scores(predictions, trials())
        assert table["rank_i2a"].tolist() == [1, 1, COUNT, 1, 1, 1, 1]


def test_a_missing_trial_fails_and_stays_in_the_gallery_ahead_of_all(tmp_path: Path) -> None:
    asked = trials()
    path = written(tmp_path / "p.npz", asked, [0, 1, 2, 3, 4], np.eye(COUNT))
    table = retrieval_scores(open_predictions(path), asked)
    assert table["rank_a2i"].tolist() == [3] * 5 + [7] * 2
    assert table["present"].tolist() == [True] * 5 + [False] * 2
    result = score_file(path, asked).result
    assert result["recall(a2i)@1"].value == 0
    assert result["recall(a2i)@5"].value == pytest.approx(5 / 7)
    assert result.coverage.missing == ("s5", "s6")


def test_a_partial_result_ranks_what_is_there(tmp_path: Path) -> None:
    asked = trials()
    path = written(tmp_path / "p.npz", asked, [0, 1, 2, 3, 4], np.eye(COUNT), complete=False)
    with refused("E_IDS_MISSING"):
        score_file(path, asked)
    result = score_file(path, asked, options=ScoringOptions(partial=True)).result
    assert result["recall(a2i)@1"].value == 1
    assert result.coverage.partial
    assert result.statistics["gallery"] == 5
    assert result.floors[0].measures[0].value == pytest.approx(1 / 5)


@pytest.fixture
def result(tmp_path: Path) -> Result:
    asked = trials()
    path = written(tmp_path / "p.npz", asked, list(range(COUNT)), square())
    return score_file(path, asked).result


def test_the_result_states_every_measure_with_its_chance(result: Result) -> None:
    assert [value.measure for value in result.measures] == list(MEASURES)
    (floor,) = result.floors
    assert (floor.name, result.ceiling) == ("chance", None)
    assert {each.best_without for each in result.hearing} == {"chance"}
    expected = {value.measure: value.value for value in floor.measures}
    assert expected["recall(i2a)@5"] == pytest.approx(5 / COUNT)
    assert expected["median-rank(a2i)"] == (COUNT + 1) / 2
    assert all(value.method == "none" for value in floor.measures)


def test_the_result_names_the_gallery_and_its_near_duplicates(result: Result) -> None:
    assert result.statistics["gallery"] == COUNT
    assert result.statistics["gallery_sources"] == 4
    assert result.statistics["items_with_a_distractor_of_their_source"] == 6
    assert result.statistics["resampled"] == "queries, with the gallery fixed"
    assert set(result.breakdown) == {"category"}


def test_samples_without_a_category_are_relevant_to_themselves_only(tmp_path: Path) -> None:
    samples = [sample(f"s{number}", category="unlabelled") for number in range(4)]
    asked = trials_of(samples, "retrieval", measures=MEASURES)
    path = written(tmp_path / "p.npz", asked, [0, 1, 2, 3], 4 - np.eye(4))
    table = retrieval_scores(open_predictions(path), asked)
    assert table["category_rank_a2i"].tolist() == table["rank_a2i"].tolist() == [4] * 4
    assert table["average_precision_a2i"].tolist() == [0.25] * 4
    assert table["relevant"].tolist() == [1] * 4


class TestCopies:
    """Items that show one picture, or play one sound, cannot be told apart by any model."""

    @staticmethod
    def table(samples: list[Sample], path: Path, embeddings: list[NDArray[Any]]) -> pd.DataFrame:
        asked = trials_of(samples, "retrieval", measures=MEASURES)
        with PredictionsWriter(path, meta_of(asked)) as writer:
            images, sounds = embeddings
            writer.add(asked.ids, image_embedding=images, audio_embedding=sounds)
        return retrieval_scores(open_predictions(path), asked)

    @staticmethod
    def frames() -> list[Sample]:
        """Three clips of three frames each, each clip with one sound."""
        return [
            replace(
                sample(f"clip{clip}.{frame}", group=f"clip{clip}", category=UNLABELLED),
                sound_of=f"clip{clip}.0" if frame else None,
            )
            for clip in range(3)
            for frame in range(3)
        ]

    @staticmethod
    def pictures() -> list[Sample]:
        """Four pictures with two sounds each, of eight categories."""
        return [
            sample(
                f"picture{picture}.{turn}",
                category=f"c{picture}.{turn}",
                attributes={"image": f"picture{picture}"},
            )
            for picture in range(4)
            for turn in range(2)
        ]

    def test_frames_of_one_clip_share_its_sound(self, tmp_path: Path) -> None:
        perfect = np.repeat(np.eye(3), 3, axis=0)
        table = self.table(self.frames(), tmp_path / "p.npz", [perfect, perfect])
        for direction in ("a2i", "i2a"):
            assert table[f"rank_{direction}"].tolist() == [1] * 9
            assert table[f"category_rank_{direction}"].tolist() == [1] * 9
            assert table[f"average_precision_{direction}"].tolist() == [1] * 9
        assert table["instances"].tolist() == table["relevant"].tolist() == [3] * 9

    def test_sounds_of_one_picture_share_it(self, tmp_path: Path) -> None:
        perfect = np.repeat(np.eye(4), 2, axis=0)
        table = self.table(self.pictures(), tmp_path / "p.npz", [perfect, perfect])
        for direction in ("a2i", "i2a"):
            assert table[f"rank_{direction}"].tolist() == [1] * 8
            assert table[f"category_rank_{direction}"].tolist() == [1] * 8
        assert table["instances"].tolist() == table["relevant"].tolist() == [2] * 8

    def test_what_is_no_copy_still_ties_against_the_model(self, tmp_path: Path) -> None:
        flat = np.ones((8, 2))
        table = self.table(self.pictures(), tmp_path / "p.npz", [flat, flat])
        assert set(table["rank_a2i"]) == set(table["rank_i2a"]) == {7}

    def test_chance_knows_how_many_items_are_right(self, tmp_path: Path) -> None:
        perfect = np.repeat(np.eye(4), 2, axis=0)
        table = self.table(self.pictures(), tmp_path / "p.npz", [perfect, perfect])
        measures = [parse_measure("recall(a2i)@1"), parse_measure("median-rank(a2i)")]
        recall, median = (each.value for each in chance(table, measures).measures)
        assert recall == pytest.approx(2 / 8)
        # 1 + others ahead of two of eight: 13 of 28 orders have 2 at most, 18 have 3 at most.
        assert median == 3


def test_maps_are_no_answer(tmp_path: Path) -> None:
    asked = trials()
    with PredictionsWriter(tmp_path / "p.npz", meta_of(asked)) as writer:
        writer.add(asked.ids, np.zeros((COUNT, 2, 2), np.float32))
    with refused("E_MEMBERS"):
        score_file(tmp_path / "p.npz", asked)


def test_a_ranking_is_no_answer_where_maps_are_asked_for(tmp_path: Path) -> None:
    asked = trials_of([sample("s0"), sample("s1")])
    with PredictionsWriter(tmp_path / "p.npz", meta_of(asked)) as writer:
        writer.add(asked.ids, similarity=np.eye(2, dtype=np.float32))
    with refused("E_MEMBERS"):
        score_file(tmp_path / "p.npz", asked)


def test_dialects_have_nothing_to_say() -> None:
    with refused("E_DIALECT_MAPS", kind=ProtocolError):
        trials().protocol.under(load_dialect("ezvsl"))
