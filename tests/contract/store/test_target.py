"""Luigi targets, on a real directory and on a real S3, in the hands of luigi itself."""

import contextlib
import gc
import pickle
import warnings
from pathlib import Path

import luigi
import luigi.format
import luigi.scheduler
import luigi.worker
import pytest
from luigi.target import FileAlreadyExists, FileSystemException

from tac import settings
from tac.errors import BucketMissing, ConfigError, InputMissing
from tac.store.s3_client import location_of
from tac.target import StoreFileSystem, StoreTarget, in_store, target_at
from tests.support.faults import running_proxy
from tests.support.homes import Home, S3Home, publish, read
from tests.support.s3 import Bucket, Server, free_ports, point_tac_at

FS = StoreFileSystem()


def target(home: Home, key: str = "d/a.txt", shape: luigi.format.Format | None = None):
    return StoreTarget(home.address(key), format=shape)


def write(target: StoreTarget, text: str | bytes) -> None:
    with target.open("w") as file:
        file.write(text)


def test_text_is_the_format_by_default(home: Home):
    write(target(home), "zwölf\nBoxkämpfer\n")

    assert home.contents() == {"d/a.txt": "zwölf\nBoxkämpfer\n".encode()}
    with target(home).open() as file:
        assert list(file) == ["zwölf\n", "Boxkämpfer\n"]


@pytest.mark.parametrize(
    ("shape", "content"),
    [
        (luigi.format.Nop, b"\x00\xff\n"),
        (luigi.format.UTF8, "zwölf\n"),
        (luigi.format.Gzip, b"\x00\xff\n" * 100_000),
        (luigi.format.Text >> luigi.format.Gzip, "zwölf\n" * 100_000),
    ],
)
def test_luigis_formats_come_back_as_they_went(home: Home, shape, content: str | bytes):
    write(target(home, shape=shape), content)

    with target(home, shape=shape).open("r") as file:
        assert file.read() == content


def test_a_gzip_target_is_gzip(home: Home):
    write(target(home, shape=luigi.format.Gzip), b"1")

    assert home.contents()["d/a.txt"].startswith(b"\x1f\x8b")


def test_writing_what_exists_keeps_the_first(home: Home):
    write(target(home), "first")
    write(target(home), "second")

    assert home.contents() == {"d/a.txt": b"first"}


@pytest.mark.parametrize("shape", [None, luigi.format.Nop, luigi.format.Gzip])
def test_a_block_that_raises_publishes_nothing(home: Home, shape):
    def fail() -> None:
        with target(home, shape=shape).open("w") as file:
            file.write("half" if shape is None else b"half")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    gc.collect()
    assert home.contents() == {}
    assert not target(home).exists()


@pytest.mark.parametrize("shape", [None, luigi.format.Nop, luigi.format.Gzip])
def test_an_unclosed_writer_publishes_nothing(home: Home, shape):
    file = target(home, shape=shape).open("w")
    file.write("half" if shape is None else b"half")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # luigi leaves gzip's pipe open
        del file
        gc.collect()

    assert home.contents() == {}
    assert not target(home).exists()


def test_a_writer_that_is_closed_publishes(home: Home):
    file = target(home).open("w")
    file.write("1")
    assert not target(home).exists()
    file.close()

    assert home.contents() == {"d/a.txt": b"1"}
    assert target(home).exists()


@pytest.mark.parametrize("known", [InputMissing, FileNotFoundError, FileSystemException])
def test_reading_a_missing_input_is_an_error_of_tac_python_and_luigi(home: Home, known):
    with pytest.raises(known):
        target(home).open("r")


@pytest.mark.parametrize(("write_mode", "read_mode"), [("w", "r"), ("wb", "rb"), ("wt", "rt")])
def test_a_mode_of_text_or_bytes_leaves_that_to_the_format(home: Home, write_mode, read_mode):
    with target(home).open(write_mode) as file:
        file.write("zwölf\n")
    with target(home).open(read_mode) as file:
        assert file.read() == "zwölf\n"


@pytest.mark.parametrize("mode", ["a", "r+", "w+b", "x", "rw", ""])
def test_other_modes_are_refused(home: Home, mode: str):
    with pytest.raises(ValueError, match="only 'r' and 'w'"):
        target(home).open(mode)


def test_a_target_is_copied_and_moved_by_itself(home: Home):
    write(target(home), "1")

    target(home).copy(home.address("e/b.txt"))
    target(home).move(home.address("f/c.txt"))
    target(home, "e").move_dir(home.address("g"))

    assert home.contents() == {"f/c.txt": b"1", "g/b.txt": b"1"}


@pytest.mark.parametrize("raises", [False, True])
def test_a_target_that_is_copied_or_moved_replaces_nothing(home: Home, raises):
    write(target(home), "1")
    publish(home.address("b"), b"2")

    for change in (target(home).copy, target(home).move):
        with pytest.raises(FileAlreadyExists):
            change(home.address("b"), raise_if_exists=raises)
    assert home.contents() == {"b": b"2", "d/a.txt": b"1"}


def test_a_moved_target_is_not_renamed_to_what_exists(home: Home):
    publish(home.address("b"), b"2")

    with pytest.raises(FileAlreadyExists):
        FS.rename_dont_move(home.address("gone"), home.address("b"))


def test_a_folder_exists_without_its_slash_as_with_luigis_targets(home: Home):
    assert not target(home, "d").exists()
    publish(home.address("d/a"), b"")

    assert target(home, "d").exists(fresh=True)
    assert target(home, "d").exists()
    assert not target(home, "d/a/b").exists(fresh=True)
    assert not target(home, "da").exists()


def test_an_empty_directory_exists_only_without_a_slash(tmp_path: Path):
    (tmp_path / "d").mkdir()

    assert StoreTarget(tmp_path / "d").exists()
    assert not StoreTarget(f"{tmp_path}/d/").exists()


def test_the_directory_of_a_target_is_made(tmp_path: Path):
    here = StoreTarget(tmp_path / "d/e/f")
    here.makedirs()
    here.makedirs()

    assert list((tmp_path / "d/e").iterdir()) == []
    assert here.fn == str(tmp_path / "d/e/f")
    StoreTarget("s3://no-such-bucket-of-ours").makedirs()
    StoreTarget("name").makedirs()


def test_a_temporary_target_is_removed_with_its_last_reference():
    here = StoreTarget(is_tmp=True)
    write(here, "1")
    path = Path(here.path)
    assert path.read_text() == "1"

    del here
    gc.collect()
    assert not path.exists()
    with pytest.raises(ConfigError, match="without a path"):
        StoreTarget()


def test_a_target_that_is_removed_can_be_made_again(home: Home):
    write(target(home), "1")
    target(home).remove()
    assert not target(home).exists()
    target(home).remove()

    write(target(home), "2")
    assert read(home.address("d/a.txt")) == b"2"


def test_a_temporary_path_is_published_at_its_end(home: Home):
    with target(home).temporary_path() as aside:
        publish(aside, b"1")
        assert not target(home).exists()
        assert list(FS.listdir(home.address(""))) == []

    assert home.contents() == {"d/a.txt": b"1"}
    assert target(home).exists()


def test_a_temporary_path_keeps_the_first(home: Home):
    with target(home).temporary_path() as aside:
        publish(aside, b"second")
        publish(home.address("d/a.txt"), b"first")

    assert home.contents() == {"d/a.txt": b"first"}


def test_a_temporary_path_of_a_block_that_raises_is_removed(home: Home):
    def fail() -> None:
        with target(home).temporary_path() as aside:
            publish(aside, b"half")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert home.contents() == {}


def test_a_temporary_folder_is_published_with_all_that_is_in_it(home: Home):
    with target(home, "d/parts/").temporary_path() as aside:
        publish(f"{aside}1", b"1")
        publish(f"{aside}2/3", b"3")

    assert home.contents() == {"d/parts/1": b"1", "d/parts/2/3": b"3"}
    assert target(home, "d/parts/").exists()


def test_a_folder_exists_when_anything_is_in_it(home: Home):
    assert not target(home, "d/").exists()
    publish(home.address("d/a"), b"")

    assert target(home, "d/").exists()
    assert FS.exists(home.address("d"))
    assert FS.isdir(home.address("d"))
    assert not FS.isdir(home.address("d/a"))


def test_files_and_folders_are_copied_and_moved(home: Home):
    publish(home.address("d/a"), b"1")
    publish(home.address("d/e/b"), b"2")

    FS.copy(home.address("d/a"), home.address("f/a"))
    FS.move(home.address("d"), home.address("g"))

    assert home.contents() == {"f/a": b"1", "g/a": b"1", "g/e/b": b"2"}
    assert sorted(FS.listdir(home.address("g"))) == [home.address("g/a"), home.address("g/e/b")]
    assert not FS.exists(home.address("d"))


def test_nothing_is_copied_or_moved_over_what_stands(home: Home):
    publish(home.address("a"), b"1")
    publish(home.address("b"), b"2")

    for change in (FS.copy, FS.move, FS.rename_dont_move):
        with pytest.raises(FileAlreadyExists):
            change(home.address("a"), home.address("b"))
    assert home.contents() == {"a": b"1", "b": b"2"}


def test_folders_are_removed_only_when_that_is_meant(home: Home):
    publish(home.address("d/a"), b"1")

    with pytest.raises(FileAlreadyExists):
        FS.remove(home.address("d"), recursive=False)
    assert FS.remove(home.address("d"))
    assert not FS.remove(home.address("d"))
    assert home.contents() == {}


def test_directories_are_made_where_there_are_such(home: Home):
    FS.mkdir(home.address("d/e"))
    FS.mkdir(home.address("d/e"))

    assert FS.isdir(home.address("d/e")) is not isinstance(home, S3Home)
    publish(home.address("d/e/a"), b"")
    with pytest.raises(FileAlreadyExists):
        FS.mkdir(home.address("d/e"), raise_if_exists=True)


def test_targets_can_be_pickled_and_cost_nothing_to_make(bucket: Bucket, monkeypatch):
    point_tac_at(f"http://127.0.0.1:{free_ports(1)[0]}", monkeypatch)
    address = bucket.address("a")

    again = pickle.loads(pickle.dumps(StoreTarget(address, format=luigi.format.Nop)))

    assert (again.path, str(again), repr(again)) == (address, address, f"StoreTarget({address!r})")
    assert type(again.format) is type(luigi.format.Nop)
    assert target_at(Path("d/a")).path == "d/a"
    assert in_store("d/a").path == "tac-store/d/a"


def test_what_cannot_be_asked_is_never_absent(bucket: Bucket):
    for number in range(5):
        with pytest.raises(BucketMissing):
            StoreTarget(f"s3://no-such-bucket/d/{number}").exists(fresh=number % 2 == 0)


class Made(luigi.Task):
    """Makes its output behind luigi's back, as a program that it starts would."""

    address: str = luigi.Parameter()

    def output(self):
        return StoreTarget(self.address)

    def run(self):
        place = location_of(self.address)
        server = Server(settings.current().s3_endpoint_url or "")
        with contextlib.closing(server.client()) as client:
            client.put_object(Bucket=place.bucket, Key=place.key, Body=b"1")


class All(luigi.WrapperTask):
    prefix: str = luigi.Parameter()
    count: int = luigi.IntParameter()

    def requires(self):
        return [Made(address=f"{self.prefix}{number:04d}") for number in range(self.count)]


def test_a_thousand_targets_take_few_requests_under_luigis_own_worker(bucket: Bucket, monkeypatch):
    for number in range(0, 1000, 10):
        bucket.client.put_object(Bucket=bucket.name, Key=f"out/{number:04d}", Body=b"")
    with running_proxy(bucket.server.endpoint) as proxy:
        point_tac_at(proxy.endpoint, monkeypatch)
        scheduler = luigi.scheduler.Scheduler()

        assert luigi.worker.Worker(scheduler).add(All(prefix=bucket.address("out/"), count=1000))
        assert len(scheduler.task_list("DONE", "")) == 100
        assert len(proxy.requests) <= 6


def test_luigis_own_worker_sees_what_its_tasks_have_made(bucket: Bucket):
    root = All(prefix=bucket.address("out/"), count=8)

    # One process: the listing of the scheduling is still young when the tasks have run.
    with luigi.worker.Worker(luigi.scheduler.Scheduler(), check_complete_on_run=True) as worker:
        assert worker.add(root)
        assert worker.run()
    assert all(FS.exists(bucket.address(f"out/{number:04d}")) for number in range(8))
