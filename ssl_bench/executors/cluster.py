"""A Ray cluster: reached, or started on this machine, and left again."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from queue import SimpleQueue
from typing import Any

from ssl_bench.executors.sharing import WorkersError
from ssl_bench.extras import extra_needed
from ssl_bench.files import temporary_folder

# Ray's sockets lie in a folder of it, under names that take the rest.
_LONGEST_RAY_FOLDER = 40


def joined(address: str | None, stack: ExitStack) -> Any:
    """Ray, in its cluster until the stack ends."""
    # Ray's own handler would end this process before it has cleaned up, and as Ray shuts down, it
    # sets signals back to their defaults. Read as Ray is imported.
    os.environ.setdefault("RAY_DISABLE_FAILURE_SIGNAL_HANDLER", "1")
    with extra_needed("--executor ray"):
        import ray
    if not ray.is_initialized():
        _join_cluster(address, stack)
    return ray


def device_of(device: Any, workers: int) -> tuple[Any, int]:
    """The device of each worker, and how many GPUs of the cluster it needs."""
    import ray

    there = int(ray.cluster_resources().get("GPU", 0))
    if device == "auto":
        device = "cuda" if there else "cpu"
    gpus = int((device or "").startswith("cuda"))
    if gpus * workers > there:
        needing = "a worker needs" if workers == 1 else f"{workers} workers need"
        each = "" if workers == 1 else " each"
        raise WorkersError(
            f"{needing} a GPU{each}, and the Ray cluster has {there or 'none'}",
            code="E_RAY_GPUS",
            remedy=("ask for fewer workers, or " if there else "ask ") + "for the device 'cpu'",
        )
    return device, gpus


def _join_cluster(address: str | None, stack: ExitStack) -> None:
    """Reach a Ray cluster, or start one on this machine, and leave it with the stack."""
    import ray

    settings: dict[str, Any] = {"address": address}
    if address is None:
        settings = {"include_dashboard": False}
        folder = stack.enter_context(temporary_folder())
        # Its own folder is left there for ever; sockets in it have names of at most 107 bytes.
        if len(str(folder)) <= _LONGEST_RAY_FOLDER:
            settings["_temp_dir"] = str(folder)
    _on_stderr(stack)
    start = partial(ray.init, log_to_driver=False, logging_level=logging.ERROR, **settings)
    if address is not None:
        # Somebody answers there; whoever is refused would be so at each of Ray's 20 attempts.
        os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "5")
    try:
        _reach(address)
        _in_a_thread(start, ray.shutdown, stack)
    except Exception as error:  # Ray raises what it was refused with, or of no class of its own
        if "AuthenticationError" in f"{type(error).__name__} {error}":
            raise WorkersError(
                "the Ray cluster there does not accept the token of this machine",
                code="E_RAY_TOKEN",
                where=address or "this machine",
                remedy="set RAY_AUTH_MODE=token here and on all nodes, and copy ~/.ray/auth_token "
                "of the first node here and to them",
            ) from error
        if address is None:
            raise WorkersError(
                f"Ray does not start on this machine: {str(error).strip().partition(chr(10))[0]}",
                code="E_RAY_START",
                remedy="try again when it is less busy, or start a cluster with 'ray start --head' "
                "and give its address",
            ) from error
        raise WorkersError(
            "no Ray cluster can be reached there",
            code="E_RAY_ADDRESS",
            where=address,
            remedy="start one with 'ray start --head', and give the address that it prints",
        ) from error


def _on_stderr(stack: ExitStack) -> None:
    """Let what Ray prints, such as that a worker died, go to standard error, without colours.

    It belongs to no log of a worker, which are not shown; standard output is for results.
    """
    os.environ.setdefault("RAY_COLOR_PREFIX", "0")
    try:
        from ray._private import worker

        shown = worker.print_to_stdstream
    except (ImportError, AttributeError):  # Not public, and may go
        return

    def show(data: dict[str, Any], *given: Any, **named: Any) -> None:
        shown({**data, "is_err": True}, *given, **named)

    worker.print_to_stdstream = show
    stack.callback(setattr, worker, "print_to_stdstream", shown)


def _in_a_thread(start: Callable[[], Any], end: Callable[[], Any], stack: ExitStack) -> None:
    """Start Ray, and end it with the stack, in a thread of its own, where no signal breaks in.

    The threads of a Ray that is half started would go on, and crash as this process ends. In such
    a thread, Ray does not take SIGTERM for itself, either. The thread lives as long as Ray does,
    whose processes end with it. After a signal, this process waits until Ray has started and ended,
    or for two more signals.
    """
    started: Future[Any] = Future()
    ended: Future[Any] = Future()
    orders: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()

    def live() -> None:
        told = started
        while told is not ended:
            told, call = orders.get()
            try:
                told.set_result(call())
            except BaseException as error:
                told.set_exception(error)

    def leave() -> None:
        orders.put((ended, end))
        try:
            ended.result()
        except BaseException:
            ended.result()
            raise

    threading.Thread(target=live, daemon=True).start()
    stack.callback(leave)
    orders.put((started, start))
    started.result()


def _reach(address: str | None) -> None:
    """Raise OSError where nobody answers; Ray itself would try for minutes."""
    host, _, port = (address or "").rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=5).close()
