"""One question over a socket that may lose it, until it is answered."""

import time
from collections.abc import Callable
from typing import TypeVar

from brender.bus.messages import Message
from brender.bus.transport import Received, Socket

T = TypeVar("T")


def ask(
    socket: Socket,
    question: Message,
    seconds: float,
    resend: float,
    answer: Callable[[Received], T | None],
    looked: Callable[[], None] = lambda: None,
) -> T | None:
    """Send *question* until *answer* makes something of what comes, which is returned; ``None`` after *seconds*.

    It is sent again every *resend* seconds, and almost at once where it could not be sent at all: there is no connection yet.
    *looked* is called after each wait, and may raise.
    """
    deadline, again = time.monotonic() + seconds, 0.0
    while (now := time.monotonic()) < deadline:
        if now >= again:
            again = now + (resend if socket.send(question) else 0.02)
        socket.raw.poll(int(max(1.0, min(again, deadline) * 1000 - now * 1000)))
        looked()
        for received in socket.drain():
            if (found := answer(received)) is not None:
                return found
    return None
