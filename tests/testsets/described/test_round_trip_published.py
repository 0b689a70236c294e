"""Published test sets, exported and read back as one's own: the same truth and the same scores."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_sets import COCO, describe, opened

from ssl_bench.interchange.coco import export_coco
from ssl_bench.measures.values import parse_measure
from ssl_bench.protocols.protocol import ControlsTable, load_protocol
from ssl_bench.scoring.references import Controls
from ssl_bench.testsets import open_test_set
from ssl_bench.trials.compositions import open_trials

MEASURES = [parse_measure(text) for text in ("cIoU@0.5", "AUC", "pointing")]


CONTROLS = ControlsTable(floors=("center",), ceiling=False, vision_only=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "protocol"),
    [
        ("vggss", "concat"),
        ("is3", "interactive"),
        ("vpo-ms", "vpo-ms"),
        ("avsbench-ms3", "avsbench-ms3"),
    ],
)
def test_it_is_the_same_test_set(
    published_data: Path, tmp_path: Path, name: str, protocol: str
) -> None:
    published = open_test_set(name, data=published_data)
    folder = describe(tmp_path, COCO, {})
    export_coco(published, folder / "instances.json")
    own = opened(folder)
    assert own.digest == published.digest
    tables = []
    for place, data in (("mine", tmp_path), (name, published_data)):
        asked = load_protocol(f"{protocol}@{place}").model_copy(update={"controls": CONTROLS})
        trials = open_trials(asked, data)
        scores = Controls(trials, MEASURES).floors["center"]
        tables.append((trials.full_digest, scores.to_dict("list")))
    assert tables[0] == tables[1]
