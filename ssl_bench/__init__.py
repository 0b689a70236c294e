"""ssl-bench: evaluation of visual sound source localization.

Examples
--------
>>> import ssl_bench
>>> trials = ssl_bench.open_trials("synth")
>>> trials.protocol.measures[0], len(trials)
('cIoU@0.5', 500)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssl_bench.analysis.evaluation import Evaluation as Evaluation
    from ssl_bench.analysis.evaluation import evaluate as evaluate
    from ssl_bench.analysis.sweep import Sweep as Sweep
    from ssl_bench.displays import Picture as Picture
    from ssl_bench.errors import SslBenchError as SslBenchError
    from ssl_bench.figures.localized import Localization as Localization
    from ssl_bench.figures.localized import localize as localize
    from ssl_bench.library.comparing import analyse as analyse
    from ssl_bench.library.comparing import compare as compare
    from ssl_bench.library.comparing import explain as explain
    from ssl_bench.library.evaluating import contribution as contribution
    from ssl_bench.library.evaluating import contribution_of_maps as contribution_of_maps
    from ssl_bench.library.evaluating import evaluate_maps as evaluate_maps
    from ssl_bench.library.evaluating import predict as predict
    from ssl_bench.library.reproducing import reproduce as reproduce
    from ssl_bench.library.submitting import submit as submit
    from ssl_bench.library.sweeping import sweep as sweep
    from ssl_bench.library.training import train as train
    from ssl_bench.library.writing import export as export
    from ssl_bench.library.writing import log_result as log_result
    from ssl_bench.library.writing import pictures as pictures
    from ssl_bench.library.writing import report as report
    from ssl_bench.measures.metric import Metric as Metric
    from ssl_bench.media.video_input import VideoInput as VideoInput
    from ssl_bench.media.waveform import Waveform as Waveform
    from ssl_bench.models.contract import AnnotationLocalizer as AnnotationLocalizer
    from ssl_bench.models.contract import Features as Features
    from ssl_bench.models.contract import Localizer as Localizer
    from ssl_bench.models.registry import load_localizer as load_localizer
    from ssl_bench.models.wrapped import wrap as wrap
    from ssl_bench.predictions import Predictions as Predictions
    from ssl_bench.predictions import PredictionsMeta as PredictionsMeta
    from ssl_bench.predictions import PredictionsWriter as PredictionsWriter
    from ssl_bench.predictions import open_predictions as open_predictions
    from ssl_bench.predictions import save_predictions as save_predictions
    from ssl_bench.protocols.protocol import Protocol as Protocol
    from ssl_bench.protocols.protocol import load_protocol as load_protocol
    from ssl_bench.reproduction.document import Reproduction as Reproduction
    from ssl_bench.scoring.results import Result as Result
    from ssl_bench.scoring.results import read_result as read_result
    from ssl_bench.scoring.run import Scored as Scored
    from ssl_bench.scoring.run import score as score
    from ssl_bench.scoring.run import score_file as score_file
    from ssl_bench.testsets import open_test_set as open_test_set
    from ssl_bench.testsets.base import TestSet as TestSet
    from ssl_bench.training.torchmetric import TorchMetric as TorchMetric
    from ssl_bench.trials.compositions import open_trials as open_trials
    from ssl_bench.trials.trial_set import TrialSet as TrialSet

# Where each public name lives. Names are imported on first use, so that importing the package
# stays fast and scoring never waits for torch.
_HOMES = {
    "AnnotationLocalizer": "models.contract",
    "Evaluation": "analysis.evaluation",
    "Features": "models.contract",
    "Localization": "figures.localized",
    "Localizer": "models.contract",
    "Metric": "measures.metric",
    "Picture": "displays",
    "Predictions": "predictions",
    "PredictionsMeta": "predictions",
    "PredictionsWriter": "predictions",
    "Protocol": "protocols.protocol",
    "Reproduction": "reproduction.document",
    "Result": "scoring.results",
    "Scored": "scoring.run",
    "SslBenchError": "errors",
    "Sweep": "analysis.sweep",
    "TestSet": "testsets.base",
    "TorchMetric": "training.torchmetric",
    "TrialSet": "trials.trial_set",
    "VideoInput": "media.video_input",
    "Waveform": "media.waveform",
    "analyse": "library.comparing",
    "compare": "library.comparing",
    "contribution": "library.evaluating",
    "contribution_of_maps": "library.evaluating",
    "evaluate": "analysis.evaluation",
    "evaluate_maps": "library.evaluating",
    "explain": "library.comparing",
    "export": "library.writing",
    "load_localizer": "models.registry",
    "load_protocol": "protocols.protocol",
    "localize": "figures.localized",
    "log_result": "library.writing",
    "open_predictions": "predictions",
    "open_test_set": "testsets",
    "open_trials": "trials.compositions",
    "pictures": "library.writing",
    "predict": "library.evaluating",
    "read_result": "scoring.results",
    "report": "library.writing",
    "save_predictions": "predictions",
    "reproduce": "library.reproducing",
    "score": "scoring.run",
    "score_file": "scoring.run",
    "submit": "library.submitting",
    "sweep": "library.sweeping",
    "train": "library.training",
    "wrap": "models.wrapped",
}

__all__ = [*sorted(_HOMES), "__version__"]
__version__: str


def __dir__() -> list[str]:
    return list(__all__)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("ssl-bench")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ssl_bench.extras import extra_needed

    with extra_needed(f"ssl_bench.{name}"):
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
