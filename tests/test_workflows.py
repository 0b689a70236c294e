"""What runs for a pull request: it has nothing to lose, executes nothing, and passes no forgery."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from boards import submit, write_card
from command_line import Call, caller

from ssl_bench.leaderboard.assess import open_bench
from ssl_bench.predictions import PredictionsMeta, save_predictions

ROOT = Path(__file__).parent.parent
WORKFLOWS = ROOT / ".github" / "workflows"
FOLDER = "leaderboard/submissions/vggss/my-model"

pytestmark = pytest.mark.skipif(not WORKFLOWS.is_dir(), reason="workflows are part of a checkout")


def workflow(name: str) -> dict[str, Any]:
    content = yaml.safe_load((WORKFLOWS / f"{name}.yml").read_text(encoding="utf-8"))
    # YAML 1.1 reads the key "on" as a truth value.
    content["on"] = content.pop(True)
    return content


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in workflow(name)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("name", sorted(path.stem for path in WORKFLOWS.glob("*.yml")))
def test_a_workflow_may_read_and_has_nothing_to_lose(name: str) -> None:
    text = (WORKFLOWS / f"{name}.yml").read_text(encoding="utf-8")
    content = workflow(name)
    assert content["permissions"] == {"contents": "read"}
    for job in content["jobs"].values():
        # Whoever may write runs no command, and nothing of a request.
        if "permissions" in job:
            assert "pull_request" not in content["on"]
            assert not any("run" in step for step in job["steps"])
    assert "secrets." not in text
    assert "pull_request_target" not in text
    checkouts = [step for step in steps(name) if "checkout" in step.get("uses", "")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("name", sorted(path.stem for path in WORKFLOWS.glob("*.yml")))
def test_no_command_holds_what_a_request_says(name: str) -> None:
    assert all("${{" not in step.get("run", "") for step in steps(name))


def test_entries_are_checked_by_the_code_of_the_base() -> None:
    content = workflow("leaderboard")
    assert list(content["on"]) == ["pull_request"]
    own = content["jobs"]["check"]
    assert own["if"] == "needs.scope.outputs.alone == 'true'"
    base, request = (step["with"] for step in own["steps"] if "checkout" in step.get("uses", ""))
    assert (base["path"], base["ref"]) == ("base", "${{ github.event.pull_request.base.sha }}")
    assert (request["path"], request["sparse-checkout"]) == ("request", "leaderboard")
    assert not any("request" in step["run"] for step in own["steps"][:-1] if "run" in step)


def test_everything_is_run_for_each_change_and_screenshots_are_kept() -> None:
    content = workflow("ci")
    assert {"push", "pull_request"} <= content["on"].keys()
    *_, run, keep, site = steps("ci")
    assert site["with"]["path"] == "leaderboard/site"
    assert run["run"] == ".ci/run"
    assert keep["with"]["path"] == run["env"]["SSL_BENCH_SCREENSHOTS"]
    assert keep["if"] == "always()"


def test_pages_are_published_from_main_and_previewed_for_a_request() -> None:
    own, preview = workflow("site"), workflow("preview")
    assert own["on"]["push"]["branches"] == ["main"]
    assert "deploy-pages" in own["jobs"]["publish"]["steps"][-1]["uses"]
    assert list(preview["on"]) == ["pull_request"]
    builds, keeps = steps("preview")[-2:]
    assert builds["run"].endswith(f"--out {keeps['with']['path']} --jobs 2")
    assert "upload-artifact" in keeps["uses"]


def last_command() -> list[str]:
    words = shlex.split(steps("leaderboard")[-1]["run"])
    assert words[:3] == ["ssl-bench", "leaderboard", "check"]
    assert "--strict" in words
    return words[1:]


@pytest.fixture(scope="module")
def accepted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose board has an entry on an annotation that does not ship."""
    scratch = tmp_path_factory.mktemp("accepted")
    folder = scratch / "data" / "vggss"
    folder.mkdir(parents=True)
    clips = [
        {"file": f"video{n}_{n:06d}", "class": f"class {n % 3}", "bbox": [[0.1, 0.2, 0.5, 0.9]]}
        for n in range(30)
    ]
    (folder / "vggss.json").write_text(json.dumps(clips))
    bench = open_bench("vggss", folder.parent)
    trials = bench.trials
    meta = PredictionsMeta(
        protocol=trials.protocol.label,
        protocol_digest=trials.protocol.digest,
        test_set=trials.test_set.name,
        test_set_digest=trials.test_set.digest,
        model="mine",
        complete=True,
    )
    maps = np.random.default_rng(0).random((len(trials), 7, 7))
    save_predictions(scratch / "maps.npz", trials.ids, maps, meta)
    card = write_card(scratch / "card.toml")
    submit(scratch / "checkout" / "leaderboard", bench, scratch / "maps.npz", card)
    return scratch / "checkout"


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.delenv("SSL_BENCH_DATA", raising=False)
    return caller(capsys)


def edited(name: str, old: str, new: str) -> Callable[[Path], None]:
    def edit(checkout: Path) -> None:
        path = checkout / FOLDER / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    return edit


def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def edit(checkout: Path) -> None:
        path = checkout / FOLDER / "lock.json"
        lock = json.loads(path.read_text())
        change(lock)
        path.write_text(json.dumps(lock))

    return edit


def renamed(checkout: Path) -> None:
    """The accepted entry once more, under another name."""
    copy = Path(shutil.copytree(checkout / FOLDER, (checkout / FOLDER).with_name("my-other")))
    text = (copy / "card.toml").read_text()
    text = text.replace("my-model", "my-other").replace("My model", "My other model")
    (copy / "card.toml").write_text(text)


def kept_elsewhere(checkout: Path) -> None:
    """The accepted entry, as if its maps were kept at a URL."""
    changed(lambda it: it.update(url="https://example.org/a.npz"))(checkout)
    (checkout / FOLDER / "maps.npz").unlink()


FORGERIES: dict[str, Callable[[Path], None]] = {
    "a number": changed(lambda it: it["result"]["measures"][0].update(value=0.99)),
    "an interval": changed(lambda it: it["result"]["measures"][0].update(low=0.98)),
    "a word": edited("card.toml", "Our two networks", "Our best two networks"),
    "a claim": edited("card.toml", '"AUC" = 0', '"AUC" = 1'),
    "a measure less": changed(lambda it: it["result"]["measures"].pop()),
    "no lock": lambda checkout: (checkout / FOLDER / "lock.json").unlink(),
    "kept elsewhere": kept_elsewhere,
    "an older version": changed(
        lambda it: it["result"]["protocol"].update(version=0, digest="0" * 64)
    ),
    "maps of another": renamed,
}


@pytest.mark.slow
@pytest.mark.parametrize("forgery", [None, *FORGERIES])
def test_the_last_command_passes_what_was_accepted_and_nothing_else(
    forgery: str | None, accepted: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, request = (
        Path(shutil.copytree(accepted, tmp_path / name)) for name in ("base", "request")
    )
    if forgery is not None:
        FORGERIES[forgery](request)
    monkeypatch.chdir(base)
    done = call(*last_command(), "--no-pages")
    assert done.code == (0 if forgery is None else 1), done.out + done.err
    if forgery is None:
        assert "NOT PROVEN: 1 submissions" in done.err
