"""The end of a worker's own log, kept in memory to be asked for."""

import logging
from collections import deque

_LINES, _CHARACTERS = 400, 60_000


class LogTail(logging.Handler):
    """Keeps what was logged last in this process."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self._lines: deque[str] = deque(maxlen=_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.append(self.format(record))
        except Exception:
            self.handleError(record)

    def text(self) -> str:
        """Return the last lines, oldest first."""
        return "\n".join(self._lines)[-_CHARACTERS:]
