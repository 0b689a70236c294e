"""The leaderboard: what was submitted, what it scores, and how both are checked.

A board is a folder (``leaderboard/`` in a checkout; of it, only ``published.csv`` is installed)
with one folder for each submission, ``submissions/<protocol>/<slug>/``: ``card.toml``,
``maps.npz``, ``vision-only.npz`` and ``lock.json``, see ``leaderboard/README.md``. Nothing that can
be computed is stored: :func:`ssl_bench.leaderboard.board.read_board` scores submissions, and keeps
scores in the user's cache folder by the digests of all that decides them.
"""
