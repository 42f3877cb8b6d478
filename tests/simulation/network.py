"""The simulated network: messages are late, lost, doubled and overtaken, and links are cut for a while."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from brender.bus.codec import decode, encode
from brender.bus.messages import Message
from tests.simulation.clock import Clock


@dataclass(frozen=True)
class Weather:
    """How bad the network is. Shares of 1, seconds."""

    loss: float = 0.0
    doubled: float = 0.0
    delay: float = 0.02
    """The mean delay; now and then ten times that, so that later messages overtake."""


class Network:
    """Carries messages between ends by their names. ``cut`` holds pairs that hear nothing of each other."""

    def __init__(self, clock: Clock, chance: random.Random, weather: Weather) -> None:
        self.clock = clock
        self.chance = chance
        self.weather = weather
        self.cut: set[frozenset[str]] = set()

    def carry(self, sender: str, receiver: str, message: Message, deliver: Callable[[Message], None]) -> None:
        """Let *message* arrive at *receiver*, or not. It travels as bytes, as it does in the world."""
        weather, chance = self.weather, self.chance
        for _ in range(2 if chance.random() < weather.doubled else 1):
            if chance.random() < weather.loss:
                continue
            delay = chance.expovariate(1 / weather.delay) * (10 if chance.random() < 0.05 else 1)
            frames = encode(message)
            self.clock.at(delay, lambda frames=frames: self._arrive(sender, receiver, frames, deliver))  # type: ignore[misc]

    def _arrive(self, sender: str, receiver: str, frames: list[bytes], deliver: Callable[[Message], None]) -> None:
        if frozenset((sender, receiver)) not in self.cut:
            deliver(decode(frames)[0])
