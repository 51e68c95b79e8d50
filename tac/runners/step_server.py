"""The step server: starts steps, ends them, and tells how they ended.

A program of its own, because a driver full of threads must not fork: the child inherits whatever
lock another thread happens to hold. `tac.runners.local` starts it, with one end of a socket pair as
its standard input. That socket is the steps' life line: when the driver ends, however that happens,
the server reads the end of it and ends every step. When the server itself is killed, the kernel
kills its steps (Linux), and the driver their process groups.

Warm, it imports the modules it is given and forks a step that runs `python -m` in milliseconds.
Cold, it executes the step's command, and is itself started with `python -I -S`.
One thread and nothing but the standard library: that makes its forks safe. It is run as a file, and
what costs time to import (dataclasses, typing, json) is not imported.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import marshal
import os
import selectors
import signal
import socket
import sys
import time

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without 10 ms for typing
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, NoReturn

    Message = dict[str, Any]

_HEADER_BYTES = 4
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_OOM_SCORE = "300"  # of 1000: if memory runs out, the step goes rather than who can tell of it
_CANNOT_EXECUTE, _NOT_FOUND = 126, 127  # the shell's exit codes (POSIX)
_FLUSH_FAILED = 120  # what Python ends with when its last words could not be written
_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_NEEDED_BY_EACH = ("runpy", "importlib.util", "random", "threading", "atexit")  # to run a module
_LINUX = sys.platform == "linux"


def pack(message: Message) -> bytes:
    """Write a message as the socket carries it."""
    # marshal: both ends are the same interpreter, started by the same user.
    body = marshal.dumps(message)
    return len(body).to_bytes(_HEADER_BYTES, "big") + body


def unpack(received: bytearray) -> Iterator[Message]:
    """Take every whole message off the front of what was received."""
    while len(received) >= _HEADER_BYTES:
        end = _HEADER_BYTES + int.from_bytes(received[:_HEADER_BYTES], "big")
        if len(received) < end:
            return
        message = marshal.loads(received[_HEADER_BYTES:end])  # noqa: S302 - see pack
        del received[:end]
        yield message


class _Step:
    def __init__(self, number: int, pid: int, *, grace_seconds: float) -> None:
        self.number = number
        self.pid = pid
        self.grace_seconds = grace_seconds
        self.began = time.monotonic()
        self.oom_kills = oom_kills()
        self.stop = "not_asked"
        self.kill_at: float | None = None


class Server:
    """Holds the steps of one driver."""

    def __init__(self, control: socket.socket, preload: list[str]) -> None:
        self._control = control
        self._received = bytearray()
        self._preload = preload
        self._failed: dict[str, str] = {}
        self._steps: dict[int, _Step] = {}
        self._ending = False
        self._pid = os.getpid()
        self._prctl = ctypes.CDLL(None).prctl if _LINUX else None
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._wake, self._woken = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._woken, False)
        self._selector.register(self._wake, selectors.EVENT_READ)

    def serve(self) -> None:
        """Do what the driver asks until it is gone and so are its steps."""
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # the default would not wake us
        for number in _ENDING_SIGNALS:
            signal.signal(number, self._end)
        gc.disable()
        while self._steps or not self._ending:
            for key, _ in self._selector.select(self._patience()):
                if key.fileobj is self._control:
                    self._listen()
                else:
                    os.read(self._wake, 4096)
            self._reap()
            self._kill_overdue()
            if self._preload:
                # One at a time: what was asked for in between begins at once, with what is there.
                self._import(self._preload.pop(0))

    def _patience(self) -> float | None:
        if self._preload:
            return 0
        due = [step.kill_at for step in self._steps.values() if step.kill_at is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _listen(self) -> None:
        try:
            data = self._control.recv(1 << 16)
        except ConnectionError:
            data = b""
        if not data:
            self._selector.unregister(self._control)
            self._end()
        self._received += data
        for message in unpack(self._received):
            if self._ending:
                return
            if "stop" in message:
                self._stop(self._steps.get(message["stop"]))
            else:
                self._start(message)

    def _tell(self, message: Message) -> None:
        # A driver that is gone is noticed where it is listened to.
        with contextlib.suppress(ConnectionError):
            self._control.sendall(pack(message))

    def _import(self, module: str) -> None:
        try:
            __import__(module)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the step that needs it will say it
            self._failed[module] = f"{type(error).__name__}: {error}"
        if self._preload:
            return
        gc.freeze()  # else the first collection in each step would copy every page there is
        gc.enable()
        threads = len(os.listdir("/proc/self/task")) if _LINUX else 1  # noqa: PTH208 - names are enough
        self._tell({"ready": threads, "failed": self._failed})

    def _end(self, *_: object) -> None:
        self._ending = True
        for step in self._steps.values():
            self._stop(step)

    def _stop(self, step: _Step | None) -> None:
        if step is not None and step.kill_at is None:
            step.stop = "asked"
            step.kill_at = time.monotonic() + step.grace_seconds
            _signal_group(step.pid, signal.SIGTERM)

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        for step in self._steps.values():
            if step.kill_at is not None and step.kill_at <= now:
                step.stop = "forced"
                step.kill_at = now + 1  # a process in the middle of a system call may need another
                _signal_group(step.pid, signal.SIGKILL)

    def _reap(self) -> None:
        while self._steps:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if not pid:
                return
            # What it started and left behind would outlive it, and nobody knows of it any more.
            _signal_group(pid, signal.SIGKILL)
            found = [step for step in self._steps.values() if step.pid == pid]
            for step in found:
                del self._steps[step.number]
                self._tell(_ending(step, os.waitstatus_to_exitcode(status), usage.ru_maxrss))

    def _start(self, request: Message) -> None:
        # No signal may meet our handlers in the child: they wait until it has its own.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
        except OSError as error:
            self._tell({"step": request["run"], "refused": (error.errno, error.strerror)})
        else:
            if pid == 0:
                self._become(request)
            # The child does it too: neither of us may go on before it is done.
            with contextlib.suppress(OSError):
                os.setpgid(pid, pid)
            step = _Step(request["run"], pid, grace_seconds=request["grace_seconds"])
            self._steps[step.number] = step
            self._tell({"started": step.number, "pid": pid})
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def _become(self, request: Message) -> NoReturn:
        code = _CANNOT_EXECUTE
        try:
            os.setpgid(0, 0)
            self._live_no_longer_than_the_server()
            signal.set_wakeup_fd(-1)
            self._control.close()
            self._selector.close()
            os.close(self._wake)
            os.close(self._woken)
            _enter(request)
            if request["module"]:
                gc.enable()
                _reset_signals(as_python=True)
                code = run_module(request["module"], request["argv"])
            else:
                _reset_signals(as_python=False)
                code = _execute(request["argv"], request["environment"])
        except BaseException as error:  # noqa: BLE001 - nothing may come back into the server's loop
            os.write(2, f"the step could not be started: {error!r}\n".encode())
        finally:
            os._exit(code)

    def _live_no_longer_than_the_server(self) -> None:
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123 - pathlib would be one more import
            file.write(_OOM_SCORE)
        if self._prctl is not None:
            self._prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != self._pid:  # it died before the line above
            os._exit(_CANNOT_EXECUTE)


def _ending(step: _Step, exit_code: int, peak_memory: int) -> Message:
    unit = 1 << 10 if _LINUX else 1 << 20  # getrusage(2) counts KiB, macOS bytes
    return {
        "step": step.number,
        "exit_code": exit_code if exit_code >= 0 else None,
        "signal": -exit_code if exit_code < 0 else None,
        "stop": step.stop,
        "oom_killed": oom_kills() > step.oom_kills,
        "peak_memory_mib": peak_memory // unit,
        "seconds": time.monotonic() - step.began,
    }


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def oom_kills() -> int:
    """Count what the kernel killed for lack of memory: in our control group, else here at all."""
    # https://docs.kernel.org/admin-guide/cgroup-v2.html, memory.events; /proc/vmstat: since 4.13
    for path in (_memory_events(), "/proc/vmstat"):
        with contextlib.suppress(OSError), open(path) as file:  # noqa: PTH123 - read at each start: cheap
            for line in file:
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return 0


def _memory_events() -> str:
    with contextlib.suppress(OSError), open("/proc/self/cgroup") as file:  # noqa: PTH123 - the same
        for line in file:
            if line.startswith("0::"):
                return f"/sys/fs/cgroup{line[3:].strip()}/memory.events"
    return ""


def _reset_signals(*, as_python: bool) -> None:
    """Give every signal back its meaning: a program's, or the one that Python starts with."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(number) not in (signal.SIG_DFL, None):
            signal.signal(number, signal.SIG_DFL)
    if as_python:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _enter(request: Message) -> None:
    log = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.chdir(request["directory"])
    if request["module"]:
        os.environ.clear()  # noqa: TID251 - the step's environment is what it was given, here in its process
        os.environ.update(request["environment"])  # noqa: TID251 - the same


def _execute(argv: list[str], environment: Mapping[str, str]) -> int:
    try:
        os.execvpe(argv[0], argv, environment)  # noqa: S606 - a list, and no shell
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
        return _NOT_FOUND if isinstance(error, FileNotFoundError) else _CANNOT_EXECUTE


def run_module(module: str, argv: list[str]) -> int:
    """Run a module as `python -m` does, to the last word, and return the exit code.

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


def main() -> None:
    """Serve who holds the other end of standard input, with the modules of the command line."""
    if not sys.flags.safe_path:
        sys.path[0] = os.getcwd()  # noqa: PTH109 - as `python -m` has it; it was this file's directory
    control = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.close(nothing)
    preload = sys.argv[1:]
    Server(control, [*_NEEDED_BY_EACH, *preload] if preload else []).serve()


if __name__ == "__main__":
    main()
