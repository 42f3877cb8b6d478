"""The server's questions about folders that machines share: looked at in threads, for a folder of the network may not answer."""

import threading
from collections.abc import Callable
from pathlib import Path

from brender.bus.messages import Seen
from brender.engines.disk_space import no_answer
from brender.engines.shared_folders import FolderLook, look


class SharedFolders:
    """Looks at folders for the server, one look at a time at each. *post* runs a call in the worker's loop; *tell* is called
    there, with what was seen."""

    def __init__(self, post: Callable[[Callable[[], None]], None], tell: Callable[[Seen], None]) -> None:
        self._post = post
        self._tell = tell
        self._under_way: set[str] = set()

    def look(self, worker: str, variable: str, folder: str, proof: str) -> None:
        """Look at *folder*, where the path *variable* leads, for the file for *proof*. Only in the loop; does not wait."""

        def told(found: FolderLook) -> Seen:
            return Seen(
                worker=worker,
                variable=variable,
                proof=proof,
                digest=found.digest,
                writable=found.writable,
                problem=found.problem,
            )

        def end(found: FolderLook) -> None:
            self._under_way.discard(folder)
            self._tell(told(found))

        def run() -> None:
            try:
                found = look(Path(folder), proof)
            except Exception as error:
                found = FolderLook(problem=f"{folder} cannot be looked at: {error}")
            self._post(lambda: end(found))

        if folder in self._under_way:
            self._tell(told(FolderLook(problem=no_answer(Path(folder)))))
            return
        self._under_way.add(folder)
        threading.Thread(target=run, name="brender-look", daemon=True).start()
