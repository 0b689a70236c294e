"""On what a number was computed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

from ssl_bench import environment as module
from ssl_bench.environment import environment, package_version


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Nothing found before is kept, nor anything found here for later."""
    for found in (module._version, module._commit):
        found.cache_clear()
    yield
    for found in (module._version, module._commit):
        found.cache_clear()


def test_it_is_json_and_names_what_matters() -> None:
    facts = json.loads(json.dumps(environment()))
    assert set(facts) == {"ssl_bench", "commit", "python", "machine", "system", "libraries"}
    assert facts["libraries"]["numpy"] == version("numpy")
    assert facts["libraries"]["torch"] == version("torch")
    assert facts["ssl_bench"] == package_version() == version("ssl-bench")
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))


def test_no_library_is_imported_for_its_version() -> None:
    code = (
        "import sys; from ssl_bench.environment import environment; environment(); "
        "print([name for name in ('torch', 'cv2', 'numba', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_library_that_is_not_there_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_torch(name: str) -> str:
        if name in ("torch", "ssl-bench"):
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(module, "version", without_torch)
    facts = environment()
    assert "torch" not in facts["libraries"]
    assert "numpy" in facts["libraries"]
    assert facts["ssl_bench"] == "0+unknown"


class TestCommit:
    @pytest.fixture
    def checkout(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(module, "__file__", str(tmp_path / "ssl_bench" / "environment.py"))
        return tmp_path

    def test_a_checkout_is_asked_for_its_own_commit(
        self, checkout: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (checkout / ".git").mkdir()

        def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
            assert command[:3] == ["git", "-C", str(checkout.resolve())]
            return subprocess.CompletedProcess(command, 0, stdout="0123456789ab-dirty\n")

        monkeypatch.setattr(subprocess, "run", run)
        assert environment()["commit"] == "0123456789ab-dirty"

    def test_an_installed_package_has_none_and_asks_nobody(
        self, checkout: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def run(*_: Any, **__: Any) -> None:
            raise AssertionError("git was asked outside of a checkout")

        monkeypatch.setattr(subprocess, "run", run)
        assert environment()["commit"] is None

    @pytest.mark.parametrize(
        "error",
        [
            FileNotFoundError("git"),
            subprocess.CalledProcessError(128, "git"),
            subprocess.TimeoutExpired("git", 5),
        ],
        ids=["no git", "not a repository", "no answer"],
    )
    def test_a_commit_that_cannot_be_found_is_no_error(
        self, checkout: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        (checkout / ".git").mkdir()

        def run(*_: Any, **__: Any) -> None:
            raise error

        monkeypatch.setattr(subprocess, "run", run)
        assert environment()["commit"] is None
