"""A user's own localizer that raises, or returns what it should not, is named in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_clips import LevelMatcher, make_vggss
from refusals import refused

from ssl_bench.analysis.evaluation import evaluate
from ssl_bench.errors import ModelError
from ssl_bench.models.contract import AnnotationLocalizer
from ssl_bench.models.registry import load_localizer

COUNT = 12
FLOATS = np.zeros((COUNT, 4, 4), np.float32)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    make_vggss(folder, COUNT)
    return folder


def fails(*_given: Any) -> Any:
    return {}["gone"]


class Ragged(LevelMatcher):
    """Features of sounds that are as long as the batch."""

    def encode_audio(self, sounds: Any) -> Any:
        return {"sound": np.zeros((len(sounds), len(sounds)))}


class Growing(LevelMatcher):
    """Maps as large as the batch."""

    def localize(self, image_features: Any, audio_features: Any) -> Any:
        count = len(next(iter(image_features.values())))
        return np.zeros((count, count, 4), np.float32)


@pytest.mark.parametrize(
    ("method", "returned", "code"),
    [
        ("encode_image", fails, "E_MODEL_RAISED"),
        ("encode_audio", fails, "E_MODEL_RAISED"),
        ("localize", fails, "E_MODEL_RAISED"),
        ("encode_image", lambda _: None, "E_MODEL_FEATURES"),
        ("encode_image", lambda _: {"x": 1.0}, "E_MODEL_FEATURES"),
        ("encode_image", lambda _: {"x": [[1], [1, 2]]}, "E_MODEL_RAISED"),
        ("encode_audio", lambda given: {"x": np.zeros(len(given) + 1)}, "E_MODEL_FEATURES"),
        ("localize", lambda *_: None, "E_MODEL_MAPS"),
        ("localize", lambda *_: FLOATS[:-1], "E_MODEL_MAPS"),
        ("localize", lambda *_: FLOATS[:, 0], "E_MODEL_MAPS"),
        ("localize", lambda *_: FLOATS.astype(int), "E_MODEL_MAPS"),
        ("localize", lambda *_: FLOATS.astype(complex), "E_MODEL_MAPS"),
        ("localize", lambda *_: [FLOATS[0, :2], FLOATS[0]], "E_MODEL_MAPS"),
        ("localize", lambda *_: FLOATS + np.nan, "E_NOT_FINITE"),
    ],
)
def test_what_a_method_does_wrong_is_refused(
    data: Path, tmp_path: Path, method: str, returned: Any, code: str
) -> None:
    model = LevelMatcher()
    setattr(model, method, returned)
    with refused(code):
        evaluate(model, "vggss", data=data, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("model", "code"), [(Ragged(), "E_MODEL_FEATURES"), (Growing(), "E_ARRAY_SHAPE")]
)
def test_forms_that_change_with_the_batch_are_refused(
    data: Path, tmp_path: Path, model: LevelMatcher, code: str
) -> None:
    with refused(code):
        evaluate(model, "concat@vggss", data=data, folder=tmp_path / "run", batch_size=5)


def test_a_trivial_map_that_raises_is_refused(tmp_path: Path) -> None:
    class Broken(AnnotationLocalizer):
        name = "broken"

        def map_for(self, image_key: str, truth: Any) -> Any:
            return fails()

    with refused("E_MODEL_RAISED", where="broken.map_for", kind=ModelError):
        evaluate(Broken(), "synth", folder=tmp_path / "run")


def test_a_class_that_cannot_be_loaded_or_made_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(
        "import ssl_bench\n"
        "class Own(ssl_bench.AnnotationLocalizer):\n"
        "    name = 'own'\n"
        "    def __init__(self):\n"
        "        open('no such file')\n"
        "    def map_for(self, image_key, truth):\n"
        "        return None\n"
    )
    with refused("E_MODEL_RAISED", where="own.py, line 5", kind=ModelError):
        load_localizer(f"{path}:Own")
    path.write_text("1 / 0\n")
    with refused("E_MODEL_FILE", where="own.py", kind=ModelError):
        load_localizer(f"{path}:Own")
