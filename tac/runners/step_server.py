"""The step server: a process that starts steps, stops them, and reports how they ended.

A program of its own, because a driver with many threads must not fork: the child inherits whatever
lock another thread happens to hold. `tac.runners.local` starts it, with one end of a socket pair as
its standard input. When the driver ends, for whatever reason, the kernel closes the other end, and
the server stops every step.

Each step has a parent of its own, its *reaper*, which the server forks first. On Linux whatever a
step starts becomes its reaper's child when its own parent ends, even a daemon that has left session
and group (prctl(2), PR_SET_CHILD_SUBREAPER); so the reaper kills what its step has left, and
touches no other step. When the server is killed, the kernel sends the reapers SIGTERM, and they
kill their steps; when a reaper is killed, the kernel kills its step, and the step's children become
the server's. macOS has neither: a process that has left the step's process group keeps running.

Warm, it imports the modules of its command line and forks a step that runs `python -m` in
milliseconds. Cold, it executes the step's command, and is itself started with `python -I -S`.
One thread and nothing but the standard library: that makes its forks safe. It is run as one file,
because `-I -S` finds no package, and imports nothing slow (dataclasses, typing, json).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
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
    import resource
    from collections.abc import Iterator, Mapping
    from typing import Any, NoReturn

    Message = dict[str, Any]

_HEADER_BYTES = 4
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
_OOM_SCORE = "300"  # of 1000: out of memory, the kernel kills the step before server and driver
_CANNOT_EXECUTE, _NOT_FOUND = 126, 127  # the shell's exit codes (POSIX)
_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_NEEDED_BY_EACH = (  # to run a module
    "tac.runners.python_module",
    "runpy",
    "importlib.util",
    "random",
    "threading",
    "atexit",
)
_LINUX = sys.platform == "linux"


def pack(message: Message) -> bytes:
    """Encode a message for the socket."""
    # marshal: both ends are the same interpreter, started by the same user.
    body = marshal.dumps(message)
    return len(body).to_bytes(_HEADER_BYTES, "big") + body


def unpack(received: bytearray) -> Iterator[Message]:
    """Remove every complete message from the front of the buffer, and yield it."""
    while len(received) >= _HEADER_BYTES:
        end = _HEADER_BYTES + int.from_bytes(received[:_HEADER_BYTES], "big")
        if len(received) < end:
            return
        message = marshal.loads(received[_HEADER_BYTES:end])  # noqa: S302 - see pack
        del received[:end]
        yield message


class _Step:
    def __init__(self, number: int, pid: int, reaper: _Reaper, *, grace_seconds: float) -> None:
        self.number = number
        self.pid = pid
        self.reaper = reaper
        self.grace_seconds = grace_seconds
        self.began = time.monotonic()
        self.oom_kills = oom_kills()
        self.stop = "not_requested"
        self.kill_at: float | None = None


class _Reaper:
    """The server's end of a reaper: its process, and the pipe with its messages."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self.pid = pid
        self._descriptor = descriptor
        self._received = bytearray()
        self._messages: list[Message] = []

    def receive(self) -> Message | None:
        """Wait for its next message; None: it has ended without one."""
        while not self._messages:
            data = os.read(self._descriptor, 4096)
            if not data:
                return None
            self._received += data
            self._messages += unpack(self._received)
        return self._messages.pop(0)

    def close(self) -> None:
        os.close(self._descriptor)


class Server:
    """Runs the steps of one driver."""

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
        """Serve the driver until it has closed the socket and its steps have ended."""
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # the default would not wake us
        for number in _ENDING_SIGNALS:
            signal.signal(number, self._end)
        self._inherit_orphans()
        gc.disable()
        while self._steps or not self._ending:
            for key, _ in self._selector.select(self._select_timeout()):
                if key.fileobj is self._control:
                    self._receive()
                else:
                    os.read(self._wake, 4096)
            self._reap()
            self._kill_overdue()
            if self._preload:
                # One at a time: a request that arrives meanwhile does not wait for the others.
                self._import(self._preload.pop(0))

    def _select_timeout(self) -> float | None:
        if self._preload:
            return 0
        due = [step.kill_at for step in self._steps.values() if step.kill_at is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _receive(self) -> None:
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

    def _send(self, message: Message) -> None:
        # `_receive` notices that the driver has closed the socket.
        with contextlib.suppress(ConnectionError):
            self._control.sendall(pack(message))

    def _import(self, module: str) -> None:
        try:
            __import__(module)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the step that imports it will report it
            self._failed[module] = f"{type(error).__name__}: {error}"
        if self._preload:
            return
        gc.freeze()  # or the first collection in each step would copy every page
        gc.enable()
        threads = len(os.listdir("/proc/self/task")) if _LINUX else 1  # noqa: PTH208 - names are enough
        self._send({"ready": threads, "failed": self._failed})

    def _end(self, *_: object) -> None:
        self._ending = True
        for step in self._steps.values():
            self._stop(step)

    def _stop(self, step: _Step | None) -> None:
        if step is not None and step.kill_at is None:
            step.stop = "requested"
            step.kill_at = time.monotonic() + step.grace_seconds
            _signal_group(step.pid, signal.SIGTERM)

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        for step in self._steps.values():
            if step.kill_at is not None and step.kill_at <= now:
                step.stop = "forced"
                step.kill_at = now + 1  # a process in the middle of a system call may need another
                # Through its reaper, its parent: it may have left its process group.
                os.kill(step.reaper.pid, signal.SIGTERM)

    def _reap(self) -> None:
        while self._steps:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            found = [step for step in self._steps.values() if step.reaper.pid == pid]
            for step in found:
                del self._steps[step.number]
                self._send(_result(step, self._end_of(step, status)))

    def _end_of(self, step: _Step, status: int) -> Message:
        end = step.reaper.receive()
        step.reaper.close()
        if end is None:  # the reaper was killed, and the kernel has killed the step for it
            _signal_group(step.pid, signal.SIGKILL)
            _end_children(kept={each.reaper.pid for each in self._steps.values()})
            end = {"exit_code": os.waitstatus_to_exitcode(status), "peak_memory": 0}
        return end

    def _start(self, request: Message) -> None:
        reading, writing = os.pipe()
        # The child must not run our signal handlers: signals wait until it has its own.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                os.close(reading)
                self._become_reaper(request, writing)
        except OSError as error:
            os.close(reading)
            self._send({"step": request["run"], "refused": (error.errno, error.strerror)})
            return
        finally:
            os.close(writing)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
        self._begin(request, _Reaper(pid, reading))

    def _begin(self, request: Message, reaper: _Reaper) -> None:
        begun = reaper.receive() or {"refused": (errno.EAGAIN, "it was killed before it began")}
        if "refused" in begun:
            reaper.close()
            os.waitpid(reaper.pid, 0)
            self._send({"step": request["run"], **begun})
            return
        step = _Step(request["run"], begun["pid"], reaper, grace_seconds=request["grace_seconds"])
        self._steps[step.number] = step
        self._send({"started": step.number, "pid": step.pid})

    def _become_reaper(self, request: Message, pipe: int) -> NoReturn:
        """Start the step, wait for its end, kill what it has left, and report how it ended."""
        try:
            os.setpgid(0, 0)  # a signal to the server's group is for the server alone
            self._live_no_longer_than(self._pid, signal.SIGTERM)
            self._inherit_orphans()
            signal.set_wakeup_fd(-1)
            self._control.close()
            self._selector.close()
            os.close(self._wake)
            os.close(self._woken)
            for step in self._steps.values():
                step.reaper.close()
            reaper = os.getpid()
            try:
                pid = os.fork()
            except OSError as error:
                os.write(pipe, pack({"refused": (error.errno, error.strerror)}))
                os._exit(0)
            if pid == 0:
                os.close(pipe)
                self._become(request, reaper)
            # The child does it too: it must be done before either continues.
            with contextlib.suppress(OSError):
                os.setpgid(pid, pid)
            os.write(pipe, pack({"pid": pid}))
            os.write(pipe, pack(_reap_step(pid)))
        finally:
            os._exit(0)

    def _become(self, request: Message, reaper: int) -> NoReturn:
        code = _CANNOT_EXECUTE
        try:
            os.setpgid(0, 0)
            with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123 - pathlib would be one more import
                file.write(_OOM_SCORE)
            self._live_no_longer_than(reaper, signal.SIGKILL)
            _enter(request)
            if request["module"]:
                from tac.runners.python_module import run_module

                gc.enable()
                _reset_signals(as_python=True)
                code = run_module(request["module"], request["argv"])
            else:
                _reset_signals(as_python=False)
                code = _execute(request["argv"], request["environment"])
        except BaseException as error:  # noqa: BLE001 - nothing may return into the server's loop
            os.write(2, f"the step could not be started: {error!r}\n".encode())
        finally:
            os._exit(code)

    def _live_no_longer_than(self, parent: int, number: int) -> None:
        if self._prctl is not None:
            self._prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above
            os._exit(_CANNOT_EXECUTE)

    def _inherit_orphans(self) -> None:
        if self._prctl is not None:
            self._prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _reap_step(pid: int) -> Message:
    """Wait for the end of a step, then kill every process that it has left; in its reaper."""
    while True:
        # All signals are blocked here: each stays pending until sigwait takes it.
        if signal.sigwait({signal.SIGCHLD, signal.SIGTERM}) == signal.SIGTERM:
            _signal_group(pid, signal.SIGKILL)  # its grace is over, or the server has died
            _killed(pid)
        for ended, status, usage in _ended_children():
            if ended == pid:
                _signal_group(pid, signal.SIGKILL)
                if _LINUX:
                    _end_children(kept=set())
                code = os.waitstatus_to_exitcode(status)
                return {"exit_code": code, "peak_memory": usage.ru_maxrss}


def _ended_children() -> Iterator[tuple[int, int, resource.struct_rusage]]:
    with contextlib.suppress(ChildProcessError):
        while (found := os.wait4(-1, os.WNOHANG))[0]:
            yield found


def _end_children(*, kept: set[int]) -> None:
    """Kill every child but those, and its children, which then become ours."""
    while ending := [pid for pid in _children() if pid not in kept and _killed(pid)]:
        for pid in ending:
            os.waitpid(pid, 0)


def _children() -> list[int]:
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _is_ours(pid)]  # noqa: PTH208 - names are enough
    return []


def _is_ours(pid: int) -> bool:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - as above
        return int(file.read().rpartition(")")[2].split()[1]) == os.getpid()
    return False


def _killed(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:  # it has another user's rights (setuid)
        return False
    return True


def _result(step: _Step, end: Message) -> Message:
    unit = 1 << 10 if _LINUX else 1 << 20  # getrusage(2) counts KiB, macOS bytes
    exit_code = end["exit_code"]
    return {
        "step": step.number,
        "exit_code": exit_code if exit_code >= 0 else None,
        "signal": -exit_code if exit_code < 0 else None,
        "stop": step.stop,
        "oom_killed": oom_kills() > step.oom_kills,
        "peak_memory_mib": end["peak_memory"] // unit,
        "seconds": time.monotonic() - step.began,
    }


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def oom_kills() -> int:
    """Count the kernel's out-of-memory kills: in our control group, else on this machine."""
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
    """Restore the default of every signal: a program's, or Python's own."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(number) not in (signal.SIG_DFL, None):
            signal.signal(number, signal.SIG_DFL)
    if as_python:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _enter(request: Message) -> None:
    log = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC)
    found = os.fstat(log)
    if (found.st_dev, found.st_ino) != request["log_is"]:  # a step has put another file there
        raise FileExistsError(errno.EEXIST, "another file than the log", request["log"])
    os.set_blocking(log, True)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.chdir(request["directory"])
    if request["module"]:
        os.environ.clear()  # noqa: TID251 - in the step's process, its environment is the request's
        os.environ.update(request["environment"])  # noqa: TID251 - the same


def _execute(argv: list[str], environment: Mapping[str, str]) -> int:
    try:
        os.execvpe(argv[0], argv, environment)  # noqa: S606 - a list, and no shell
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
        return _NOT_FOUND if isinstance(error, FileNotFoundError) else _CANNOT_EXECUTE


def main() -> None:
    """Serve the driver at standard input, with the modules of the command line imported."""
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
