"""Trials: the questions that a protocol asks, composed from the samples of a test set."""
