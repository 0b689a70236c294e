"""Kernels for the tutorials that need not load PyTorch and others again for each notebook.

``python kernels.py`` loads them once and forks a kernel whenever ``python kernels.py FILE``, which
Jupyter starts as a kernel, asks for one. The socket's path is in ``SSL_BENCH_KERNELS``; without it
the second form becomes a usual kernel.
"""

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import sys
from pathlib import Path

PRELOADED = (
    "matplotlib.pyplot",
    "pandas.io.formats.style",
    "matplotlib_inline.backend_inline",
    "ipykernel.kernelapp",
    "ssl_bench.analysis.contribution",
    "ssl_bench.analysis.evaluation",
    "ssl_bench.models.ezvsl",
    "ssl_bench.cli.evaluate",
    "ssl_bench.cli.score",
    "ssl_bench.figures.trial_pictures",
    "ssl_bench.figures.sheet",
    "ssl_bench.measures.batch",
)


def serve(path: str) -> None:
    """Fork a kernel for each request, until a signal or the end of its parent ends it."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    listener.settimeout(5)
    parent = os.getppid()
    gc.disable()
    for name in PRELOADED:
        importlib.import_module(name)
    # What is loaded stays: no kernel looks through it for garbage.
    gc.freeze()
    gc.enable()
    while True:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            if os.getppid() != parent:  # what started it was killed
                return
            continue
        asked = json.loads(connection.makefile().readline())
        if os.fork() == 0:
            # The connection stays open as long as this process lives.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            listener.close()
            os.chdir(asked["folder"])
            os.environ.update(asked["environment"])
            from ipykernel.kernelapp import launch_new_instance

            parent = f"--IPKernelApp.parent_handle={os.getppid()}"
            launch_new_instance(["-f", asked["file"], parent])
            os._exit(0)
        connection.close()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def ask(path: str, file: str) -> None:
    """Ask for a kernel, and live as long as it does, also where it is interrupted."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        asked = {"folder": str(Path.cwd()), "environment": dict(os.environ), "file": file}
        connection.sendall(json.dumps(asked).encode() + b"\n")
        while connection.recv(1):
            pass


if __name__ == "__main__":
    place = os.environ.get("SSL_BENCH_KERNELS", "")
    if len(sys.argv) == 1:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        serve(place)
    elif place and Path(place).exists():
        ask(place, sys.argv[1])
    else:
        os.execv(sys.executable, [sys.executable, "-m", "ipykernel_launcher", "-f", sys.argv[1]])
