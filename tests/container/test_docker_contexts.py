"""Docker contexts, at a real engine."""

import contextlib
import hashlib
import json

from tac.runners.docker.engine import Engine


def test_the_engine_is_the_one_of_the_context_that_docker_uses(engine, tmp_path, monkeypatch):
    for name, host in (("here", engine.host), ("faraway", "ssh://me@far.example")):
        identifier = hashlib.sha256(name.encode()).hexdigest()
        meta = tmp_path / "contexts" / "meta" / identifier / "meta.json"
        meta.parent.mkdir(parents=True)
        endpoints = {"docker": {"Host": host, "SkipTLSVerify": False}}
        meta.write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": endpoints}))
    (tmp_path / "config.json").write_text('{"currentContext": "faraway"}')
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONTEXT", "here")

    with contextlib.closing(Engine()) as found:
        assert (found.host, bool(found.info["ID"])) == (engine.host, True)
