"""Scoring: maps and trials become scores, and scores become a result. Needs no model."""
