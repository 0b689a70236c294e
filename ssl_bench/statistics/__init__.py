"""Intervals, paired tests and groups of models that do not differ significantly."""
