"""Localizers: the contract, the networks, their preprocessing, and the trivial baselines."""
