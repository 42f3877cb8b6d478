"""Who is about to join: nodes that showed their keys and have not said hello yet; any, as a server starts. Pure."""

from dataclasses import dataclass, field

#: Seconds after which a node that has not said hello is no longer expected: it looks for its Blenders first.
_EXPECTED_SECONDS = 60.0
#: Seconds after its start for which a server expects the nodes that were started with it.
_STARTING_SECONDS = 10.0


@dataclass
class Joining:
    """The nodes that are expected, by their ids: the name of each, and when it showed its key (seconds, monotonic).
    ``is_starting``: the server started a moment ago."""

    managers: dict[str, tuple[str, float]] = field(default_factory=dict)
    workers: dict[str, tuple[str, float]] = field(default_factory=dict)
    is_starting: bool = True
    _began: float | None = None

    def joined(self, node: str) -> None:
        """Expect *node* no longer: it is there."""
        self.managers.pop(node, None)
        self.workers.pop(node, None)

    def look(self, mono: float) -> None:
        """Forget what was expected for too long."""
        self._began = mono if self._began is None else self._began
        self.is_starting = mono - self._began < _STARTING_SECONDS
        for expected in (self.managers, self.workers):
            for node in [node for node, (_, since) in expected.items() if mono - since > _EXPECTED_SECONDS]:
                del expected[node]
