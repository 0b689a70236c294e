"""Predictions: heat maps keyed by trial, in a file that is easy to write and safe to read.

The writer of this package is not needed to make one. With the maps of a model at hand, numpy does:

>>> import json, tempfile
>>> from pathlib import Path
>>> import numpy as np
>>> path = Path(tempfile.mkdtemp()) / "mine.npz"
>>> trial_ids = ["t0", "t1", "t2"]
>>> maps = np.random.default_rng(0).random((3, 14, 14), dtype=np.float32)
>>> meta = {
...     "format": "ssl-bench-predictions/1",
...     "protocol": "synth", "protocol_digest": "0" * 64,
...     "test_set": "synth", "test_set_digest": "1" * 64,
...     "model": "my-model", "weights_digest": None, "complete": True,
... }
>>> np.savez_compressed(
...     path, trial_id=np.array(trial_ids), map=maps,
...     meta=np.frombuffer(json.dumps(meta).encode(), np.uint8))

and it is read like any other:

>>> predictions = check(path, Question(trial_ids, protocol="synth"))
>>> predictions.meta.model, predictions.trial_ids
('my-model', ('t0', 't1', 't2'))
>>> [maps.shape for positions, maps in predictions.iter_maps(chunk=2)]
[(2, 14, 14), (1, 14, 14)]

For retrieval, ``similarity`` or both embeddings take the place of maps.
:mod:`ssl_bench.predictions.format` describes the file.
"""

from ssl_bench.predictions.archive import FileProblem
from ssl_bench.predictions.format import FORMAT, LIMITS, Limits, PredictionsMeta
from ssl_bench.predictions.reader import Predictions, Question, check, open_predictions
from ssl_bench.predictions.writer import PredictionsWriter, save_predictions

__all__ = [
    "FORMAT",
    "LIMITS",
    "FileProblem",
    "Limits",
    "Predictions",
    "PredictionsMeta",
    "PredictionsWriter",
    "Question",
    "check",
    "open_predictions",
    "save_predictions",
]
