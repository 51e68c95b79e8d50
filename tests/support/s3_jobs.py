"""A pipeline of Jobs on S3 as people write it for Luigi's own class; tests change its one import.

Its pods have nothing but a name, an image and a command: S3's address and keys stand in that.
"""

# mypy: disable-error-code="override,var-annotated"
# (A list that a property overrides: as people write it.)

import os

import luigi
from luigi.contrib.kubernetes import KubernetesJobTask
from luigi.contrib.s3 import S3Target

SCRIPT = """
import sys, boto3
s3 = boto3.client("s3")
*sources, target = [address.removeprefix("s3://").split("/", 1) for address in sys.argv[2:]]
texts = [s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode() for bucket, key in sources]
bucket, key = target
s3.put_object(Bucket=bucket, Key=key, Body=" ".join([*texts, sys.argv[1]]).encode())
"""


class jobs(luigi.Config):  # noqa: N801 # Luigi takes the section's name from it
    image = luigi.Parameter()
    folder = luigi.Parameter()
    endpoint = luigi.Parameter()


class Base(KubernetesJobTask):
    """What all of them are: one command in a pod, one object on S3."""

    cmd = []  # noqa: RUF012 # as people write it

    @property
    def spec_schema(self):
        return {"containers": [{"name": self.name, "image": jobs().image, "command": self.cmd}]}

    def script(self, *words):
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
        keys = [f"{name}={os.environ[name]}" for name in names]  # noqa: TID251 # its own keys
        where = f"AWS_ENDPOINT_URL_S3={jobs().endpoint}"
        return ["env", *keys, where, "python", "-c", SCRIPT, *words]

    def output(self):
        return S3Target(f"{jobs().folder}/{self.name}")


class First(Base):
    name = "first"

    @property
    def cmd(self):
        return self.script("one", self.output().path)


class Second(Base):
    name = "second"

    def requires(self):
        return First()

    @property
    def cmd(self):
        return self.script("two", self.input().path, self.output().path)


class Third(Base):
    name = "third"

    def requires(self):
        return [First(), Second()]

    @property
    def cmd(self):
        return self.script("three", *(each.path for each in self.input()), self.output().path)
