"""A source's password on its way into a pod, and what everybody may read of that."""

import base64

import pytest

from tac.verdict import Reason
from tests.support.kubernetes_place import KubernetesPlace, at, message, step_image

__all__ = ["at", "step_image"]

SECRET = "hush-7f3a"
"""A password that occurs nowhere else."""


def test_a_pod_has_the_header_of_its_source_and_no_other_place_shows_it(at: KubernetesPlace):
    key = f"--from-literal=TAC_SOURCE_AUTHORIZATION=Bearer {SECRET}"
    at.kubectl("create", "secret", "generic", "keys", key)
    at.set(TAC_KUBERNETES_SECRET="keys", TAC_SOURCE_AUTHORIZATION=f"Bearer {SECRET}")
    # What a step says of an address is not kept as it said it.
    script = (
        f'test "$TAC_SOURCE_AUTHORIZATION" = "Bearer $(echo {encoded(SECRET)} | base64 -d)" && '
        f"echo https://me:$(echo {encoded(SECRET)} | base64 -d)@host/x && "
        "echo begun && until [ -e /tmp/go ]; do sleep 0.1; done; exit 65"
    )

    with at.running(script) as verdicts:
        at.until_it_said("begun")
        objects = at.kubectl("get", "jobs,pods,events", "--output", "yaml")
        at.go()

    assert [each.reason for each in verdicts] == [Reason.BAD_DATA], at.words
    assert "tac/command" in objects
    assert SECRET not in objects
    (box,) = (at.path / "store").glob("_tac/attempts/*/*.json")
    assert oct(box.stat().st_mode & 0o777) == "0o600"
    assert "https://***@host/x" in box.read_text()
    assert SECRET not in box.read_text()


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        (f"https://anna:{SECRET}@host/{{date}}.csv", "https://***@host/{date}.csv"),
        (f"https://host/x.csv?sig={SECRET}", "https://host/x.csv?***"),
    ],
)
def test_an_address_with_a_secret_never_becomes_a_job(at: KubernetesPlace, word, shown):
    verdict = at.run("python", "-m", "tac.fetch", "s3://b/x.csv", "--source", word)

    assert message(verdict) == (
        f"step/x: could not be started: '{shown}': has a password or a key in it, and whoever may"
        " read the Jobs of namespace NS reads their commands\n"
        "Hint: leave it out, and put TAC_SOURCE_AUTHORIZATION, such as 'Bearer …', into"
        " a Secret, named by TAC_KUBERNETES_SECRET"
    )
    assert at.jobs() == []
    assert SECRET not in at.log.read_text()


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
