"""What contract tests share: a real S3, and a home for outputs of either kind."""

from pathlib import Path

import pytest

from tests.support.aws_home import issuer, machine
from tests.support.homes import FilesHome, Home, S3Home
from tests.support.s3 import bucket, s3_server

__all__ = ["bucket", "files_home", "home", "issuer", "machine", "s3_home", "s3_server"]


@pytest.fixture
def files_home(tmp_path: Path) -> FilesHome:
    return FilesHome(tmp_path)


@pytest.fixture
def s3_home(request: pytest.FixtureRequest) -> S3Home:
    return S3Home(request.getfixturevalue("bucket"))


@pytest.fixture(params=["files", "s3"])
def home(request: pytest.FixtureRequest) -> Home:
    """An empty place for outputs: once a directory, once a bucket."""
    home: Home = request.getfixturevalue(f"{request.param}_home")
    return home
