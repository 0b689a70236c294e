"""Which protocols a text means."""

from __future__ import annotations

from pathlib import Path

from refusals import refused

from ssl_bench.trials.compositions import resolve_protocols


def test_all_means_what_can_be_run(tmp_path: Path) -> None:
    (tmp_path / "vggss").mkdir()
    embedded = {protocol.name for protocol in resolve_protocols("all", Path("nowhere"))}
    found = {protocol.name for protocol in resolve_protocols("all", tmp_path)}
    assert {"synth", "concat"} <= embedded
    assert found - embedded >= {"vggss", "vggss-heard"}
    assert "flickr" not in found


def test_a_suite_is_its_protocols() -> None:
    names = [protocol.name for protocol in resolve_protocols("openset")]
    assert names == ["vggss-heard", "vggss-unheard"]


def test_naming_a_protocol_twice_is_an_error() -> None:
    with refused("E_PROTOCOL_REPEATED", where="synth@synth:standard"):
        resolve_protocols("synth,concat,synth")


def test_a_protocol_may_name_its_test_set() -> None:
    labels = [each.label for each in resolve_protocols("concat@synth, type-ab@synth:type-ab")]
    assert labels == ["concat@synth:standard", "type-ab@synth:type-ab"]
