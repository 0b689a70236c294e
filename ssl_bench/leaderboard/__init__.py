"""The leaderboard's content: entries, the predictions behind them, and how both are checked.

A board is a folder (``leaderboard/`` in a checkout; of it, only ``published.csv`` is installed):

=========================================  ======================================================
``entries/<protocol>/<slug>.json``         an :class:`~ssl_bench.leaderboard.entry.Entry`
``predictions/<protocol>/<slug>.npz``      the maps that it was scored from, see ``compact``
``published.csv``                          figures printed in papers, see ``published``
=========================================  ======================================================

Every number of an entry can be computed again from its predictions
(:func:`~ssl_bench.leaderboard.check.check_board`); everything that a page shows of it is in the
entry itself, so that a page needs neither test set nor model.
"""
