"""Questions asked of models and results: evaluation, contribution of the sound, comparisons."""
