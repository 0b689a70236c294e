"""The table library as a plain script."""

from __future__ import annotations

import pytest

from ssl_bench.errors import LeaderboardError
from ssl_bench.site.vendor import GLOBAL_NAME, plain_script, table_files


def test_the_installed_bundle_becomes_a_plain_script() -> None:
    (script,) = table_files().values()
    assert script.count(f"window.{GLOBAL_NAME}=") == 1
    assert "export{" not in script


@pytest.mark.parametrize(
    "module",
    ["var a=1;", "var a=1;export{a as b};", "export{a as default};export{b as default};"],
)
def test_another_form_is_refused(module: str) -> None:
    with pytest.raises(LeaderboardError, match="another form"):
        plain_script(module)
