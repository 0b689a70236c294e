"""What ``leaderboard/README.md`` tells a submitter is what happens."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boards import meta_of
from PIL import Image

from ssl_bench.errors import PredictionsError
from ssl_bench.leaderboard.assess import Bench
from ssl_bench.leaderboard.submissions import default_board
from ssl_bench.scoring.checks import check_predictions

Arrays = dict[str, Any]


def readme() -> str:
    return (default_board() / "README.md").read_text()


def mistakes() -> dict[str, str]:
    """What the validator says, by mistake."""
    part = readme().partition("## Common mistakes")[2]
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", part, re.MULTILINE)
    return {mistake: told for mistake, told in rows if mistake != "mistake"}


@pytest.fixture
def arrays(bench: Bench) -> Arrays:
    ids = bench.trials.ids
    return {
        "trial_id": np.array(ids),
        "map": np.random.default_rng(0).random((len(ids), 4, 4), np.float32),
        "meta": meta_of(bench).model_dump(),
    }


def _incomplete(arrays: Arrays) -> None:
    arrays["meta"]["complete"] = False
    arrays.update(trial_id=arrays["trial_id"][:9], map=arrays["map"][:9])


def _named_by_files(arrays: Arrays) -> None:
    arrays["trial_id"] = np.char.add(arrays["trial_id"], ".png")


def _twice(arrays: Arrays) -> None:
    arrays["trial_id"] = np.concatenate([arrays["trial_id"][:-1], arrays["trial_id"][:1]])


def _nan(arrays: Arrays) -> None:
    arrays["map"][3, 0, 0] = np.nan


def _set(name: str, change: Callable[[Any], Any]) -> Callable[[Arrays], None]:
    def mistaken(arrays: Arrays) -> None:
        arrays[name] = change(arrays[name])

    return mistaken


def _meta(**changes: str) -> Callable[[Arrays], None]:
    return lambda arrays: arrays["meta"].update(changes)


def _renamed(arrays: Arrays) -> None:
    arrays["maps"] = arrays.pop("map")


MAKE: dict[str, Callable[[Arrays], None]] = {
    "some maps are missing, and the file does not say that there are no more": _incomplete,
    "ids are file names, not trial ids": _named_by_files,
    "a trial was written twice": _twice,
    "a map holds NaN": _nan,
    "maps have a channel axis, `(N, 1, h, w)`": _set("map", lambda maps: maps[:, None]),
    "maps are stored as float64": _set("map", lambda maps: maps.astype(np.float64)),
    "ids are a list of Python objects": _set("trial_id", lambda ids: ids.astype(object)),
    "metadata are a text, not bytes": _set("meta", lambda meta: np.array(json.dumps(meta))),
    "the array is called `maps`": _renamed,
    "the file was made for another protocol": _meta(protocol="concat@synth:standard"),
    "the protocol has changed since": _meta(protocol_digest="0" * 64),
}


def test_every_mistake_is_tried_here() -> None:
    silent = {mistake for mistake, told in mistakes().items() if told.startswith("nothing")}
    assert mistakes().keys() - silent == MAKE.keys()


@pytest.mark.parametrize("mistake", MAKE)
def test_a_mistake_is_worded_as_the_table_says(
    mistake: str, arrays: Arrays, bench: Bench, tmp_path: Path
) -> None:
    MAKE[mistake](arrays)
    if isinstance(arrays["meta"], dict):
        arrays["meta"] = np.frombuffer(json.dumps(arrays["meta"]).encode(), np.uint8)
    path = tmp_path / "maps.npz"
    np.savez_compressed(path, **arrays)
    with pytest.raises(PredictionsError) as caught:
        check_predictions(path, bench.trials)
    assert mistakes()[mistake].lower() in str(caught.value).lower()


def test_maps_in_another_order_are_not_noticed(
    arrays: Arrays, bench: Bench, tmp_path: Path
) -> None:
    arrays["map"] = arrays["map"][::-1]
    arrays["meta"] = np.frombuffer(json.dumps(arrays["meta"]).encode(), np.uint8)
    np.savez_compressed(tmp_path / "maps.npz", **arrays)
    check_predictions(tmp_path / "maps.npz", bench.trials)


@pytest.mark.parametrize("number", [0, 1])
def test_the_examples_write_a_file_that_is_right(
    number: int, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = re.findall(r"```python\n(.*?)```", readme(), re.DOTALL)
    assert len(examples) == 2
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    grey = Image.fromarray(np.arange(49, dtype=np.uint8).reshape(7, 7))
    for name in bench.trials.ids if number else ():
        grey.save(tmp_path / "pictures" / f"{name}.png")
    exec(compile(examples[number], "README.md", "exec"), {})
    assert check_predictions(tmp_path / "maps.npz", bench.trials).missing == ()
