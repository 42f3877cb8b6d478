"""Which route leads to which node now. ZeroMQ's routing ids are of the moment; a node's id is for good."""


class Routes:
    """A two-way map between a ROUTER's routes and the nodes that said hello on them."""

    def __init__(self) -> None:
        self._by_route: dict[bytes, tuple[str, str]] = {}
        self._by_node: dict[str, bytes] = {}

    def bind(self, route: bytes, node: str, role: str) -> None:
        """*node*, a *role*, is reached by *route* now; the way it was reached before is forgotten."""
        self.unbind(node)
        self._by_route[route] = (node, role)
        self._by_node[node] = route

    def unbind(self, node: str) -> None:
        route = self._by_node.pop(node, None)
        if route is not None:
            self._by_route.pop(route, None)

    def who(self, route: bytes) -> tuple[str, str]:
        """Return the node and role behind *route*; two empty texts if no node said hello on it."""
        return self._by_route.get(route, ("", ""))

    def to(self, node: str) -> bytes | None:
        return self._by_node.get(node)
