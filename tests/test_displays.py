"""How objects show themselves: in one line, as a table, as a picture with a sound."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
import soundfile
from refusals import refused

import ssl_bench
from ssl_bench.displays import Picture, Shown, html_table
from ssl_bench.plots import new_figure


class Boxed(Shown):
    headline = "a < b"

    def to_frame(self) -> pd.DataFrame:
        return pd.DataFrame({"<i>name</i>": range(11)})


def test_an_object_is_one_line_and_a_table() -> None:
    assert repr(Boxed()) == str(Boxed()) == "<Boxed a < b>"
    text = Boxed()._repr_html_()
    assert "a &lt; b" in text
    assert "<i>" not in text
    assert "3 more rows" in text


def test_a_short_table_is_whole() -> None:
    assert "more" not in html_table(pd.DataFrame({"a": [1]}))


def test_a_picture_is_seen_and_heard() -> None:
    samples = np.stack([np.linspace(-1, 1, 50), np.zeros(50)], axis=1)
    text = Picture(new_figure(1, 1), samples, 8000)._repr_html_()
    kinds = re.findall(r'src="data:([^;]+);base64,([^"]+)"', text)
    assert [kind for kind, _ in kinds] == ["image/png", "audio/wav"]
    read, rate = soundfile.read(io.BytesIO(base64.b64decode(kinds[1][1])))
    assert rate == 8000
    np.testing.assert_allclose(read, samples, atol=1e-4)
    assert "audio" not in Picture(new_figure(1, 1))._repr_html_()


@pytest.mark.parametrize(
    "shown",
    [
        lambda trials: trials,
        lambda trials: trials.protocol,
        lambda trials: trials.test_set,
        lambda trials: ssl_bench.score(np.ones((1, 7, 7), np.float32), trials).result,
    ],
    ids=["trials", "protocol", "test set", "result"],
)
def test_what_one_works_with_is_short(shown: object) -> None:
    trials = ssl_bench.open_trials("synth")[:1]
    each = shown(trials)  # type: ignore[operator]
    assert isinstance(each, Shown)
    assert len(repr(each)) < 120
    assert "\n" not in repr(each)
    assert len(each.to_frame()) > 0
    assert "<table" in each._repr_html_()


def test_a_wrong_ending_of_a_picture_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with refused("E_PICTURE_FORMAT"):
        Picture(new_figure(1, 1)).save(tmp_path / "a.txt")
