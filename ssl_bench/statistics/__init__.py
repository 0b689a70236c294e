"""Intervals, paired tests and groups of models that cannot be told apart."""
