"""A registry of images that has none, and says so as it is asked to.

Usage: python refusing_registry.py
The first part of an image's name is the answer: `127.0.0.1:5999/401/x` is unauthorized.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 5999

# The codes: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
CODES = {
    401: "UNAUTHORIZED",
    403: "DENIED",
    404: "MANIFEST_UNKNOWN",
    429: "TOOMANYREQUESTS",
}


class Registry(BaseHTTPRequestHandler):
    """Refuses every image."""

    protocol_version = "HTTP/1.1"
    # Who tries TLS first has to see that this is HTTP.
    default_request_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer as the name of the image says."""
        words = self.path.split("/")
        status = int(words[2]) if len(words) > 2 and words[2].isdigit() else 200
        code = CODES.get(status, "UNKNOWN")
        body = json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        """Answer as the name of the image says."""
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the base's name
        """Say nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", PORT), Registry).serve_forever()
