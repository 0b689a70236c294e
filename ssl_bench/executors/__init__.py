"""Where the parts of a long task are worked on: here, in other processes, or on other machines.

What the parts share is set up once for each worker, and a worker is given one part after the other.
"""

from ssl_bench.executors.executor import HERE, Executor, Kind, processes
from ssl_bench.executors.sharing import Run, Setup, WorkersError

__all__ = ["HERE", "Executor", "Kind", "Run", "Setup", "WorkersError", "processes"]
