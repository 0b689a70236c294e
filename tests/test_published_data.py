"""Published annotations are found however they lie, and what is missing is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from published_data import NEEDED, find, lay_out, why_left_out

LIST = "vggss/vggss_144k_train.txt.gz"
AUDIT = "cli/test_audit_published.py"


@pytest.mark.parametrize("place", [LIST, Path(LIST).name, f"splits/{Path(LIST).name}"])
def test_a_file_may_lie_in_its_folder_or_beside_all_others(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, made = tmp_path / "given", tmp_path / "made"
    (given / place).parent.mkdir(parents=True)
    (given / place).write_text("ids")
    monkeypatch.setenv("SSL_BENCH_DATA", str(given))
    lay_out(made)
    assert find(LIST) == given / place
    assert (made / LIST).read_text() == "ids"
    assert why_left_out(AUDIT) == "SSL_BENCH_DATA lacks vggss/vggss.json"


def test_without_a_folder_the_reason_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_BENCH_DATA", raising=False)
    assert all("SSL_BENCH_DATA is not set" in str(why_left_out(test)) for test in NEEDED)
    assert why_left_out("test_published_data.py") is None


def test_every_module_that_needs_them_is_there() -> None:
    assert all((Path(__file__).parent / test).is_file() for test in NEEDED)
