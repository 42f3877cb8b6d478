"""Serving the dashboard with waitress."""

import _thread

from waitress.server import create_server

from brender.bus.address import Address, ServerAddresses
from brender.bus.keys import KeyPair
from brender.model.errors import BadInput, Conflict
from brender.store.datafolder import DataFolder
from dashboard.app import create_app


class Dashboard:
    """The dashboard on *address*, for the farm in *folder* whose server is *server*, which it asks with the key *pair*. Raises
    `Conflict` where the port is in use."""

    def __init__(self, folder: DataFolder, address: Address, server: ServerAddresses, pair: KeyPair, database: str = "") -> None:
        app = create_app(folder, server, pair, database)
        try:
            self._server = create_server(app, host=address.host, port=address.port, threads=8, ident="brender")
        except OSError as error:
            if address.port:
                raise Conflict(
                    f"The dashboard: port {address.port} on {address.host} is in use, perhaps by another dashboard. "
                    "Stop that one, or choose another port with --port-base"
                ) from error
            raise BadInput(f"The dashboard cannot listen on {address}: {error.strerror}") from error
        self.address = Address(address.host, int(self._server.effective_port))
        self.url = f"http://{self.address}/"
        folder.make().announce("dashboard", url=self.url)
        self._lock = folder.lock("dashboard")

    def run(self) -> None:
        """Serve until `stop`, SIGTERM or Ctrl-C."""
        try:
            self._server.run()
        finally:
            self._lock.release()

    def stop(self) -> None:
        """End `run` in the main thread. From any thread."""
        _thread.interrupt_main()
        self._server.pull_trigger()  # or it would only look after a second
