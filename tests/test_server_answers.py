"""Whoever asks a server for something is answered, whatever goes wrong at it."""

import threading
from pathlib import Path

import pytest

from brender.bus.address import Address, ServerAddresses, free_ports
from brender.commands.options import client
from brender.model.errors import BrenderError
from brender.roles.policy import Policy
from brender.roles.server.loop import Server
from brender.store.datafolder import DataFolder
from tests.tools import submit_command


def test_a_submit_and_an_action_at_which_the_server_fails_are_answered_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(DataFolder(tmp_path), ServerAddresses.of(Address("127.0.0.1", free_ports(4))), Policy())
    serving = threading.Thread(target=server.run)
    serving.start()
    try:
        with client(None, tmp_path, timeout=60.0) as connection:
            job = submit_command(connection, "true")

            def fail(*_: object) -> None:
                raise ZeroDivisionError("a fault of this server")

            server.core.handle = server.core.act = fail  # type: ignore[method-assign, assignment]
            with pytest.raises(BrenderError, match=r"The server failed at this submit, .* its log says why"):
                submit_command(connection, "true")
            with pytest.raises(BrenderError, match=r"The server failed at this act, "):
                connection.act("pause", job)
    finally:
        server.stop()
        serving.join(30)
    assert caplog.text.count("ZeroDivisionError: a fault of this server") == 2
