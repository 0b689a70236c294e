"""Official weights are fetched whole and checked, or not at all."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from refusals import refused

from ssl_bench.errors import WeightsError
from ssl_bench.files import CACHE_VARIABLE, sha256_of_file
from ssl_bench.models.downloads import fetch
from ssl_bench.models.recipes import OfficialWeights
from ssl_bench.models.registry import list_baselines, load_baseline, load_localizer

CONTENT = bytes(range(256)) * 9000  # more than one piece


@pytest.fixture
def published(tmp_path: Path) -> OfficialWeights:
    source = tmp_path / "elsewhere" / "weights-1234.pth"
    source.parent.mkdir()
    source.write_bytes(CONTENT)
    return OfficialWeights(url=source.as_uri(), sha256=sha256_of_file(source)[:8])


def test_a_file_is_fetched_once(tmp_path: Path, published: OfficialWeights) -> None:
    path = fetch(published, tmp_path / "cache")
    assert path == tmp_path / "cache" / "weights-1234.pth"
    assert path.read_bytes() == CONTENT
    (tmp_path / "elsewhere" / "weights-1234.pth").unlink()
    assert fetch(published, tmp_path / "cache") == path


def test_another_digest_leaves_no_file(tmp_path: Path, published: OfficialWeights) -> None:
    other = OfficialWeights(url=published.url, sha256="00000000")
    with refused("E_WEIGHTS_DIGEST", where="weights-1234.pth", kind=WeightsError):
        fetch(other, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_damaged_file_in_the_cache_is_named(tmp_path: Path, published: OfficialWeights) -> None:
    path = fetch(published, tmp_path / "cache")
    path.write_bytes(CONTENT[:-1])
    with refused("E_WEIGHTS_DIGEST", where=path, kind=WeightsError):
        fetch(published, tmp_path / "cache")


@pytest.mark.parametrize("url", ["https://127.0.0.1:9/weights.pth", "file:///no/such/weights.pth"])
def test_an_address_that_does_not_answer_is_a_clear_error(tmp_path: Path, url: str) -> None:
    with refused("E_WEIGHTS_DOWNLOAD", where=url, kind=WeightsError):
        fetch(OfficialWeights(url=url, sha256="00000000"), tmp_path)
    assert list(tmp_path.iterdir()) == []


class _BreaksOff(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:1000])

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        del code, size


@pytest.fixture
def unreliable() -> Iterator[OfficialWeights]:
    with http.server.HTTPServer(("127.0.0.1", 0), _BreaksOff) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/weights.pth"
        yield OfficialWeights.model_construct(url=address, sha256="00000000")
        server.shutdown()


def test_a_transfer_that_breaks_off_leaves_no_file(
    tmp_path: Path, unreliable: OfficialWeights
) -> None:
    with pytest.raises(WeightsError) as caught:
        fetch(unreliable, tmp_path)
    assert caught.value.code in ("E_WEIGHTS_DOWNLOAD", "E_WEIGHTS_DIGEST")
    assert list(tmp_path.iterdir()) == []


def test_torchvisions_files_carry_their_digest_in_their_names() -> None:
    published = [
        variant.official_weights
        for name in list_baselines()
        for variant in load_baseline(name).recipe.variants.values()
        if variant.official_weights is not None
    ]
    assert published
    for weights in published:
        assert weights.url.startswith("https://download.pytorch.org/models/")
        assert weights.file.endswith(f"-{weights.sha256}.pth")


def test_the_word_download_stands_for_the_official_file(
    tmp_path: Path, imagenet_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is in the cache already, under its name; only its digest is another one."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    official = load_baseline("ogl-l1").variant("full").official_weights
    assert official is not None
    (tmp_path / official.file).write_bytes(imagenet_checkpoint.read_bytes())
    with refused("E_WEIGHTS_DIGEST", where=official.sha256, kind=WeightsError):
        load_localizer("ogl-l1", variant="full", weights=Path("download"))
    monkeypatch.setattr("ssl_bench.models.downloads._check", lambda *_: None)
    model = load_localizer("ogl-l1", variant="full", weights=Path("download"))
    assert model.name == "ogl-l1"


def test_a_baseline_without_a_published_file_says_so() -> None:
    with refused("E_WEIGHTS_ADDRESS", where="ezvsl", kind=WeightsError):
        load_localizer("ezvsl", variant="full", weights=Path("download"))
