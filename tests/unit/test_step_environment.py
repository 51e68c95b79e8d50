"""What of a step's environment its container or pod gets too."""

from tac.step_environment import passed_on

OF_THE_WORK = {
    "AWS_MAX_ATTEMPTS": "5",
    "AWS_RETRY_MODE": "standard",
    "OMP_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
    "TAC_DOWNLOAD_SECONDS": "60",
    "TAC_MOST_INPUT_BYTES": "1Gi",
    "TAC_MOST_TABLE_BYTES": "1Gi",
    "TZ": "UTC",
}
OF_THE_MACHINE = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_REGION": "eu-central-1",
    "http_proxy": "http://proxy",
    "NO_PROXY": "me@home",
}
KEPT_BACK = {
    "AWS_ACCESS_KEY_ID": "hush",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:8333",
    "AWS_PROFILE": "mine",
    "AWS_SECRET_ACCESS_KEY": "hush",
    "AWS_SESSION_TOKEN": "hush",
    "DATABASE_PASSWORD": "hush",
    "HOME": "/home/me",
    "HTTPS_PROXY": "http://me:hush@proxy",
    "PATH": "/usr/bin",
    "TAC_SOURCE_AUTHORIZATION": "hush",
    "TAC_STORE": "s3://a/b",
}


def test_a_container_gets_nothing_that_is_secret_and_elsewhere_nothing_of_this_machine():
    here = {**OF_THE_WORK, **OF_THE_MACHINE}
    environment = {**here, **KEPT_BACK}
    del here["NO_PROXY"]  # an @ may end a password

    assert passed_on(environment) == here
    assert passed_on(environment, elsewhere=True) == OF_THE_WORK
