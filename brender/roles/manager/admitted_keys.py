"""The workers' keys that the server admits. Its manager keeps them, so that they find it while the server is away. Pure."""

from brender.bus.messages import Admitted
from brender.model.keys import Principal


class AdmittedKeys:
    """The keys, by their ids, as far as the server has told of them."""

    def __init__(self) -> None:
        self.by_id: dict[str, Principal] = {}
        self._number = -1

    def take(self, message: Admitted) -> set[str] | None:
        """Note what *message* says, and return the ids of the nodes that are not admitted any more; ``None`` where something was
        lost on the way, and nothing is noted: the server is to tell the whole list."""
        if message.since is not None and message.since != self._number:
            return None
        before = {principal.node for principal in self.by_id.values()}
        known = self.by_id if message.since is not None else {}
        self.by_id = {id: key for id, key in known.items() if id not in message.gone} | {key.id: key for key in message.keys}
        self._number = message.number
        return before - {principal.node for principal in self.by_id.values()}
