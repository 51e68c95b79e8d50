import tempfile
from pathlib import Path

import pytest

from tac.errors import ConfigError
from tac.runners.docker.keys import mounted
from tac.store.s3_access import S3Access

KEYS = {"AWS_ACCESS_KEY_ID": "known", "AWS_SECRET_ACCESS_KEY": "hush"}
FOUND = {"aws_access_key_id": "found", "aws_secret_access_key": "hush"}
CREDENTIALS = {"AWS_SHARED_CREDENTIALS_FILE": "/run/tac/aws-credentials"}


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_keys_of_the_environment_are_in_a_file_that_only_the_user_reads(temporary):
    given = {**KEYS, "AWS_SESSION_TOKEN": "too", "AWS_PROFILE": "p"}
    with mounted(given, S3Access(FOUND)) as (mounts, variables):
        [mount] = mounts
        path = Path(mount.source)
        assert path.read_text() == (
            "[default]\naws_access_key_id = known\naws_secret_access_key = hush\n"
            "aws_session_token = too\n"
        )
        modes = [each.stat().st_mode & 0o777 for each in (path, path.parent)]
        assert [oct(mode) for mode in modes] == ["0o600", "0o700"]
        assert (mount.target, mount.writable) == ("/run/tac/aws-credentials", False)
        assert variables == CREDENTIALS
        assert "hush" not in repr((mounts, variables))

    assert list(temporary.iterdir()) == []


def test_without_keys_in_the_environment_those_of_the_driver_are(temporary):
    with mounted({"AWS_ACCESS_KEY_ID": "half"}, S3Access(FOUND)) as ([mount], variables):
        assert Path(mount.source).read_text() == (
            "[default]\naws_access_key_id = found\naws_secret_access_key = hush\n"
        )
        assert variables == CREDENTIALS


@pytest.mark.parametrize("environment", [{}, KEYS])
def test_what_the_profile_says_of_s3_and_the_certificates_to_trust_come_along(
    temporary, environment
):
    bundle = temporary / "own.pem"
    bundle.write_text("trusted")
    style = {"addressing_style": "path", "x": "y"}
    access = S3Access(FOUND, {"region": "eu-west-1", "s3": style, "z": "1"}, str(bundle))

    with mounted(environment, access) as (mounts, variables):
        assert Path(mounts[1].source).read_text() == (
            "[default]\nregion = eu-west-1\ns3 =\n  addressing_style = path\n  x = y\nz = 1\n"
        )
        assert Path(mounts[2].source).read_text() == "trusted"
        assert [mount.target for mount in mounts] == [
            "/run/tac/aws-credentials",
            "/run/tac/aws-config",
            "/run/tac/ca-bundle.pem",
        ]
        assert not [mount for mount in mounts if mount.writable or mount.source == str(bundle)]
        assert variables == {
            **CREDENTIALS,
            "AWS_CONFIG_FILE": "/run/tac/aws-config",
            "AWS_CA_BUNDLE": "/run/tac/ca-bundle.pem",
        }


def test_missing_certificates_are_named(temporary):
    with pytest.raises(ConfigError) as raised, mounted({}, S3Access(ca_bundle="/none.pem")):
        pass

    assert (raised.value.message, raised.value.hint) == (
        "/none.pem: no such file; it should hold the certificates to trust for S3",
        "AWS_CA_BUNDLE, or ca_bundle in ~/.aws/config, names it",
    )
    assert list(temporary.iterdir()) == []


def test_what_a_killed_driver_left_is_removed_and_what_a_living_one_holds_is_not(temporary):
    left = temporary / "tac-keys-left"
    left.mkdir()
    (left / "credentials").write_text("hush")
    (temporary / "tac-keys-file").symlink_to(left)

    with mounted(KEYS, S3Access()), mounted(KEYS, S3Access()):
        assert len(list(temporary.glob("tac-keys-*/credentials"))) == 2
        assert not left.exists()


def test_who_has_no_keys_gets_none():
    with mounted({"HOME": "/nonexistent", "AWS_PROFILE": "mine"}, S3Access()) as found:
        assert found == ((), {})


def test_keys_are_not_shown():
    assert "hush" not in repr(S3Access(FOUND))


def test_a_source_over_http_gets_its_header_in_a_file_and_nothing_of_s3(temporary, monkeypatch):
    monkeypatch.setenv("TAC_SOURCE_AUTHORIZATION", "Bearer hush")

    with mounted(KEYS, s3=False, http=True) as ([mount], variables):
        path = Path(mount.source)
        assert path.read_text() == "Bearer hush"
        modes = [each.stat().st_mode & 0o777 for each in (path, path.parent)]
        assert [oct(mode) for mode in modes] == ["0o600", "0o700"]
        assert (mount.target, mount.writable) == ("/run/tac/source-authorization", False)
        assert variables == {"TAC_SOURCE_AUTHORIZATION_FILE": mount.target}

    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("header", ["", "Bearer hush"])
def test_who_asks_nothing_over_http_gets_no_header(temporary, monkeypatch, header):
    monkeypatch.setenv("TAC_SOURCE_AUTHORIZATION", header)

    with mounted(KEYS, S3Access(FOUND)) as (_, variables):
        assert variables == CREDENTIALS
    with mounted(KEYS, s3=False, http=not header) as given:
        assert given == ((), {})
        assert list(temporary.iterdir()) == []
