from dataclasses import replace
from pathlib import Path

import pytest

from tac import settings
from tac.configuration import configuration_files
from tac.errors import ConfigError
from tac.settings import Settings, child_environment, current, read_settings
from tac.step_environment import passed_on


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_without_files_and_variables_every_setting_has_its_default():
    assert read_settings({}) == Settings()


def test_a_file_sets_and_the_environment_wins_over_it(tmp_path):
    path = write(tmp_path, "luigi.cfg", "[tac]\nstore = s3://a/b\nstop-grace-seconds = 2.5\n")

    found = read_settings({"TAC_STORE": "elsewhere"}, [path])

    assert found == Settings(store="elsewhere", stop_grace_seconds=2.5)


def test_a_later_file_wins_over_an_earlier_one(tmp_path):
    first = write(tmp_path, "a.cfg", "[tac]\nstore = one\nrunner = local\n")
    second = write(tmp_path, "b.toml", '[tac]\nstore = "two"\n')

    assert read_settings({}, [first, second]).store == "two"


def test_settings_that_are_numbers_are_read_as_numbers():
    found = read_settings({"TAC_STOP_GRACE_SECONDS": "0", "TAC_SCHEDULING_SECONDS": "1.5"})

    assert found == Settings(stop_grace_seconds=0.0, scheduling_seconds=1.5)


def test_settings_that_are_sizes_are_read_as_kubernetes_writes_them():
    settings = read_settings({"TAC_MOST_INPUT_BYTES": "1Gi", "TAC_MOST_TABLE_BYTES": "1500"})

    assert settings == Settings(most_input_bytes=1 << 30, most_table_bytes=1500)


def test_a_step_gets_the_bounds_that_a_file_sets(tmp_path, monkeypatch):
    write(tmp_path, "luigi.cfg", "[tac]\nmost_table_bytes = 1Gi\ndownload_seconds = 1.5\n")
    monkeypatch.chdir(tmp_path)
    current.cache_clear()
    try:
        environment = passed_on(child_environment(), elsewhere=True)
    finally:
        current.cache_clear()

    assert {name: value for name, value in environment.items() if name.startswith("TAC_")} == {
        "TAC_MOST_TABLE_BYTES": "1073741824",
        "TAC_DOWNLOAD_SECONDS": "1.5",
    }


@pytest.mark.parametrize("name", ["Mars/Olympus", "America", "../UTC", "/etc/passwd", "New York"])
def test_a_time_zone_that_does_not_exist_is_refused(name):
    with pytest.raises(ConfigError) as caught:
        read_settings({"TAC_TIMEZONE": name})

    assert (caught.value.message, caught.value.hint, caught.value.exit_code) == (
        f"timezone: {name!r} is not a time zone",
        "name it as the tz database does, such as Europe/Berlin: `ls /usr/share/zoneinfo`",
        2,
    )


def test_the_limits_of_containers_are_read_as_numbers():
    found = read_settings({"TAC_DOCKER_PIDS_LIMIT": "40", "TAC_DOCKER_TMP_SIZE": "8Mi"})

    assert found == Settings(docker_pids_limit=40, docker_tmp_size=8 << 20)


@pytest.mark.parametrize("text", ["-1", "many", "1.5", "", "4194305", "٣"])
def test_a_limit_that_is_no_number_of_processes_is_refused(text):
    with pytest.raises(ConfigError) as caught:
        read_settings({"TAC_DOCKER_PIDS_LIMIT": text})

    assert caught.value.message == f"docker_pids_limit: {text!r} is not a number from 0 to 4194304"


def test_pods_can_be_given_no_config_map_and_no_secret():
    found = read_settings({"TAC_KUBERNETES_CONFIG_MAP": "", "TAC_KUBERNETES_SECRET": ""})

    assert found == Settings(kubernetes_config_map="", kubernetes_secret="")


@pytest.mark.parametrize(
    ("files", "environment", "store"),
    [
        (["[DEFAULT]\nteam = a\n[tac]\nstore = x\n"], {}, "x"),
        (["[DEFAULT]\nroot = %(no)s\n[tac]\nstore = x\n[core]\nbad = %(no)s\n"], {}, "x"),
        (["[DEFAULT]\nroot = /data\n[tac]\nstore = %(root)s/x\n"], {}, "/data/x"),
        (["[DEFAULT]\nstore = x\n"], {}, "tac-store"),
        (["[DEFAULT]\nstore = x\n[tac]\nrunner = local\n"], {}, "x"),
        (["[DEFAULT]\nroot = a\n[tac]\nstore = %(root)s/x\n", "[DEFAULT]\nroot = b\n"], {}, "b/x"),
        (["[tac]\nstore = %(root)s/x\n", "[tac]\n[DEFAULT]\nroot = /b\n"], {}, "/b/x"),
        (["[tac]\nstore = 100%%/{date:%%Y}/%Y-%m%%\n", "[core]\n"], {}, "100%/{date:%Y}/%Y-%m%"),
        (["[DEFAULT]\nday = %Y\n[tac]\nstore = %(day)s/50%/%%%m\n"], {}, "%Y/50%/%%m"),
        (["[DEFAULT]\nroot = ${R}\n[tac]\nstore = %(root)s/x\n"], {"R": "/5%(a)s"}, "/5%(a)s/x"),
        (["[tac]\nstore = a\n  b\n"], {}, "a\nb"),
    ],
)  # fmt: skip
def test_a_file_is_read_by_luigis_rules(tmp_path, files, environment, store):
    paths = [write(tmp_path, f"{number}.cfg", text) for number, text in enumerate(files)]

    assert read_settings(environment, paths).store == store


@pytest.mark.parametrize("name", ["x.toml", "without-suffix"])
def test_the_named_file_wins_over_those_of_the_other_kind(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "luigi.toml", '[tac]\nstore = "toml"\nrunner = "local"\n')
    write(tmp_path, "luigi.cfg", "[tac]\nstore = cfg\nrunner = docker\n")
    write(tmp_path, name, '[tac]\nstore = "named %(x)s"\n[other]\nx = 1\n')
    environment = {"LUIGI_CONFIG_PARSER": "toml", "LUIGI_CONFIG_PATH": name}

    found = read_settings(environment, configuration_files(environment))

    assert (found.store, found.runner) == ("named %(x)s", "local")


def test_a_cfg_file_that_is_named_wins_over_a_toml_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "luigi.toml", '[tac]\nstore = "toml"\nrunner = "docker"\n')
    write(tmp_path, "own.cfg", "[tac]\nstore = named\n")
    environment = {"LUIGI_CONFIG_PARSER": "toml", "LUIGI_CONFIG_PATH": "own.cfg"}

    found = read_settings(environment, configuration_files(environment))

    assert (found.store, found.runner) == ("named", "docker")


def test_an_option_that_is_unknown_is_named_with_the_file_it_stands_in(tmp_path):
    first = write(tmp_path, "a.cfg", "[tac]\nStore = x\n")
    second = write(tmp_path, "b.cfg", "[tac]\nstore = x\n")

    with pytest.raises(ConfigError) as caught:
        read_settings({}, [first, second])

    assert caught.value.message == f"{first}: [tac] Store is not a setting of tac"
    assert caught.value.hint == "did you mean store?"


def test_the_address_of_s3_comes_from_luigis_own_section(tmp_path):
    path = write(tmp_path, "luigi.cfg", "[s3]\nendpoint_url = http://127.0.0.1:8333\n")

    assert read_settings({}, [path]).s3_endpoint_url == "http://127.0.0.1:8333"
    assert (
        read_settings({"AWS_ENDPOINT_URL_S3": "http://other"}, [path]).s3_endpoint_url
        == "http://other"
    )


def test_a_value_may_name_an_environment_variable(tmp_path):
    path = write(tmp_path, "luigi.cfg", "[tac]\nstore = s3://${BUCKET}/x\n")

    assert read_settings({"BUCKET": "flights"}, [path]).store == "s3://flights/x"


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (Settings(store="data"), "data/_tac/logs"),
        (Settings(store="file://{here}/data"), "data/_tac/logs"),
        (Settings(store="s3://bucket/prefix"), "tac-logs"),
        (Settings(store="s3://bucket/prefix", logs="/var/log/tac"), "/var/log/tac"),
        (Settings(store="data", logs="logs"), "logs"),
        # What a person links is followed, and what a step may have linked is not.
        (Settings(store="link"), "real/_tac/logs"),
        (Settings(store="data", logs="link/logs"), "real/logs"),
        (Settings(store="link", logs="link/inside"), "real/inside"),
    ],
)
def test_logs_go_into_a_store_that_is_a_directory_and_beside_one_that_is_not(
    tmp_path, monkeypatch, chosen, expected
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "inside").symlink_to("/etc")
    chosen = replace(chosen, store=chosen.store.format(here=tmp_path))

    assert chosen.log_directory == tmp_path / expected


def test_what_a_link_in_a_setting_means_is_decided_when_the_settings_are_read(
    tmp_path, monkeypatch
):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.setenv("TAC_STORE", str(tmp_path / "link"))
    settings.current.cache_clear()
    chosen = settings.current()
    settings.current.cache_clear()
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("/etc")

    assert chosen.store_directory == tmp_path / "real"
    assert chosen.log_directory == tmp_path / "real" / "_tac" / "logs"


SETTINGS = (
    "store, source, runner, logs, timezone, luigid, stop_grace_seconds, image, memory, "
    "most_memory, cpu, on_stop, check_build, docker_network, docker_pids_limit, docker_tmp_size, "
    "container_s3_endpoint_url, kubernetes_context, kubernetes_namespace, "
    "kubernetes_config_map, kubernetes_secret, kubernetes_service_account, "
    "kubernetes_pod_patch, scheduling_seconds, log_url, most_input_bytes, most_table_bytes, "
    "download_seconds"
)


@pytest.mark.parametrize(
    ("text", "environment", "message", "hint"),
    [
        (
            "[tac]\nstor = x\n",
            {},
            "{path}: [tac] stor is not a setting of tac",
            "did you mean store?",
        ),
        (
            "[tac]\nzzz = x\n",
            {},
            "{path}: [tac] zzz is not a setting of tac",
            f"the settings are {SETTINGS}",
        ),
        (
            "[s3]\naws_access_key_id = A\naws_secret_access_key = hush\n",
            {},
            "{path}: [s3] holds aws_access_key_id and aws_secret_access_key:"
            " tac takes no keys from a file",
            "move them to ~/.aws/credentials, or export AWS_ACCESS_KEY_ID and so on",
        ),
        (
            "[tac]\nstore = ${BUCKET}\n",
            {},
            "{path}: [tac] store names the environment variable BUCKET, which is not set",
            "export BUCKET=…, or write the value into {path}",
        ),
        (
            "[tac]\nstop_grace_seconds = soon\n",
            {},
            "stop_grace_seconds: 'soon' is not 0 to 3600 seconds",
            None,
        ),
        (
            "[tac]\nscheduling_seconds = -1\n",
            {},
            "scheduling_seconds: '-1' is not 0 to 604800 seconds",
            None,
        ),
        (
            "",
            {"TAC_SCHEDULING_SECONDS": "nan"},
            "scheduling_seconds: 'nan' is not 0 to 604800 seconds",
            None,
        ),
        (
            "[tac]\nmost_input_bytes = much\n",
            {},
            "most_input_bytes: 'much' is not an amount",
            "write it like 512Mi or 2Gi",
        ),
        (
            "[tac]\ncheck_build = maybe\n",
            {},
            "check_build: 'maybe' is neither yes nor no",
            None,
        ),
        (
            "[tac]\non_stop = kill\n",
            {},
            "on_stop: 'kill' is neither stop nor leave",
            None,
        ),
        (
            "[tac]\nstore = %(root)s/x\n",
            {},
            "{path}: cannot be read: Bad value substitution: option 'store' in section 'tac' "
            "contains an interpolation key 'root' which is not a valid option name. "
            "Raw value: '%(root)s/x'",
            None,
        ),
        (
            "",
            {"TAC_STORE": " "},
            "store: is set to nothing",
            "unset TAC_STORE, or give it a value",
        ),
        (
            "store = x\n",
            {},
            "{path}: cannot be read: File contains no section headers."
            " file: '{path}', line: 1 'store = x\\n'",
            None,
        ),
    ],
)
def test_a_setting_that_cannot_be_used_is_an_error_that_names_it(
    tmp_path, text, environment, message, hint
):
    path = write(tmp_path, "luigi.cfg", text)

    with pytest.raises(ConfigError) as caught:
        read_settings(environment, [path])

    assert caught.value.message == message.format(path=path)
    assert caught.value.hint == (hint.format(path=path) if hint else None)


def test_no_message_repeats_a_secret(tmp_path):
    path = write(tmp_path, "luigi.cfg", "[s3]\naws_secret_access_key = hush\n")

    with pytest.raises(ConfigError) as caught:
        read_settings({}, [path])

    assert "hush" not in f"{caught.value.message} {caught.value.hint} {caught.value!r}"
