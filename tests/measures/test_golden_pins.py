"""Every number of the golden vectors is compared by some test."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from pins import PINNED, Recorded, paths, pins

TESTS = Path(__file__).parents[1]
# The sets that this project ships: others of their format may hold more.
SHIPPED = TESTS / "golden"
# What a file says of itself, and how close to a threshold `near` counts.
DESCRIPTIONS = (
    *("format", "name", "split", "what", "n", "channels", "contaminated", "predictors.*"),
    *("reference.*", "environment.*", "arrays.*", "samples.*", "*near*", "*stable"),
)
# What the numbers are made from.
GIVEN = {
    "inputs": ("maps_*", "res", "row", "obj_maps", "*_boxes", "*_box_offsets"),
    "core224": ("maps", "*_boxes", "*_box_offsets", "aclx_conf", "aclx_nonsounding"),
    "dsol": (
        *("*_maps", "*_class_to_cluster", "*_boxes_xywh", "*_box_offsets", "*_box_category"),
        *("class_names", "category_to_class.*"),
    ),
    "ezvsl": ("alpha",),
    "iiou_auc_aggregation": ("c?_*", "cases.*.case", "auc_edges.*.name", "auc_edges.*.ciou"),
    # No number was made from the priors.
    "negative_audio": ("maps", "obj_maps", "boxes", "map_order", "names", "thresholds.*"),
    "resize": ("sample_index", "grid"),
    "slavc_aggregation": ("c*_*", "cases.*.case", "cases.*.kind"),
    "slavc_extended": (
        *("av_maps", "obj_maps", "vggss_boxes", "vggss_box_offsets", "vggss_ids"),
        *("tau", "alpha"),
    ),
    "sslalign_is3": ("maps_*", "res", "row", "obj_maps", "boxes"),
}


def keys_of(name: str) -> set[str]:
    """The arrays of a set, and the leaves of its JSON document."""
    keys = set(paths(json.loads((SHIPPED / f"{name}.json").read_text())))
    arrays = SHIPPED / f"{name}.npz"
    if arrays.exists():
        with np.load(arrays) as stored:
            keys |= set(stored.files)
    return keys


def matches(key: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in patterns)


@pytest.fixture(scope="module", autouse=True)
def claims() -> Iterator[None]:
    """Of all test modules, whichever of them run."""
    with pytest.MonkeyPatch.context() as patch:
        for file in sorted(TESTS.rglob("test_*.py")):
            if "@pins(" in file.read_text() and file != Path(__file__):
                name = f"claims_of_{file.parent.stem}_{file.stem}"
                spec = spec_from_file_location(name, file)
                assert spec is not None
                assert spec.loader is not None
                module = module_from_spec(spec)
                patch.setitem(sys.modules, name, module)
                spec.loader.exec_module(module)
        yield


@pytest.mark.parametrize("name", sorted(file.stem for file in SHIPPED.glob("*.json")))
def test_every_number_is_claimed(name: str) -> None:
    """A key is compared, or it is an input, or it describes the file."""
    described = (*DESCRIPTIONS, *GIVEN.get(name, ()))
    forgotten = {
        key
        for key in keys_of(name)
        if not matches(key, PINNED[name]) and not matches(key, described)
    }
    assert forgotten == set()


@pytest.mark.parametrize("name", sorted(file.stem for file in SHIPPED.glob("*.json")))
def test_every_claim_is_of_a_number_that_is_there(name: str) -> None:
    keys = keys_of(name)
    idle = {
        pattern
        for pattern in (*PINNED[name], *GIVEN.get(name, ()))
        if not any(fnmatchcase(key, pattern) for key in keys)
    }
    assert idle == set()


class TestClaims:
    def test_a_test_that_does_not_read_what_it_claims_fails(self) -> None:
        content = {"read": 1, "unread": {"deep": 2}, "listed": [{"part": 3}]}
        recorded = Recorded(content, "handmade")

        @pins("handmade", "read", "listed.*.part")
        def reads() -> None:
            assert recorded["read"] + recorded["listed"][0]["part"] == 4

        @pins("handmade", "unread.*")
        def does_not() -> None:
            assert recorded["unread"]

        reads()
        with pytest.raises(AssertionError, match="claims unread"):
            does_not()

    def test_every_leaf_has_a_path(self) -> None:
        content = {"a": {"b": 1}, "c": [{"d": 2}], "e": [3, 4], "f": None}
        assert list(paths(content)) == ["a.b", "c.0.d", "e", "f"]
