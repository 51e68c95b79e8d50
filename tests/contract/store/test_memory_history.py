"""What runs have learned is kept in the store, and only ever makes a step begin with more."""

import logging

import pytest

from tac import memory_history
from tac.store import store_of


@pytest.fixture(autouse=True)
def driver(monkeypatch):
    """Let nothing be known but by the store, as in a driver that has just begun."""

    def begin() -> None:
        monkeypatch.setattr(memory_history, "_known", {})

    begin()
    return begin


def test_a_family_begins_with_the_most_that_it_was_seen_to_need(home, driver):
    store = home.address("store")
    before = memory_history.memory_of("Fit", "256Mi", "", store=store)
    memory_history.keep_memory("Fit", "1Gi", store=store)
    memory_history.keep_memory("Fit", "512Mi", store=store)
    memory_history.keep_memory("Fitted", "8Gi", store=store)
    here = memory_history.memory_of("Fit", "256Mi", "", store=store)
    driver()
    later = memory_history.memory_of("Fit", "256Mi", "", store=store)

    assert (before, here, later) == ("256Mi", "1024Mi", "1024Mi")
    assert [entry.address for entry in store_of(store).list(store)] == [
        home.address("store/_tac/memory/Fit/1024"),
        home.address("store/_tac/memory/Fit/512"),
        home.address("store/_tac/memory/Fitted/8192"),
    ]


@pytest.mark.parametrize(
    ("own", "most", "begins_with"),
    [
        ("2Gi", "", "2Gi"),
        ("256Mi", "512Mi", "512Mi"),
        ("256Mi", "128Mi", "256Mi"),
        ("256Mi", "2Gi", "1024Mi"),
    ],
)
def test_it_begins_with_no_less_than_its_own_and_no_more_than_is_allowed(
    files_home, driver, own, most, begins_with
):
    store = files_home.address("store")
    memory_history.keep_memory("Fit", "1Gi", store=store)
    driver()

    assert memory_history.memory_of("Fit", own, most, store=store) == begins_with


def put(home, *names):
    """Create objects of these names where the memory history is read."""
    for name in names:
        address = home.address(f"store/_tac/memory/Fit/{name}")
        with store_of(address).create(address):
            pass


@pytest.mark.parametrize(
    ("name", "own", "most", "begins_with"),
    [
        ("1000", "256Mi", "", "1000Mi"),
        ("1025", "256Mi", "", "1024Mi"),  # four times its own
        ("999999999", "256Mi", "", "1024Mi"),
        ("999999999", "500M", "", "1907Mi"),
        ("999999999", "256Mi", "512Mi", "512Mi"),
        ("999999999", "256Mi", "1.5Gi", "1536Mi"),
        ("999999999", "2Gi", "1Gi", "2Gi"),  # never less than its own
        ("9999999999", "256Mi", "", "256Mi"),
        ("9" * 200, "256Mi", "", "256Mi"),
    ],
)
def test_no_name_in_the_store_makes_a_step_begin_with_more_than_the_cap(
    home, name, own, most, begins_with
):
    put(home, name)

    assert memory_history.memory_of("Fit", own, most, store=home.address("store")) == begins_with


def test_what_is_no_amount_is_passed_over(home):
    put(
        home,
        "512",
        "notes.txt",
        "-1024",
        "0",
        "01024",
        "1024Mi",
        "1_024",
        "+1024",
        " 1024",
        "٣٠٠٠",
        "²",
        "1e3",
        "0x400",
        "9" * 200,
        "deep/1024",
    )

    assert memory_history.memory_of("Fit", "256Mi", "", store=home.address("store")) == "512Mi"


def test_of_an_overfull_folder_no_more_names_are_read_than_the_limit(s3_home, monkeypatch):
    monkeypatch.setattr(memory_history, "_MOST_NAMES", 3)
    put(s3_home, 301, 302, 303, 304, 305)  # S3 lists by name

    assert memory_history.memory_of("Fit", "256Mi", "", store=s3_home.address("store")) == "303Mi"


def test_an_unreachable_store_is_logged_and_no_reason_to_fail(tmp_path, caplog):
    (tmp_path / "_tac").write_text("in the way")

    with caplog.at_level(logging.WARNING):
        begins_with = memory_history.memory_of("Fit", "256Mi", "", store=str(tmp_path))
        memory_history.keep_memory("Fit", "1Gi", store=str(tmp_path))

    assert begins_with == "256Mi"
    assert caplog.messages
    assert all(f"{tmp_path}/_tac/memory/Fit/" in message for message in caplog.messages)
    assert memory_history.memory_of("Fit", "256Mi", "", store=str(tmp_path)) == "1024Mi"
