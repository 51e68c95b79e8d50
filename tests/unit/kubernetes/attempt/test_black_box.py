"""What a black box leaves out of what is known of an attempt."""

from tac.kubernetes.attempt.black_box import without_secrets


def test_a_black_box_keeps_everything_but_secrets():
    command = ["curl", "https://me:hush@host/x?sig=hush", "--retry", "3"]
    env = [
        {"name": "DB_PASSWORD", "value": "hush"},
        {"name": "AWS_SECRET_ACCESS_KEY", "value": "hush"},
        {"name": "TAC_SOURCE_AUTHORIZATION", "value": "hush"},
        {"name": "PROXY", "value": "http://me:hush@proxy"},
        {"name": "KEYBOARD", "value": "de"},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ]
    box = {
        "job": {"spec": {"containers": [{"command": command, "env": env}]}, "n": 3, "no": None},
        "logs": {"pod/step": "asked https://me:hush@host/x?token=hush: 403\n"},
        "pods": ({"status": "http://me:hush@host"},),
    }

    assert without_secrets(box) == {
        "job": {
            "spec": {
                "containers": [
                    {
                        "command": ["curl", "https://***@host/x?***", "--retry", "3"],
                        "env": [
                            {"name": "DB_PASSWORD", "value": "***"},
                            {"name": "AWS_SECRET_ACCESS_KEY", "value": "***"},
                            {"name": "TAC_SOURCE_AUTHORIZATION", "value": "***"},
                            {"name": "PROXY", "value": "http://***@proxy"},
                            *env[4:],
                        ],
                    }
                ]
            },
            "n": 3,
            "no": None,
        },
        "logs": {"pod/step": "asked https://***@host/x?***: 403\n"},
        "pods": [{"status": "http://***@host"}],
    }
