"""ssl-bench: evaluation of visual sound source localization.

Examples
--------
>>> import ssl_bench
>>> protocol = ssl_bench.load_protocol("synth")
>>> protocol.measures[0]
'cIoU@0.5'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssl_bench.analysis.evaluation import Evaluation, evaluate
    from ssl_bench.errors import SslBenchError
    from ssl_bench.media.waveform import Waveform
    from ssl_bench.models.contract import AnnotationLocalizer, Features, Localizer
    from ssl_bench.models.registry import load_localizer
    from ssl_bench.predictions import PredictionsWriter, open_predictions, save_predictions
    from ssl_bench.protocols.protocol import load_protocol
    from ssl_bench.scoring.results import Result, read_result
    from ssl_bench.scoring.run import score_file
    from ssl_bench.testsets import open_test_set
    from ssl_bench.trials.compositions import open_trials

# Where each public name lives. Names are imported on first use, so that importing the package
# stays fast and scoring never waits for torch.
_HOMES = {
    "AnnotationLocalizer": "models.contract",
    "Evaluation": "analysis.evaluation",
    "Features": "models.contract",
    "Localizer": "models.contract",
    "PredictionsWriter": "predictions",
    "Result": "scoring.results",
    "SslBenchError": "errors",
    "Waveform": "media.waveform",
    "evaluate": "analysis.evaluation",
    "load_localizer": "models.registry",
    "load_protocol": "protocols.protocol",
    "open_predictions": "predictions",
    "open_test_set": "testsets",
    "open_trials": "trials.compositions",
    "read_result": "scoring.results",
    "save_predictions": "predictions",
    "score_file": "scoring.run",
}

__all__ = [
    "AnnotationLocalizer",
    "Evaluation",
    "Features",
    "Localizer",
    "PredictionsWriter",
    "Result",
    "SslBenchError",
    "Waveform",
    "evaluate",
    "load_localizer",
    "load_protocol",
    "open_predictions",
    "open_test_set",
    "open_trials",
    "read_result",
    "save_predictions",
    "score_file",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
