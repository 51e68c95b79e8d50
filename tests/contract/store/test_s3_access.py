"""Credentials of boto3's chain, for a step in a container: with real files and helpers."""

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tac.store.s3_access import S3Access, current_access
from tac.store.s3_client import connection

KEYS = {"aws_access_key_id": "known", "aws_secret_access_key": "hush"}


def printed(**more: str) -> str:
    known = {"Version": 1, "AccessKeyId": "known", "SecretAccessKey": "hush", **more}
    return f"echo '{json.dumps(known)}'"


def in_an_hour() -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).isoformat()


def test_a_machine_without_keys_has_no_access(machine):
    assert current_access() == S3Access()


def test_keys_of_the_environment_win_and_the_settings_of_the_profile_stay(machine):
    machine.write("config", "[profile mine]", "region = eu-west-1", "s3 =", "  x = y")
    machine.write("credentials", "[mine]", "aws_access_key_id = a", "aws_secret_access_key = b")
    machine.set(AWS_ACCESS_KEY_ID="known", AWS_SECRET_ACCESS_KEY="hush", AWS_PROFILE="mine")

    assert current_access() == S3Access(KEYS, {"region": "eu-west-1", "s3": {"x": "y"}})


def test_of_a_profile_nothing_is_handed_on_that_leads_to_keys(machine):
    machine.write(
        "config",
        *("[profile mine]", "region = eu-west-1", "services = own", "ca_bundle = /own.pem"),
        *("credential_process = false", "endpoint_url = http://any", "output = json"),
        *("s3 =", "  addressing_style = path", "[services own]"),
        *("s3 =", "  endpoint_url = http://own", "sts =", "  endpoint_url = http://no"),
    )
    machine.write(
        "credentials",
        *("[mine]", "aws_access_key_id = known", "aws_secret_access_key = hush"),
        "aws_session_token = too",
    )
    machine.set(AWS_PROFILE="mine")

    assert current_access() == S3Access(
        {**KEYS, "aws_session_token": "too"},
        {
            "region": "eu-west-1",
            "s3": {"addressing_style": "path"},
            "endpoint_url": "http://own",
        },
        "/own.pem",
    )


def test_a_credential_helper_runs_once_for_all_threads_of_a_driver(machine):
    helper = machine.make_helper(printed(SessionToken="too", Expiration=in_an_hour()))
    machine.write("config", "[default]", f"credential_process = {helper}")

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: current_access(), range(40)))

    assert found == [S3Access({**KEYS, "aws_session_token": "too"})] * 40
    assert machine.calls() == 1


def test_keys_that_expire_soon_are_renewed(machine):
    soon = (dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)).isoformat()
    helper = machine.make_helper(
        f"[ $(wc -l < {machine.home}/calls) -gt 1 ] && "
        + printed(AccessKeyId="newer", Expiration=in_an_hour())
        + " || "
        + printed(Expiration=soon)
    )
    machine.write("config", "[default]", f"credential_process = {helper}")
    connection()

    assert current_access() == S3Access({**KEYS, "aws_access_key_id": "newer"})
    assert machine.calls() == 2


def a_minute(_method: str, _path: str) -> tuple[int, str]:
    """Issue keys for a minute, so that they are asked for each time."""
    soon = (dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)).isoformat()
    keys = {"AccessKeyId": "known", "SecretAccessKey": "hush", "Token": "too"}
    return 200, json.dumps({**keys, "Expiration": soon})


def test_keys_come_from_the_address_that_a_cloud_gives_its_containers(machine, issuer):
    issuer.answer = a_minute
    machine.set(AWS_CONTAINER_CREDENTIALS_FULL_URI=issuer.endpoint)

    assert current_access() == S3Access({**KEYS, "aws_session_token": "too"})


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_of_the_environment_wins_over_the_profiles(machine, variable):
    machine.write("config", "[default]", "region = eu-west-1")
    assert connection().client.meta.region_name == "eu-west-1"

    machine.set(**{variable: "eu-west-2"})

    assert connection().client.meta.region_name == "eu-west-2"
