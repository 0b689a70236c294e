"""The four cells that a paper prints for a random map, on the boxes of the reader's own copy."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pytest

from ssl_bench.protocols.protocol import ControlsTable, load_dialect, load_protocol
from ssl_bench.scoring.aggregate import summarise
from ssl_bench.scoring.checks import measures_of
from ssl_bench.scoring.references import Controls
from ssl_bench.scoring.run import under_dialect
from ssl_bench.trials.compositions import open_trials


@pytest.fixture(scope="module")
def flickr(published_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the 249 annotated test clips, one file of boxes each."""
    boxes: dict[str, list[str]] = {}
    table = published_data / "flickr/flickr_boxes.csv.gz"
    with gzip.open(table, "rt", newline="") as lines:
        for row in csv.DictReader(lines):
            corners = "".join(f"<v>{row[side]}</v>" for side in ("xmin", "ymin", "xmax", "ymax"))
            if row["test"] == "1":
                boxes.setdefault(row["id"], []).append(f"<bbox><who/>{corners}</bbox>")
    root = tmp_path_factory.mktemp("data")
    folder = root / "flickr/annotations"
    folder.mkdir(parents=True)
    for clip, drawn in boxes.items():
        (folder / f"{clip}.xml").write_text(f"<clip>{''.join(drawn)}</clip>")
    (root / "flickr/flickr_test.txt").write_text("\n".join(boxes) + "\n")
    return root


@pytest.mark.slow
@pytest.mark.parametrize(
    ("protocol", "mean", "area"),
    [("flickr", 34.1, 32.3), ("concat@flickr", 20.0, 18.5)],
)
def test_random_rows(flickr: Path, protocol: str, mean: float, area: float) -> None:
    # Oya et al. 2020, tables 1 and 5; the paper's pairs of concat are not known.
    asked = load_protocol(protocol).under(load_dialect("oya"))
    asked = asked.model_copy(update={"controls": ControlsTable(floors=("random-pixel",))})
    trials = under_dialect(open_trials(protocol, flickr), asked)
    measures = measures_of(asked)
    table = Controls(trials, measures).floors["random-pixel"]
    found = {each.measure: each.value for each in summarise(table, measures, seed=0)}
    assert 100 * (found["mean-cIoU"] or 0) == pytest.approx(mean, abs=0.3)
    assert 100 * (found["tau-AUC"] or 0) == pytest.approx(area, abs=0.75)
