"""What the numbers mean with which commands end."""

from __future__ import annotations

FAULTS_FOUND = 1
"""A command did its work, and not all is as it should be."""

REFUSED = 2
"""A command could not do its work, and says why."""

CRASHED = 3
"""A fault of this program."""

SIGNALLED = 128
"""A command was stopped; the number of the signal is added."""

# \b keeps the lines that follow as they are.
TABLE = """\b
Exit codes:
  0      done, and nothing is wrong
  1      done, and faults were found, or something could not be made: validate,
         leaderboard check, data verify, prepare and features, and
         predict --check-device
  2      refused, with error[CODE] and a remedy on standard error: what was typed,
         a file, a folder or a model cannot be used
  3      a fault of ssl-bench, with a traceback
  128+N  stopped by signal N, such as 130 by Ctrl-C
"""
"""All of them, for help."""
