"""What of a warning is the same for every task of a family."""

import pytest

from tac.run.warned import gist


@pytest.mark.parametrize(
    ("first", "second", "alike"),
    [
        ("Task A(n=1) without outputs", "Task A(n=2, m=(3)) without outputs", True),
        ("Task A(n=1) without outputs", "Task B(n=1) without outputs", False),
        ('Parameter "n" with value "1" is odd.', 'Parameter "n" with value "x y" is odd.', True),
        ('Parameter "n" with value "1" is odd.', 'Parameter "m" with value "1" is odd.', False),
        ("row 17 is odd", "row 4 is odd", True),
    ],
)
def test_warnings_are_alike_but_for_their_particulars(first, second, alike):
    assert (gist(first) == gist(second)) is alike
