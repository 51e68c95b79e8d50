import sys
import unicodedata

import pytest

from tac.plain import plain

NEEDED = {
    *range(0x0600, 0x0606),  # Arabic signs that enclose numbers, and their like: they are seen
    *(0x06DD, 0x070F, 0x0890, 0x0891, 0x08E2, 0x110BD, 0x110CD),
    *range(0x13430, 0x13440),  # how hieroglyphs are joined
}
"""Format characters without which a script cannot be written."""

ATTACKS = [
    ("red \x1b[31;1mtext\x1b[0m", "red text"),
    ("a title \x1b]0;root@prod\x07here", "a title here"),
    ("a title \x1b]2;root@prod\x1b\\here", "a title here"),
    ("a clipboard \x1b]52;c;cm0gLXJmIC8K\x07here", "a clipboard here"),
    ("a \x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "a link"),
    ("hidden \x1b[8mtext\x1b[28m shown", "hidden text shown"),
    ("up \x1b[5A\x1b[2K\x1b[1;1H", "up"),
    ("reset \x1bc and charset \x1b(0", "reset and charset"),
    ("a device is asked \x1b[c\x1b[6n\x1bP$qm\x1b\\", "a device is asked"),
    ("C1: \x9b31mred \x9d0;title\x9c and \x90q\x9c", "C1: red and"),
    ("no end \x1b]0;what follows", "no end 0;what follows"),
    ("no end \x1b[31", "no end [31"),
    ("no end on its line \x1b]0;one\ntwo\x07", "no end on its line 0;one two"),
    ("lone \x1b", "lone"),
    ("one in another \x1b\x1b[31m[31mtext", "one in another [31mtext"),
    ("10 %\r20 %\rdone", "10 % 20 % done"),
    ("over\b\b\b\bwritten", "overwritten"),
    ("nul \0 bell \a delete \x7f", "nul bell delete"),
    ("C1 \x80\x84\x86\x8d\x99", "C1"),
    ("abc\u202etxt.exe\u202c", "abctxt.exe"),
    ("is\u2066olated\u2069 and \u200emarked\u200f", "isolated and marked"),
    ("no\u200b width\ufeff\u2060 \u00ad", "no width"),
    ("a\u200db and a\u200c", "ab and a"),
    ("tags \U000e0072\U000e006d", "tags"),
    ("lines\nof\r\nwords\u2028and\u2029paragraphs\x85\v\f", "lines of words and paragraphs"),
    ("tabs\tare\tspaces", "tabs are spaces"),
    ("a file \udc9b31m", "a file \ufffd31m"),
    ("half \ud83d", "half \ufffd"),
]


@pytest.mark.parametrize(("text", "shown"), ATTACKS)
def test_what_a_terminal_obeys_is_not_shown(text, shown):
    assert plain(text) == shown
    assert plain(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain words, in one line",
        "Zürich, Łódź, Ångström, Straße",
        "東京 서울 ไทย हिन्दी",
        "e\u0301 and a\u0308 combined",
        "שלום عليكم",
        "می\u200cخواهم",  # noqa: RUF001 - Persian
        "क\u094d\u200dष",
        "👍🏽 👩\u200d👩\u200d👧 🏳\ufe0f\u200d🌈",
        "markup [bold]stays[/bold] <b>as it is</b> & %s {}",
        "\ue0b0 private use",
    ],
)
def test_what_people_write_stays(text):
    assert plain(text) == text
    assert plain(text, lines=True) == text


def test_lines_and_indentation_stay_where_they_are_wanted():
    text = "Traceback:\n  File \x1b[1mx.py\x1b[0m\r\n\tcolumn\ttwo\n\n10 %\r20 %"
    shown = "Traceback:\n  File x.py\n        column  two\n\n10 %\n20 %"

    assert plain(text, lines=True) == shown
    assert plain(shown, lines=True) == shown


def test_a_long_text_is_cut():
    assert plain("a" * 5000) == "a" * 1999 + "…"
    assert plain("a" * 2000) == "a" * 2000
    assert plain("a b\n" * 10, limit=8) == "a b a b…"
    assert plain("a" * 5000, limit=None) == "a" * 5000


def test_no_character_that_is_not_seen_gets_through():
    hidden = {
        code
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
    }

    let_through = {code for code in hidden if plain(chr(code)) not in {"", "\ufffd"}}

    assert let_through == NEEDED & hidden


def test_a_hostile_text_costs_no_more_than_its_length():
    # A pattern that looks again from each place would take hours.
    for piece in ("\x1b]", "\x9d", "\x1b[0;", "\x9b ", "\u200d", "\x1b ", "\r", "\x1bP\x1b"):
        plain(piece * (1 << 20))
