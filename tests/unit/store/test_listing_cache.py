"""Which keys exist: how many questions it takes, and how old an answer may be."""

import random
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tac.errors import AccessDenied, StorageUnavailable
from tac.store.listing_cache import ABSENT_SECONDS, PRESENT_SECONDS, ListingCache, Page

PAGE_KEYS = 1000


class Server:
    """A list of keys that counts what it is asked, and a clock."""

    def __init__(self, keys: Iterable[str], by_path: bool = False) -> None:
        self.keys = set(keys)
        self.order: Callable[[str], Any] = (lambda k: k.split("/")) if by_path else (lambda k: k)
        self.now = 1000.0
        self.asked: list[str] = []
        self.pages: list[str] = []
        self.cache = ListingCache(self.ask, self.read_page, lambda: self.now)
        self.cache.confirms_absence = False

    def ask(self, key: str) -> bool:
        self.asked.append(key)
        return key in self.keys

    def read_page(self, after: str) -> Page:
        self.pages.append(after)
        order = self.order
        following = sorted((k for k in self.keys if order(k) > order(after)), key=order)
        return Page(following[:PAGE_KEYS], last=len(following) <= PAGE_KEYS)

    def questions(self) -> int:
        return len(self.asked) + len(self.pages)


def numbered(count: int, step: int = 1) -> list[str]:
    return [f"out/{number:06d}" for number in range(0, count, step)]


def settled(server: Server) -> Server:
    """A server of which a page has just been read."""
    for key in ("out/", "out/0", "out/00"):
        server.cache.exists(key)
    assert len(server.pages) == 1
    return server


@pytest.mark.parametrize(("count", "most"), [(1000, 3), (10_000, 15)])
def test_many_keys_take_few_questions(count: int, most: int):
    server = Server(numbered(count, 2))

    answers = [server.cache.exists(key) for key in numbered(count)]

    assert answers == [True, False] * (count // 2)
    assert server.questions() <= most


def test_many_keys_in_any_order_take_few_questions():
    server = Server(numbered(10_000, 2))
    keys = numbered(10_000)
    random.Random(1).shuffle(keys)

    assert all(server.cache.exists(key) == (key in server.keys) for key in keys)
    assert server.questions() < 500


def test_a_few_keys_of_a_very_long_collection_get_a_head_each():
    server = Server(numbered(50_000))
    keys = random.Random(1).sample(numbered(100_000), 200)

    assert all(server.cache.exists(key) == (key in server.keys) for key in keys)
    assert len(server.pages) < 20


def test_many_threads_share_the_answers():
    server = Server(numbered(5_000, 2))
    keys = numbered(5_000)

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(server.cache.exists, keys))

    assert answers == [key in server.keys for key in keys]
    assert server.questions() < 100


@pytest.mark.parametrize("by_path", [False, True])
def test_the_order_of_the_server_does_not_matter(by_path: bool):
    # AWS lists d-1 before d/…, SeaweedFS after it; a page that ends between them shows one side.
    days = [f"p/2023-{month:02d}-{day:02d}" for month in range(1, 13) for day in range(1, 29)]
    names = [f"{day}{end}" for day in days for end in ("", "-x", ".parquet", "/a/b", "/a.b", "/c")]
    there = {name for number, name in enumerate(names) if number % 3}
    for seed in range(20):
        server = Server(there, by_path)
        keys = list(names)
        if seed:
            random.Random(seed).shuffle(keys)

        assert all(server.cache.exists(key) == (key in there) for key in keys)


def test_a_server_without_order_gets_a_head_for_each_key():
    server = Server(numbered(100))
    server.order = lambda key: key[::-1]

    assert all(server.cache.exists(key) for key in numbered(100))
    assert not server.cache.exists("out/x")
    assert len(server.pages) == 1


def test_where_listing_is_not_allowed_each_key_is_asked():
    def denied(after: str) -> Page:
        raise AccessDenied("no")

    server = Server(numbered(50))
    cache = ListingCache(server.ask, denied, lambda: server.now)

    assert all(cache.exists(key) for key in numbered(50))
    assert len(server.asked) == 50


def test_an_error_is_raised_and_not_remembered():
    def away(_: str) -> bool:
        raise StorageUnavailable("away")

    cache = ListingCache(away, lambda _: Page([], last=True))

    for _ in range(2):
        with pytest.raises(StorageUnavailable):
            cache.exists("a")


def test_fresh_asks_the_key_itself():
    server = settled(Server(["out/a"]))
    before = len(server.asked)

    assert server.cache.exists("out/a", fresh=True)
    assert not server.cache.exists("out/b", fresh=True)
    assert server.asked[before:] == ["out/a", "out/b"]


def test_a_fresh_answer_is_cached():
    server = settled(Server(["out/a"]))
    server.keys = {"out/b"}
    server.now += 0.1

    assert not server.cache.exists("out/a", fresh=True)
    assert server.cache.exists("out/b", fresh=True)
    assert not server.cache.exists("out/a")
    assert server.cache.exists("out/b")


def test_one_listing_does_not_answer_absent_twice():
    server = settled(Server([]))
    assert not server.cache.exists("out/a")
    server.keys.add("out/a")

    assert server.cache.exists("out/a")


def test_an_old_listing_does_not_answer_absent():
    server = settled(Server([]))
    server.keys.add("out/a")
    server.now += ABSENT_SECONDS

    assert server.cache.exists("out/a")


def test_present_is_cached_for_a_few_seconds():
    server = settled(Server(["out/a"]))
    server.keys.clear()

    server.now += PRESENT_SECONDS - 0.1
    assert server.cache.exists("out/a")
    server.now += 0.1
    assert not server.cache.exists("out/a")


def test_once_tasks_run_absence_is_confirmed_and_presence_is_not():
    server = settled(Server(["out/a"]))
    server.cache.confirms_absence = True
    before = len(server.asked)

    assert server.cache.exists("out/a")
    assert not server.cache.exists("out/b")
    server.keys.add("out/b")
    assert server.cache.exists("out/b")
    assert server.asked[before:] == ["out/b", "out/b"]


def test_what_was_published_here_counts_at_once():
    server = settled(Server([]))
    assert not server.cache.exists("out/a")
    server.keys.add("out/a")
    server.cache.record_published("out/a")
    before = server.questions()

    assert server.cache.exists("out/a")
    assert server.questions() == before


def test_what_was_deleted_here_counts_at_once():
    server = settled(Server(["out/a"]))
    assert server.cache.exists("out/a")
    server.keys.clear()
    server.cache.record_deleted("out/a")

    assert not server.cache.exists("out/a")


def test_a_second_round_of_many_questions_takes_few_requests():
    server = Server([])
    for key in numbered(1000):
        server.cache.exists(key)
    server.keys = set(numbered(1000))
    server.now += 0.5
    before = server.questions()

    assert all(server.cache.exists(key) for key in numbered(1000))
    assert server.questions() - before <= 3


def test_nothing_is_kept_for_long():
    server = Server(numbered(3000))
    for round_ in range(5):
        server.now += 10
        for key in numbered(3000):
            server.cache.record_published(f"{key}-{round_}")
            server.cache.exists(f"{key}-no-{round_}")

    assert len(server.cache._present) <= 3000
    assert len(server.cache._absent) <= 3000
    assert len(server.cache._ranges) <= 4
