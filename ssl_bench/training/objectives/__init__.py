"""Training objectives: pure functions of features, one module per paper."""

from ssl_bench.training.objectives.classification import classification_loss
from ssl_bench.training.objectives.ez_vsl import ez_vsl_loss, max_similarity

__all__ = ["classification_loss", "ez_vsl_loss", "max_similarity"]
