"""The identity of trials: of what is asked of a model, and of all that is known of them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.files import json_text
from ssl_bench.protocols.protocol import Protocol
from ssl_bench.testsets.base import TestSet
from ssl_bench.trials.recipes import AudioRecipe
from ssl_bench.trials.trial import Trial


def digest_of_questions(
    protocol: Protocol, test_set: TestSet, trials: Sequence[Trial], ids: Collection[str]
) -> str:
    """SHA-256 over what is asked of a model: each trial's picture and sound, in any order.

    `ids` are those of the trials, in their order.
    """
    made_of = {
        "name": test_set.name,
        "split": test_set.split,
        "options": protocol.test_set.options,
    }
    composition = protocol.composition.model_dump(mode="json")
    # As `sha256_of_json` of all of it would spell it, a trial at a time: they may be many.
    digest = hashlib.sha256(
        f'{{"composition":{json_text(composition)},"test_set":{json_text(made_of)}'.encode()
    )
    opening = ',"trials":{'
    for row in map(int, _by_id(ids)):
        trial = trials[row]
        asked = [
            [[sample, *placement] for sample, placement in trial.image.parts],
            [trial.audio.kind, trial.audio.seed, *trial.audio.samples],
        ]
        digest.update(f"{opening}{json_text(trial.id)}:{json_text(asked)}".encode())
        opening = ","
    digest.update(b"}}")
    return digest.hexdigest()


def _by_id(ids: Collection[str]) -> NDArray[np.intp]:
    """Rows in the order of ids; as bytes, which have the same order in a quarter of memory."""
    encode = partial(str.encode, errors="surrogatepass")
    longest = max(map(len, map(encode, ids)))
    encoded = np.fromiter(map(encode, ids), f"S{longest}", len(ids))
    return np.argsort(encoded, kind="stable")


def digest_of_facts(trials: Iterable[Trial]) -> str:
    """SHA-256 over all that is known of each trial, in order: what is expected, too."""
    digest = hashlib.sha256()
    for trial in trials:
        facts = {
            **_fields_of(trial),
            "image": trial.image.parts,
            "audio": _fields_of(trial.audio),
            "attributes": dict(trial.attributes),
        }
        digest.update(json_text(facts).encode())
    return digest.hexdigest()


def _fields_of(record: Trial | AudioRecipe) -> dict[str, Any]:
    return {each.name: getattr(record, each.name) for each in fields(record)}
