from __future__ import annotations

import pytest
from pydantic import ValidationError

from ssl_bench.predictions import PredictionsMeta
from ssl_bench.predictions.format import is_valid_id


def test_metadata_survive_the_way_to_bytes_and_back(meta: PredictionsMeta) -> None:
    full = meta.model_copy(update={"provenance": {"preset": "original", "seed": 3, "λ": [0.4]}})
    assert PredictionsMeta.model_validate_json(full.to_bytes()) == full


def test_bytes_of_metadata_do_not_depend_on_the_order_of_facts(meta: PredictionsMeta) -> None:
    one = meta.model_copy(update={"provenance": {"a": 1, "b": 2}})
    other = meta.model_copy(update={"provenance": {"b": 2, "a": 1}})
    assert one.to_bytes() == other.to_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"format": "ssl-bench-predictions/2"},
        {"protocol": ""},
        {"protocol": "x" * 201},
        {"model": "a\x1b[2Jb"},
        {"protocol_digest": "not hexadecimal"},
        {"weights_digest": ""},
        {"complete": "yes"},
        {"licence": "extra"},
    ],
)
def test_metadata_refuse_what_the_format_does_not_have(
    meta: PredictionsMeta, change: dict[str, object]
) -> None:
    with pytest.raises(ValidationError):
        PredictionsMeta.model_validate(meta.model_dump() | change)


@pytest.mark.parametrize("name", ["", "a\nb", "a\x00b", "\x1b[0m", "a\u202eb", "\ud800", "x" * 201])
def test_ids_are_printable_and_not_too_long(name: str) -> None:
    assert not is_valid_id(name)


@pytest.mark.parametrize("name", ["t0", "-x_Zqa 30", "vidéo", "concat/a+b#2", "x" * 200])
def test_ids_may_be_any_ordinary_text(name: str) -> None:
    assert is_valid_id(name)
