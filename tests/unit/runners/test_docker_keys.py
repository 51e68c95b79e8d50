import os
import tempfile
from pathlib import Path

import pytest

from tac.runners.docker.keys import mounted
from tac.runners.docker.mounts import Mount

KEYS = {"AWS_ACCESS_KEY_ID": "known", "AWS_SECRET_ACCESS_KEY": "hush"}


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_keys_of_the_environment_are_in_a_file_that_only_the_user_reads(temporary):
    with mounted({**KEYS, "AWS_SESSION_TOKEN": "too", "AWS_PROFILE": "p"}) as (mounts, variables):
        [mount] = mounts
        path = Path(mount.source)
        assert path.read_text() == (
            "[default]\naws_access_key_id = known\naws_secret_access_key = hush\n"
            "aws_session_token = too\n"
        )
        modes = [each.stat().st_mode & 0o777 for each in (path, path.parent)]
        assert [oct(mode) for mode in modes] == ["0o600", "0o700"]
        assert (mount.target, mount.writable) == ("/run/tac/aws-credentials", False)
        assert variables == {"AWS_SHARED_CREDENTIALS_FILE": "/run/tac/aws-credentials"}
        assert "hush" not in repr((mounts, variables))

    assert list(temporary.iterdir()) == []


def test_what_a_killed_driver_left_is_removed_and_what_a_living_one_holds_is_not(temporary):
    left = temporary / "tac-keys-left"
    left.mkdir()
    (left / "credentials").write_text("hush")
    (temporary / "tac-keys-file").symlink_to(left)

    with mounted(KEYS), mounted(KEYS):
        assert len(list(temporary.glob("tac-keys-*/credentials"))) == 2
        assert not left.exists()


def test_without_keys_in_the_environment_the_users_own_files_are_mounted(tmp_path):
    (tmp_path / ".aws").mkdir()
    (tmp_path / "credentials").write_text("")
    environment = {
        "HOME": str(tmp_path),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_PROFILE": "mine",
    }

    with mounted(environment) as found:
        assert found == (
            (
                Mount(f"{tmp_path}/.aws", "/tmp/.aws"),
                Mount(f"{tmp_path}/credentials", "/run/tac/aws-credentials"),
            ),
            {"AWS_SHARED_CREDENTIALS_FILE": "/run/tac/aws-credentials", "AWS_PROFILE": "mine"},
        )


def test_who_has_no_keys_gets_none(tmp_path):
    with mounted({"HOME": str(tmp_path), "AWS_PROFILE": "mine"}) as found:
        assert found == ((), {})
