"""Runs a module as `python -m` does, in a process that was forked from a warm step server.

Nothing but the standard library, and nothing at its head that a step would not have anyway.
"""

from __future__ import annotations

import os
import signal
import sys

_FLUSH_FAILED = 120  # what Python ends with when its buffered output could not be written


def run_module(module: str, argv: list[str]) -> int:
    """Run a module as `python -m` does, its exit handlers included, and return the exit code.

    Does not return after an interrupt: it dies of it, as the interpreter does.
    """
    import atexit
    import random
    import threading

    sys.argv = [module, *argv]
    if not sys.flags.safe_path:
        sys.path[0] = os.getcwd()  # noqa: PTH109 - sys.path holds strings
    random.seed()
    if numpy_random := sys.modules.get("numpy.random"):
        numpy_random.seed()
    code = _exit_code(module)
    # What the interpreter does at its end, without the 50 ms that taking pandas apart would cost.
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - there is no public way
    atexit._run_exitfuncs()  # noqa: SLF001 - the same
    if not _flushed():
        return _FLUSH_FAILED
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def _flushed() -> bool:
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except OSError as error:
            os.write(2, f"Exception ignored in: {stream!r}\nOSError: {error}\n".encode())
            return False
    return True


def _exit_code(module: str) -> int:
    import runpy

    try:
        _find(module)
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return _code_of(end)
    except BaseException as error:  # noqa: BLE001 - the interpreter shows it and ends with 1
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        error.__traceback__ = trace
        sys.excepthook(type(error), error, trace)
        return -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _find(module: str) -> None:
    import importlib.util

    try:
        found = importlib.util.find_spec(module)
    except ImportError as error:
        why = f"{type(error).__name__}: {error}"
        text = f"Error while finding module specification for {module!r} ({why})"
        raise SystemExit(f"{sys.executable}: {text}") from error
    if found is None:
        raise SystemExit(f"{sys.executable}: No module named {module}")
    main = f"{module}.__main__"
    if found.submodule_search_locations is not None and importlib.util.find_spec(main) is None:
        why = f"{module!r} is a package and cannot be directly executed"
        raise SystemExit(f"{sys.executable}: No module named {main}; {why}")


def _code_of(end: SystemExit) -> int:
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code & 0xFF
    sys.stderr.write(f"{end.code}\n")
    return 1
