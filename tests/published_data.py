"""Which tests need published annotations, and where in a folder these are looked for.

Annotations of real test sets are no part of the project: ``SSL_BENCH_DATA`` names the reader's own.
"""

from __future__ import annotations

import os
from pathlib import Path

_TABLES = ("avsbench-s4", "avsbench-ms3", "vpo-ss", "vpo-ms")

NEEDED = {
    "testsets/test_vggss_published.py": ["vggss/vggss.json"],
    "cli/test_vggss_trivial.py": [
        "vggss/vggss.json",
        "vggss/vggss_heard_test.txt",
        "vggss/vggss_unheard_test.txt",
    ],
    "cli/test_audit_published.py": ["vggss/vggss.json", "vggss/vggss_144k_train.txt.gz"],
    "scoring/test_oya_published.py": ["flickr/flickr_boxes.csv.gz"],
    "testsets/test_is3_published.py": ["is3/is3.csv"],
    "testsets/test_flickr_published.py": ["flickr/flickr_boxes.csv.gz"],
    "testsets/test_silent_published.py": [
        "vggss/vggss.json",
        "vggss/vggss_test_plus_silent.csv",
    ],
    "testsets/described/test_round_trip_published.py": [
        *("vggss/vggss.json", "is3/is3.csv", "vpo-ms/vpo_ms.csv"),
        "avsbench-ms3/avsbench_ms3.csv",
    ],
    "testsets/test_box_tables_published.py": [
        f"{name}/{name.replace('-', '_')}.csv" for name in _TABLES
    ],
}
"""Files by test module, as they lie in a data folder of the program."""

FILES = sorted({file for files in NEEDED.values() for file in files})


def find(file: str) -> Path | None:
    """Where a needed file is: in its test set's folder, beside all others, or in ``splits``."""
    given = os.environ.get("SSL_BENCH_DATA")
    if not given:
        return None
    name = Path(file).name
    places = (Path(given) / place for place in (file, name, f"splits/{name}"))
    return next((place.resolve() for place in places if place.is_file()), None)


def why_left_out(test: str) -> str | None:
    """What a test module lacks, as a sentence; None where it can run."""
    missing = [file for file in NEEDED.get(test, ()) if find(file) is None]
    if not missing:
        return None
    if not os.environ.get("SSL_BENCH_DATA"):
        return f"SSL_BENCH_DATA is not set, and this needs {', '.join(missing)}"
    return f"SSL_BENCH_DATA lacks {', '.join(missing)}"


def lay_out(folder: Path) -> None:
    """Link the files that are there into a data folder of the program."""
    for file in FILES:
        found = find(file)
        if found is not None:
            place = folder / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(found)
