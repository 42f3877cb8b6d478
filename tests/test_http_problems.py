"""What `Farm` over HTTP says where a proxy or a certificate is in the way. The farm's page is a small server that plays one."""

import contextlib
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from brender.api.http import Http
from brender.model.errors import BrenderError, Unreachable


class _Proxy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(413)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextlib.contextmanager
def _answering(certificate: Path | None = None) -> Iterator[str]:
    """A server that refuses every request as too large; yields its address, of HTTPS where it has a *certificate*."""
    with HTTPServer(("127.0.0.1", 0), _Proxy) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http{'s' if certificate else ''}://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(30)


def test_a_proxy_that_refuses_large_files_is_named_with_the_setting_that_mends_it() -> None:
    with _answering() as address, pytest.raises(BrenderError, match="client_max_body_size") as caught:
        Http(address, "token").ask("job", id="a")
    assert "brender docs proxy" in str(caught.value)


def test_a_certificate_that_is_not_trusted_is_named_with_the_way_to_trust_it(tmp_path: Path) -> None:
    pem = tmp_path / "own.pem"
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    making = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", *subject)
    subprocess.run([*making, "-keyout", pem, "-out", tmp_path / "cert.pem"], check=True, capture_output=True, timeout=60)
    with pem.open("ab") as both:
        both.write((tmp_path / "cert.pem").read_bytes())
    with _answering(pem) as address, pytest.raises(Unreachable, match="SSL_CERT_FILE"):
        Http(address, "token").ask("job", id="a")
