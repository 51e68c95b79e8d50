import re

import pytest

from tac import names

IDENTITY = ("FetchData", "FetchData_2023_03_01_a1b2", "s3://bucket/flights/2023-03-01.parquet")


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("FetchData", "fetch-data"),
        ("my.pipeline.FetchData", "my-pipeline-fetch-data"),
        ("HTTPFetch", "http-fetch"),
        ("fetch_data", "fetch-data"),
        ("Top10Routes", "top10-routes"),
        ("2023Report", "x-2023-report"),
        ("Börse", "b-rse"),
        ("__", "x"),
        ("", "x"),
        ("A" * 100, "a" * 40),
        ("Report" * 7, "report-report-report-report-report-repor"),
        (f"{'a' * 39}-b", "a" * 39),
    ],
)
def test_a_slug_is_a_dns_label(text, slug):
    assert names.slug(text) == slug
    assert re.fullmatch(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?", slug)


def test_the_name_of_a_task_is_the_same_on_every_machine():
    assert names.log_name(*IDENTITY) == "fetch-data-88bef20bda74"


@pytest.mark.parametrize(
    "other",
    [
        ("FetchData", "FetchData_2023_03_02_a1b2", IDENTITY[2]),
        ("FetchData", IDENTITY[1], "elsewhere/flights/2023-03-01.parquet"),
        ("FetchData", IDENTITY[1], IDENTITY[2], "tac:1.0"),
        ("FetchData", IDENTITY[1] + IDENTITY[2], ""),
        ("FetchData", "", IDENTITY[1] + IDENTITY[2]),
    ],
)
def test_every_part_of_an_identity_changes_the_name(other):
    assert names.log_name(*other) != names.log_name(*IDENTITY)


def test_a_name_leaves_room_for_the_number_of_an_attempt_in_a_dns_label():
    assert len(names.log_name("A" * 200, "id", "address") + "-999") <= 63


@pytest.mark.parametrize(
    ("name", "step"),
    [("fetch-data-88bef20bda74", "fetch-data"), ("x-88bef20bda74", "x"), ("plain", "plain")],
)
def test_a_name_contains_its_step(name, step):
    assert names.step_of(name) == step
