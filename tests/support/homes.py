"""An empty place for outputs, a directory or a bucket, looked at from outside of tac."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tac.store import Store, store_of
from tests.support.s3 import Bucket

ROOT = Path(__file__).parents[2]


class Home(Protocol):
    """What a test of both kinds of store needs to know."""

    def address(self, key: str) -> str:
        """The address of something in it."""

    def contents(self) -> dict[str, bytes]:
        """All that is there, unfinished things too."""

    def environment(self) -> dict[str, str]:
        """What another process needs to reach it."""


@dataclass(frozen=True)
class FilesHome:
    folder: Path

    def address(self, key: str) -> str:
        return f"{self.folder}/{key}"

    def contents(self) -> dict[str, bytes]:
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}

    def environment(self) -> dict[str, str]:
        return {}


@dataclass(frozen=True)
class S3Home:
    bucket: Bucket

    def address(self, key: str) -> str:
        return self.bucket.address(key)

    def contents(self) -> dict[str, bytes]:
        """All objects but tac's own, and the uploads that were begun and never ended."""
        client, name = self.bucket.client, self.bucket.name
        found = {
            key: client.get_object(Bucket=name, Key=key)["Body"].read()
            for key in self.bucket.list_keys()
            if "_tac/" not in key
        }
        uploads = client.list_multipart_uploads(Bucket=name).get("Uploads", [])
        return found | {f"upload of {each['Key']}": b"" for each in uploads}

    def environment(self) -> dict[str, str]:
        return self.bucket.environment()


def start_python(code: str, *arguments: str, environment: dict[str, str], **more: Any) -> Any:
    """Start another process that runs `code` with tac on its path."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}  # noqa: TID251 # a child's
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**kept, "PYTHONPATH": str(ROOT), "AWS_EC2_METADATA_DISABLED": "true", **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def publish(address: str, body: bytes) -> bool:
    """Publish a few bytes; tell whether they are the ones that stand."""
    with store_of(address).create(address) as draft:
        draft.file.write(body)
    return draft.published


def read(address: str) -> bytes:
    with store_of(address).open(address) as file:
        return file.read()


def store(home: Home) -> Store:
    return store_of(home.address("any"))
