import pytest

from tac.errors import ConfigError
from tac.quantities import (
    amount_for,
    format_bytes,
    format_cpu,
    format_memory,
    more_memory,
    parse_cpu,
    parse_memory,
    parse_quantities,
    parse_quantity,
)


@pytest.mark.parametrize(
    ("text", "billionths"),
    [
        ("0", 0),
        ("1", 10**9),
        ("+1", 10**9),
        ("-1.5", -1_500_000_000),
        ("1.", 10**9),
        (".5", 500_000_000),
        ("-.5", -500_000_000),
        ("1n", 1),
        ("1.2n", 2),
        ("1u", 10**3),
        ("500m", 500_000_000),
        ("0.57", 570_000_000),
        ("2k", 2 * 10**12),
        ("2M", 2 * 10**15),
        ("2G", 2 * 10**18),
        ("2T", 2 * 10**21),
        ("2P", 2 * 10**24),
        ("2E", 2 * 10**27),
        ("1.5Ki", 1536 * 10**9),
        ("2Mi", 10**9 << 21),
        ("2Gi", 10**9 << 31),
        ("2Ti", 10**9 << 41),
        ("2Pi", 10**9 << 51),
        ("2Ei", 10**9 << 61),
        ("1e3", 10**12),
        ("1E3", 10**12),
        ("1.25e+1", 12_500_000_000),
        ("5e-1", 500_000_000),
        ("9223372036854775807", 9223372036854775807 * 10**9),
    ],
)
def test_a_quantity_is_read_exactly_whatever_its_form(text, billionths):
    assert parse_quantity(text) == billionths


@pytest.mark.parametrize(
    "text",
    [
        *("", " 1", "1 ", ".", "1..2", "Gi", "1K", "1ki", "1mi", "1GB", "1e", "1e1.5", "1e3Gi"),
        *("1e999", "0x10", "1_000", "1,5", "inf", "nan", "٣", "9" * 21, "1\n"),
    ],
)
def test_what_kubernetes_does_not_take_is_no_quantity(text):
    assert parse_quantity(text) is None


def test_of_many_quantities_what_is_none_is_left_out():
    texts = {"cpu": "500m", "memory": "2Ki", "pods": "many", "count/jobs.batch": "3"}

    assert parse_quantities(texts) == {
        "cpu": 500_000_000,
        "memory": 2048 * 10**9,
        "count/jobs.batch": 3 * 10**9,
    }


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2Gi", 2 << 30),
        ("512Mi", 512 << 20),
        ("1.5Gi", 3 << 29),
        ("2G", 2_000_000_000),
        ("300M", 300_000_000),
        ("8000k", 8_000_000),
        ("8000Ki", 8000 << 10),
        (" 67108864 ", 64 << 20),
        ("1e9", 10**9),
    ],
)
def test_memory_is_read_as_kubernetes_writes_it(text, size):
    assert parse_memory(text) == size


def test_bytes_are_written_in_the_largest_unit_that_leaves_none_over():
    sizes = (0, 1000, 1024, 1 << 20, 1000 << 20, 1 << 30, (1 << 30) + 1)

    assert [format_bytes(size) for size in sizes] == [
        *("0", "1000", "1Ki", "1Mi", "1000Mi", "1Gi", "1073741825"),
    ]


@pytest.mark.parametrize(("text", "count"), [("1.5", 1_500_000_000), ("500m", 500_000_000)])
def test_processors_are_read_as_kubernetes_writes_them(text, count):
    assert parse_cpu(text) == count


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2Gi", "2Gi"),
        (" 1.5Gi ", "1.5Gi"),
        ("512MiB", "512Mi"),
        ("2GB", "2G"),
        ("64000K", "64000k"),
        ("64000ki", "64000Ki"),
        ("67108864", "67108864"),
        ("67108864B", "67108864"),
    ],
)
def test_memory_is_written_as_kubernetes_takes_it(text, written):
    assert format_memory(text) == written


def test_processors_are_written_as_kubernetes_takes_them():
    assert [format_cpu(text) for text in ("1.5", " 500m ")] == ["1.5", "500m"]


@pytest.mark.parametrize(
    ("read", "text", "message", "hint"),
    [
        (parse_memory, "2 GB", "memory: '2 GB' is not an amount", "write it like 512Mi or 2Gi"),
        (
            parse_memory,
            "2",
            "memory: '2' is less than a container can have",
            "write it like 512Mi or 2Gi",
        ),
        (parse_memory, "512m", "memory: '512m' is not an amount", "write it like 512Mi or 2Gi"),
        (parse_memory, "-2Gi", "memory: '-2Gi' is not an amount", "write it like 512Mi or 2Gi"),
        (format_memory, "2Pi", "memory: '2Pi' is not an amount", "write it like 512Mi or 2Gi"),
        (format_cpu, "", "cpu: '' is no number of processors", "write it like 1.5"),
        (parse_cpu, "0", "cpu: '0' is no number of processors", "write it like 1.5"),
        (parse_cpu, "-1", "cpu: '-1' is no number of processors", "write it like 1.5"),
        (parse_cpu, "all", "cpu: 'all' is no number of processors", "write it like 1.5"),
        (parse_memory, "٣Gi", "memory: '٣Gi' is not an amount", "write it like 512Mi or 2Gi"),
        (
            parse_memory,
            "9" * 400,
            f"memory: '{'9' * 400}' is not an amount",
            "write it like 512Mi or 2Gi",
        ),
        (parse_cpu, "٣", "cpu: '٣' is no number of processors", "write it like 1.5"),
        (
            parse_cpu,
            "9" * 400,
            f"cpu: '{'9' * 400}' is no number of processors",
            "write it like 1.5",
        ),
    ],
)
def test_a_limit_that_cannot_be_one_is_an_error(read, text, message, hint):
    with pytest.raises(ConfigError) as caught:
        read(text)

    assert (caught.value.message, caught.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("now", "first", "most", "more"),
    [
        ("256Mi", "256Mi", "", "512Mi"),
        ("512Mi", "256Mi", "", "1024Mi"),
        ("1024Mi", "256Mi", "", "1024Mi"),
        ("1Gi", "1Gi", "1.5Gi", "1536Mi"),
        ("1536Mi", "1Gi", "1.5Gi", "1536Mi"),
        ("2Gi", "2Gi", "1Gi", "2Gi"),
        ("500M", "500M", "", "953Mi"),
    ],
)
def test_a_step_that_ran_out_of_memory_gets_twice_as_much_up_to_a_limit(now, first, most, more):
    assert more_memory(now, first, most) == more


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("", ""),
        ("2Gi", "2Gi"),
        ("Fit=4Gi", "4Gi"),
        ("Predict=4Gi", ""),
        ("Predict=4Gi, 2Gi", "2Gi"),
        ("2Gi, Fit = 4Gi ,Predict=8Gi", "4Gi"),
        ("Fitted=4Gi", ""),
    ],
)
def test_an_amount_is_for_a_family_of_tasks_or_for_all(text, amount):
    assert amount_for(text, "Fit") == amount
