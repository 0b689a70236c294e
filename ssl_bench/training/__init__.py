"""Training: objectives of the papers, one loop, recipes and records."""
