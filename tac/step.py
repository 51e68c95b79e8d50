"""What every step command shares: exit codes, an output that exists already, SIGTERM, progress.

A step is a function with a click command over it.
The command line is all that a runner knows of it: this module is the other side of tac/verdict.py.
It imports nothing heavy: `python -m tac.fetch --help` costs what click costs.

    @step(suffixes=(".parquet", ".csv"))
    @click.argument("inputs", nargs=-1, required=True)
    def main(out: Output, inputs: tuple[str, ...]) -> None:
        ...
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Self, TextIO

import click

from tac import names, settings, terminal
from tac.build_id import build_id
from tac.errors import ConfigError, StorageFull, TacError
from tac.limits import check_input_bytes
from tac.plain import plain
from tac.progress import Progress, format_progress
from tac.store import store_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

STDOUT = "-"
SIGTERM_EXIT_CODE = 143  # 128 + SIGTERM, as a shell says it
SIGINT_EXIT_CODE = 130

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_SECONDS_BETWEEN_LINES = 1.0
_THOUSAND = 1000
_BAR_WIDTH = 20
_BESIDE_BAR = 24
"""Characters of a bar's line: brackets, blanks, the percentage, the time left, and the cursor."""


def say(text: str) -> None:
    """Print one line on stderr, because stdout is for data."""
    with contextlib.ExitStack() as stack:
        for bar in _bars:
            stack.enter_context(bar.cleared())
        terminal.say(text)


def read(address: str) -> BinaryIO:
    """Open an input, a path or s3:// URL, for reading from its start; seekable.

    Raises:
        InputMissing, BucketMissing, AccessDenied, StorageUnavailable: as the store says.
    """
    return store_of(address).open(address)


def read_bytes(address: str) -> bytes:
    """Return the whole content of an input, if it is not more than the settings allow.

    Raises:
        DataError: it is more.
        InputMissing, BucketMissing, AccessDenied, StorageUnavailable: as the store says.
    """
    own = settings.current()
    most, seconds = own.most_input_bytes, own.download_seconds
    with store_of(address).open(address, most_bytes=most, most_seconds=seconds) as file:
        # A file may grow, or be a device that never ends.
        content = file.read(most + 1)
    check_input_bytes(address, len(content), most, verb="holds at least")
    return content


@dataclass(frozen=True)
class Output:
    """Where a step's output goes, and its format, such as `.parquet`."""

    address: str
    suffix: str

    @contextlib.contextmanager
    def create(self) -> Iterator[BinaryIO]:
        """Write the output: published whole when the block ends well, not at all when it raises."""
        if self.address == STDOUT:
            if sys.stdout is None:
                raise ConfigError("-: standard output is closed", hint="name a file, or s3://…")
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
            return
        with store_of(self.address).create(self.address) as draft:
            yield draft.file
            size = draft.file.tell()
        if draft.published:
            say(f"{self.address}: written, {format_size(size)}")
        else:
            say(f"{self.address}: another process published it first; its output is kept")


def format_size(size: int) -> str:
    """Write a number of bytes for a person."""
    amount = float(size)
    for unit in ("bytes", "kB", "MB"):
        if amount < _THOUSAND:
            return f"{amount:.3g} {unit}" if unit != "bytes" else f"{size} bytes"
        amount /= _THOUSAND
    return f"{amount:.3g} GB"


class Bar:
    """Progress through a number of parts: a bar on a terminal, `[ 40 %] …` lines elsewhere."""

    def __init__(self, label: str, total: int, stream: TextIO) -> None:
        self._label, self._total, self._done = label, max(total, 1), 0
        self._last_line = float("-inf")
        self._stream = stream
        # click's bar prints its label once where the stream is no terminal: there `advance` prints.
        self._bar = (
            click.progressbar(
                length=self._total,
                label=plain(label),
                file=stream,
                width=_BAR_WIDTH,
                item_show_func=self._shown,
            )
            if terminal.is_terminal(stream)
            else None
        )

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.__enter__()
            _bars.append(self)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            _bars.remove(self)
            self._bar.__exit__(None, None, None)

    @contextlib.contextmanager
    def cleared(self) -> Iterator[None]:
        """Clear the line of the bar for a message; the bar is drawn again below it."""
        if self._bar is None:
            yield
            return
        click.echo("\r\x1b[2K", file=self._stream, nl=False)
        yield
        self._bar._last_line = None  # noqa: SLF001 - or click does not draw the same line again
        self._bar.render_progress()

    def _shown(self, doing: str | None) -> str:
        """Cut it so that the bar takes one line: a second line would not be erased."""
        text = plain(doing or "")
        width = shutil.get_terminal_size().columns - len(self._label) - _BAR_WIDTH - _BESIDE_BAR
        return text if len(text) <= width else f"…{text[1 - width :]}" if width > 1 else ""

    def advance(self, doing: str = "", *, parts: int = 1) -> None:
        """Count `parts` as done; `doing` names the part."""
        self._done = min(self._done + parts, self._total)
        if self._bar is not None:
            self._bar.update(parts, doing)
            return
        now = time.monotonic()
        if self._done < self._total and now - self._last_line < _SECONDS_BETWEEN_LINES:
            return
        self._last_line = now
        text = f"{self._label}: {doing}" if doing else self._label
        say(format_progress(Progress(100 * self._done // self._total, text)))


_bars: list[Bar] = []
"""Those that are drawn on the terminal."""


def progress(label: str, *, total: int) -> Bar:
    """Show the progress of a step, on the terminal or to the runner that follows the log."""
    return Bar(label, total, sys.stderr)


class ClickError(click.ClickException):
    """A TacError as click shows it: message and hint, and its exit code."""

    def __init__(self, error: TacError, exit_code: int | None = None) -> None:
        super().__init__(error.message)
        code = error.exit_code if exit_code is None else exit_code
        self.__dict__["exit_code"] = code  # click declares it for the class alone
        self.hint = error.hint

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it."""
        terminal.show_error(self.message, self.hint, file)


class PlainUsage(click.Command):
    """A click command whose errors quote nothing raw, neither arguments nor exceptions."""

    def make_context(self, *values: Any, **named: Any) -> click.Context:
        """Read the command line."""
        terminal.guard()
        with _plain_usage():
            return super().make_context(*values, **named)

    def invoke(self, ctx: click.Context) -> Any:
        """Run it, and with it what reads the command line of a command below."""
        with _plain_usage():
            return super().invoke(ctx)


@contextlib.contextmanager
def _plain_usage() -> Iterator[None]:
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:  # its message is our own help page
        raise
    except click.ClickException as error:
        error.__dict__["message"] = plain(error.message)  # click declares it final
        raise


def refuse_repeated(command: click.Command, ctx: click.Context, args: Sequence[str]) -> None:
    """Refuse a second value for an option: click silently takes the last.

    Raises:
        ClickError: an option is given twice.
    """
    _, _, order = command.make_parser(ctx).parse_args(args=list(args))
    for param, count in Counter(order).items():
        if (
            count > 1
            and isinstance(param, click.Option)
            and not (param.multiple or param.is_flag or param.count)
        ):
            raise ClickError(ConfigError(f"{param.opts[0]}: is given twice"))


class Step(PlainUsage):
    """A click command with the exit codes that runners understand."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line, if a driver of this build wrote it.

        That is checked first, because another build may mean something else by the same command
        line, or by the same output: also where the output exists already, so that two builds are
        found out at the first step, and not at the first that has work to do.
        """
        try:
            _check_build(settings.variable(names.DRIVER_VERSION))
        except ConfigError as error:
            raise ClickError(error) from error
        if not ctx.resilient_parsing:
            refuse_repeated(self, ctx, args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the step; every error ends in a message and an exit code."""
        debug = bool(ctx.params.pop("debug", False))
        out = ctx.params["out"]
        if out.address == STDOUT:
            out = ctx.params["out"] = Output(
                STDOUT, "." + (ctx.params["format"] or self._default(ctx))
            )
        ctx.params.pop("format")
        try:
            with _stopped_by_sigterm():
                return None if _exists(out) else super().invoke(ctx)
        except KeyboardInterrupt:
            say("stopped; nothing was written")
            ctx.exit(SIGINT_EXIT_CODE)
        except TacError as error:
            if debug:
                terminal.show_traceback(error)
            raise ClickError(error) from error
        except OSError as error:
            if error.errno not in _NO_SPACE:
                raise
            full = StorageFull(
                f"{error.filename or out.address}: cannot be written: {error.strerror}",
                hint="`df -h` shows which disk is full",
            )
            raise ClickError(full) from error

    @staticmethod
    def _default(ctx: click.Context) -> str:
        choices = next(p for p in ctx.command.params if p.name == "format").type
        names = list(choices.choices) if isinstance(choices, click.Choice) else []
        return "csv" if "csv" in names else str(names[0])


def _check_build(of_driver: str | None) -> None:
    if of_driver and of_driver != build_id():
        raise ConfigError(
            f"tac {build_id()} runs this step, and tac {of_driver} asked for it: "
            "they must be one build",
            hint="build the image from the driver's checkout (`make image`), on Kubernetes load or "
            "push it too, or name another (`--image`); TAC_CHECK_BUILD=no is for developers of tac",
        )


def _exists(out: Output) -> bool:
    """Say so in one line when the output exists already, and which version of tac made it."""
    if out.address == STDOUT:
        return False
    stat = store_of(out.address).stat(out.address)
    if stat is None:
        return False
    maker = f"tac {stat.version}" if stat.version else "an unknown version"
    say(
        f"{out.address}: exists, {format_size(stat.size)},"
        f" made {stat.modified:%Y-%m-%d %H:%M} UTC by {maker}; nothing to do"
    )
    return True


@contextlib.contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """Let SIGTERM unwind the step, which drops an unfinished output; a second one ends it at once.

    A step is process 1 of its container, where a signal without a handler is ignored.
    """

    def stop(*_: object) -> None:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(SIGTERM_EXIT_CODE))
        with contextlib.suppress(OSError):  # its reader may have closed it
            os.write(2, b"stopped by SIGTERM; nothing was written\n")
        raise SystemExit(SIGTERM_EXIT_CODE)

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not in the main thread: a test that calls the command as a function
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _OutputType(click.ParamType[Output]):
    name = "address"

    def __init__(self, suffixes: Sequence[str]) -> None:
        self._suffixes = tuple(suffixes)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Output:
        if isinstance(value, Output):
            return value
        if value == STDOUT:
            return Output(STDOUT, "")
        suffix = PurePosixPath(value).suffix
        if suffix not in self._suffixes:
            self.fail(f"{value!r} does not end in {' or '.join(self._suffixes)}.", param, ctx)
        return Output(value, suffix)


def step(*, suffixes: Sequence[str]) -> Callable[[Callable[..., None]], Step]:
    """Make a function a step command; its first argument is `out`, which ends in one of `suffixes`.

    When the output exists already, the step says so and exits with 0, without reading its inputs.
    """

    def decorate(function: Callable[..., None]) -> Step:
        function = click.option("--debug", is_flag=True, help="Show the traceback of an error.")(
            function
        )
        function = click.option(
            "--format",
            type=click.Choice([suffix.removeprefix(".") for suffix in suffixes]),
            help="The format when OUT is '-', standard output.",
        )(function)
        function = click.argument("out", type=_OutputType(suffixes))(function)
        return click.command(
            cls=Step,
            context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        )(function)

    return decorate
