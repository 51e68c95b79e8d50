"""API servers that cannot be reached, do not know us, or are something else altogether."""

import json
import logging
import traceback

from tac import __version__
from tac.errors import ApiError, ApiUnavailable, ConfigError, Unauthorized
from tests.support.cluster import refused
from tests.support.faults import Answer, running_proxy, server_context


def test_a_server_that_does_not_know_us(cluster, use, client_of):
    use(user={"token": "not-a-token"})
    error = refused(lambda: client_of(namespace="x").list("Job"), Unauthorized)

    assert (error.status, error.reason) == (401, "Unauthorized")
    assert error.message == (
        f"jobs.batch in namespace x: not listed: the API server {cluster.server} of context 't' "
        "rejected the credentials (401 Unauthorized)"
    )
    assert error.hint == (
        "log in again, or fix the context's user: `kubectl --context t auth whoami`"
    )


def test_a_server_that_wants_to_be_left_alone_for_a_while(client):
    error = refused(lambda: client.list("Job", resource_version="999999999999"), ApiUnavailable)

    assert error.retry_after_seconds == 1
    assert "cannot answer now: Timeout: Too large resource version: 999999999999" in error.message


def test_nothing_listens(use, client_of):
    use(server="https://127.0.0.1:1")
    error = refused(lambda: client_of(namespace="x").read("Job", "one"), ApiUnavailable)

    assert error.message == (
        "job/one in namespace x: not read: the API server https://127.0.0.1:1 of context 't' "
        "does not answer: Connection refused"
    )
    assert error.hint == (
        "`kubectl --context t cluster-info` tells whether it runs; `minikube start`, or name "
        "another by the setting `kubernetes_context` or by KUBECONFIG"
    )


def test_a_connection_that_is_cut_is_used_no_more(wire, use, api_namespace, client_of):
    use(server=f"https://127.0.0.1:{wire.port}")
    client = client_of(namespace=api_namespace)
    client.list("Job")
    wire.cut()
    error = refused(lambda: client.list("Job"), ApiUnavailable)

    assert error.message.endswith("does not answer: Connection refused")


def test_a_server_with_a_certificate_of_somebody_else(cluster, use, client_of):
    use(**{"tls-server-name": "another.example"})
    error = refused(lambda: client_of(namespace="x").list("Job"), ConfigError)

    assert error.message.startswith(
        f"jobs.batch in namespace x: not listed: the certificate of the API server "
        f"{cluster.server} of context 't' is not trusted: Hostname mismatch"
    )


def test_a_page_of_something_else_does_not_mean_that_there_is_no_such_job(use, client_of):
    with running_proxy("http://127.0.0.1:1") as proxy:
        use(server=proxy.endpoint)
        client = client_of(namespace="x")
        proxy.fault = lambda request: Answer(404, b"<html>nothing here</html>")
        missing = refused(lambda: client.read("Job", "one"), ApiError)
        proxy.fault = lambda request: Answer(200, b"<html>log in</html>")
        login = refused(lambda: client.read("Job", "one"), ApiError)
        proxy.fault = lambda request: Answer(302)
        elsewhere = refused(lambda: client.read("Job", "one"), ApiError)

    assert missing.message == (
        "job/one in namespace x: not read: HTTP 404: <html>nothing here</html>"
    )
    assert missing.hint == f"does an API server answer at {proxy.endpoint}?"
    assert login.message == (
        "job/one in namespace x: not read: the answer is no object: <html>log in</html>"
    )
    assert elsewhere.status == 302


def test_the_server_sees_who_asks_and_by_what(use, client_of, tmp_path):
    certificate = tmp_path / "own.pem"
    with running_proxy("http://127.0.0.1:1", server_context(certificate)) as proxy:
        authority = {
            "certificate-authority": str(certificate),
            "certificate-authority-data": None,
        }
        use(server=proxy.endpoint, user={"username": "u", "password": "p"}, **authority)
        proxy.fault = lambda request: Answer(200, b"{}")
        client_of(namespace="x").read("Job", "one")

    assert proxy.requests[0].path == "/apis/batch/v1/namespaces/x/jobs/one"
    assert proxy.requests[0].headers["user-agent"] == f"tac/{__version__}"
    assert proxy.requests[0].headers["authorization"] == "Basic dTpw"


def test_a_request_is_sent_once(use, client_of):
    with running_proxy("http://127.0.0.1:1") as proxy:
        use(server=proxy.endpoint)
        body = {"kind": "Status", "code": 429, "message": "slow", "details": {}}
        body["details"] = {"retryAfterSeconds": 7}
        proxy.fault = lambda request: Answer(429, json.dumps(body).encode())
        error = refused(lambda: client_of(namespace="x").read("Job", "one"), ApiUnavailable)

    assert error.retry_after_seconds == 7
    assert len(proxy.requests) == 1


def test_no_credential_is_shown(use, caplog, client_of):
    caplog.set_level(logging.DEBUG)
    use(user={"token": "tell-nobody"}, server="https://127.0.0.1:1")
    client = client_of(namespace="x")
    error = refused(lambda: client.read("Job", "one"), ApiUnavailable)
    use(user={"token": "tell-\u00fcbody\n"})
    wrong = refused(lambda: client_of(namespace="x").read("Job", "one"), ConfigError)
    shown = [repr(client), repr(vars(client)), repr(client._sender._credentials.current())]
    shown += ["".join(traceback.format_exception(each)) for each in (error, wrong)]

    assert "tell-" not in "\n".join([*shown, caplog.text])
    assert wrong.message == "kubeconfig: its token has characters that no token has"
