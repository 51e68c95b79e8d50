"""Untrusted text, made safe for a terminal, a page or a log: `plain`, the one function for it.

Pure. Text of a step, a server, a file or an exception may hold escape sequences that a terminal
executes and does not show: a new window title, a write to the clipboard (OSC 52), lines overwritten
or hidden, a reversed reading order. Whatever is shown goes through `plain` where it becomes
visible, so that no caller has to do it:

- what a command prints about an error, a plan or a run (`tac.step`, `tac.cli`, `tac.live`);
- what Luigi's dashboard shows of a task (`tac.luigi_task`), and what is logged;
- what a verdict quotes of a step's last lines (`tac.exits`), and every server's text
  (`tac.errors.cut`).

Data stays byte for byte: the output of a step on stdout, a log file, a black box. A log file keeps
what the step wrote, for the post-mortem: read one with `less`, which shows control characters,
rather than with `cat`.

Letters of every language stay: umlauts, Chinese, right-to-left letters, combining marks, emoji and
their joiners. Homoglyphs stay too: this is no defence against those.
"""

from __future__ import annotations

import re

from tac.redaction import redacted

TEXT_LIMIT = 2000
"""Characters of one message, or of one hint, that are shown; with every address in it, ours are
below half of that."""

# ECMA-48: a control sequence (colours, cursor), a control string (title, clipboard, link), and the
# two or three characters of every other sequence. A string without an end on its line is none: it
# may not swallow what follows.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[]PX^_]|[\x90\x98\x9d-\x9f])[^\x00-\x08\x0a-\x1f\x7f-\x9f]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-Z\\\]^_`a-~]"
)
_LINE_ENDS = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_UNSEEN = re.compile(
    "["
    r"\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f"  # C0 and C1 but for tabs and ends of lines
    r"\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f"
    "]"
)
"""Invisible characters that change how the rest reads: controls, bidirectional overrides,
characters of zero width, tags."""

_SURROGATES = re.compile(r"[\ud800-\udfff]")
"""Halves of characters, and how Python writes a byte of a file's name that is no UTF-8."""

_IDLE_JOINERS = re.compile(
    r"(?<![^\x00-\x7f\s\u200c\u200d])[\u200c\u200d]+"
    r"|[\u200c\u200d]+(?![^\x00-\x7f\s\u200c\u200d])"
)
"""Persian, Indic scripts and emoji need the joiners; between Latin letters they only hide."""


def plain(text: str, *, limit: int | None = TEXT_LIMIT, lines: bool = False) -> str:
    """Return an untrusted text without escape sequences, and not longer than `limit`.

    It becomes one line with single spaces. With `lines` its lines and its indentation stay, and
    tabs become spaces. Secrets in addresses are left out, before anything is cut: half a
    password is one too. Applied again it changes nothing.
    """
    if not (text.isascii() and text.isprintable()):
        text = _without_controls(text)
    text = redacted(text)
    text = _each_line(text) if lines else " ".join(text.split())
    return text if limit is None or len(text) <= limit else f"{text[: limit - 1]}…"


def plain_line(text: str, *, limit: int | None = TEXT_LIMIT) -> str:
    """Return the text as one plain line whose columns stay where they are."""
    return plain(text, limit=limit, lines=True).replace("\n", " ")


def _without_controls(text: str) -> str:
    text = _SEQUENCES.sub("", text)
    text = _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)
    return _IDLE_JOINERS.sub("", _UNSEEN.sub("", text))


def _each_line(text: str) -> str:
    return _LINE_ENDS.sub("\n", text).expandtabs()
