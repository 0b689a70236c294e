"""``ssl-bench nearest``: shares, a picture, and a document."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import Call


def test_the_command_prints_shares_and_a_document(call: Call, tmp_path: Path) -> None:
    on = ("--protocol", "interactive", "--out", tmp_path / "n.png", "--queries", 1)
    done = call("nearest", "--model", "icl", *on, "--json")
    document = json.loads(done.out)
    assert [hit["k"] for hit in document["hits"]] == [1, 5, 10]
    assert call("nearest", *on).code == 2
    assert call("nearest", "--model", "oracle", *on).code == 2
    deaf = call("nearest", "--model", "gradcam", *on)
    assert deaf.code == 2
    assert "E_NEAREST_EMBEDDINGS" in deaf.err
