"""What passes through links in a second, by two reports of a role and the time between them. Pure."""

from dataclasses import dataclass, field

from brender.model.bus_figures import BusFigures, Link, Rounds


@dataclass(frozen=True)
class Rates:
    """Of one link, or of all of a role: messages and bytes a second, out and in; ``by_type`` has both of each type of message."""

    sent: float = 0.0
    received: float = 0.0
    bytes_sent: float = 0.0
    bytes_received: float = 0.0
    by_type: dict[str, tuple[float, float]] = field(default_factory=dict)


def between(now: Link, before: Link | None, seconds: float) -> Rates:
    """Return the rates of a link from its report *before* to that of *now*; none without one, or where it was made again."""
    if before is None or seconds <= 0 or now.bytes_sent < before.bytes_sent or now.bytes_received < before.bytes_received:
        return Rates()
    names = dict.fromkeys((*now.sent, *now.received))
    by_type = {
        name: (
            _rate(now.sent.get(name, 0), before.sent.get(name, 0), seconds),
            _rate(now.received.get(name, 0), before.received.get(name, 0), seconds),
        )
        for name in names
    }
    return Rates(
        sent=sum(out for out, _ in by_type.values()),
        received=sum(into for _, into in by_type.values()),
        bytes_sent=_rate(now.bytes_sent, before.bytes_sent, seconds),
        bytes_received=_rate(now.bytes_received, before.bytes_received, seconds),
        by_type=by_type,
    )


def of_links(now: BusFigures, before: BusFigures | None) -> list[tuple[Link, Rates]]:
    """Return each link of a role with its rates since the report *before*."""
    seconds = now.up - before.up if before is not None else 0.0
    earlier = {link.name: link for link in before.links} if before is not None and seconds > 0 else {}
    return [(link, between(link, earlier.get(link.name), seconds)) for link in now.links]


def in_all(rates: list[Rates]) -> Rates:
    """Return the sum of *rates*."""
    return Rates(
        sent=sum(each.sent for each in rates),
        received=sum(each.received for each in rates),
        bytes_sent=sum(each.bytes_sent for each in rates),
        bytes_received=sum(each.bytes_received for each in rates),
    )


@dataclass(frozen=True)
class RoundRates:
    """Of the rounds of a role: how many a second, the share of time that they take (0 to 1), their mean and longest in seconds,
    and commits and rows a second."""

    rounds: float = 0.0
    busy: float = 0.0
    mean: float = 0.0
    longest: float = 0.0
    commits: float = 0.0
    rows: float = 0.0


def of_rounds(now: BusFigures, before: BusFigures | None) -> RoundRates:
    """Return the same of the rounds between two reports of a role."""
    rounds, seconds = now.rounds, now.up - before.up if before is not None else 0.0
    if rounds is None or before is None or seconds <= 0:
        return RoundRates(longest=rounds.longest if rounds is not None else 0.0)
    earlier = before.rounds or Rounds()
    count, took = rounds.count - earlier.count, max(0.0, rounds.seconds - earlier.seconds)
    return RoundRates(
        rounds=max(0.0, count / seconds),
        busy=min(1.0, took / seconds),
        mean=took / count if count > 0 else 0.0,
        longest=rounds.longest,
        commits=_rate(rounds.commits, earlier.commits, seconds),
        rows=_rate(rounds.rows, earlier.rows, seconds),
    )


def _rate(now: int, before: int, seconds: float) -> float:
    return max(0, now - before) / seconds
