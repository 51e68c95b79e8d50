import pytest

from tac.runners.docker.sweep import is_in_store

HERE, THERE = "http://here:8333", "http://there:8333"


@pytest.mark.parametrize(
    ("labels", "store", "expected"),
    [
        ({}, "/s", False),
        ({"tac/output": ""}, "/s", False),
        ({"tac/output": "/s/x"}, "/s", True),
        ({"tac/output": "/s/x"}, "/s/", True),
        ({"tac/output": "/store/x"}, "/s", False),
        ({"tac/output": "/s/x"}, "s3://b/p", False),
        ({"tac/output": "s3://b/p/x", "tac/s3-endpoint": HERE}, "s3://b/p", True),
        ({"tac/output": "s3://b/p/x", "tac/s3-endpoint": HERE}, "s3://b/p/", True),
        ({"tac/output": "s3://b/p/x", "tac/s3-endpoint": THERE}, "s3://b/p", False),
        ({"tac/output": "s3://b/q/x", "tac/s3-endpoint": HERE}, "s3://b/p", False),
        ({"tac/output": "s3://b/p/x"}, "s3://b/p", False),
    ],
)
def test_an_output_belongs_to_the_store_that_it_lies_in_at_the_same_s3(labels, store, expected):
    assert is_in_store(labels, store, HERE) is expected
