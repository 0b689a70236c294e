"""Measures: pure functions of arrays, the fused kernel, and measures as values."""
