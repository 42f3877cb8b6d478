"""How the samples of a frame are shared out to the passes of a job that goes over its frames again and again. Pure.

A frame is refined by equal shares of its samples, or by shares that double what it has; or it is drafted, and then rendered as a
whole. Passes that double the samples are fewer, and each lowers the noise by the same factor, since it falls with their square
root.
"""

from collections.abc import Mapping, Sequence
from typing import Any

#: How a frame gets better from pass to pass.
DOUBLING, SAMPLES, DRAFT = "doubling", "samples", "draft"
_DRAFTED_PASSES = 2


def passes_of(settings: Mapping[str, Any]) -> int:
    """Return in how many passes a prepared job with these *settings* goes over its frames, each a part of the frame; 0 if it
    renders each once.

    >>> passes_of({"refine": "samples", "passes": 8}), passes_of({"refine": "doubling", "passes": 4})
    (8, 4)
    >>> passes_of({"refine": "draft", "passes": 8}), passes_of({})
    (2, 0)
    """
    if "refine" not in settings:
        return 0
    return _DRAFTED_PASSES if settings["refine"] == DRAFT else int(settings["passes"])


def first_share(settings: Mapping[str, Any]) -> int:
    """Return which part of the samples a frame's first pass takes: 8 is an eighth.

    >>> first_share({"refine": "samples", "passes": 8}), first_share({"refine": "doubling", "passes": 4})
    (8, 8)
    """
    return int(2 ** (settings["passes"] - 1) if settings["refine"] == DOUBLING else settings["passes"])


def most_passes(refine: str, samples: int) -> int:
    """Return in how many passes a frame with so many *samples* can be refined at most, each of which adds one sample or more.

    >>> most_passes("samples", 5), most_passes("doubling", 5), most_passes("doubling", 8)
    (5, 3, 4)
    """
    return samples.bit_length() if refine == DOUBLING else samples


def samples_upto(settings: Mapping[str, Any], number: int, samples: int) -> int:
    """Return how many of its *samples* a frame has after the pass *number*, from 1.

    >>> [samples_upto({"refine": "samples", "passes": 3}, number, 100) for number in (0, 1, 2, 3)]
    [0, 33, 66, 100]
    >>> [samples_upto({"refine": "doubling", "passes": 4}, number, 100) for number in (0, 1, 2, 3, 4)]
    [0, 12, 25, 50, 100]
    """
    if settings["refine"] != DOUBLING:
        return int(samples * number // settings["passes"])
    return int(samples // 2 ** (settings["passes"] - number)) if number else 0


def weight_of(settings: Mapping[str, Any], piece: int) -> float:
    """Return how much work a part is, as a multiple of a frame's first pass, of a job with these *settings*. *piece*: its pass,
    or 0 for the last; 1 for each part of a job that renders its frames once.

    >>> [weight_of({"refine": "doubling", "passes": 4}, piece) for piece in (1, 2, 3, 0)]
    [1.0, 1.0, 2.0, 4.0]
    >>> [weight_of({"refine": "draft", "passes": 8}, piece) for piece in (1, 0)], weight_of({"pieces": 4}, 2)
    ([1.0, 8.0], 1.0)
    """
    number = piece or passes_of(settings)
    if are_alike(settings) or number < 2:
        return 1.0
    return float(settings["passes"]) if settings["refine"] == DRAFT else 2.0 ** (number - 2)


def are_alike(settings: Mapping[str, Any]) -> bool:
    """Return whether all parts of a job with these *settings* are the same work (`weight_of`).

    >>> are_alike({"refine": "samples", "passes": 8}), are_alike({"refine": "draft", "passes": 8}), are_alike({"pieces": 4})
    (True, False, True)
    """
    return not passes_of(settings) or settings["refine"] == SAMPLES


def weights_of(settings: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the `weight_of` the parts of each pass; none where all are alike.

    >>> weights_of({"refine": "doubling", "passes": 4}), weights_of({"refine": "samples", "passes": 8})
    ((1.0, 1.0, 2.0, 4.0), ())
    """
    return () if are_alike(settings) else tuple(weight_of(settings, number + 1) for number in range(passes_of(settings)))


def weight_to_come(settings: Mapping[str, Any], completed: int, parts: int) -> float:
    """Return the mean `weight_of` those of its *parts* that such a job has still to do, where so many are *completed*: one pass
    after the other, as they mostly are.

    >>> halfway = {"refine": "doubling", "passes": 4}
    >>> weight_to_come(halfway, 0, 40), weight_to_come(halfway, 20, 40), weight_to_come(halfway, 35, 40), weight_to_come({}, 3, 8)
    (2.0, 3.0, 4.0, 1.0)
    """
    return mean_weight(weights_of(settings), completed, parts, parts) if parts > completed else weight_of(settings, 0)


def growth(settings: Mapping[str, Any], completed: int, parts: int) -> float:
    """Return how much more work such a job's parts to come are, on average, than those that are *completed*.

    >>> growth({"refine": "doubling", "passes": 4}, 20, 40), growth({}, 3, 8)
    (3.0, 1.0)
    """
    return weight_to_come(settings, completed, parts) / mean_weight(weights_of(settings), 0, completed, parts)


def mean_weight(weights: Sequence[float], first: int, end: int, parts: int) -> float:
    """Return the mean weight of the parts from the one numbered *first* to the one before *end*, of all *parts*, in their order:
    so many to each pass, of which the *weights* are; 1 where there are no weights, or no such parts.

    >>> mean_weight((1.0, 1.0, 2.0, 4.0), 10, 30, 40), mean_weight((), 10, 30, 40)
    (1.5, 1.0)
    """
    if not weights or end <= first or parts <= 0:
        return 1.0
    frames = parts / len(weights)
    spans = ((max(first, number * frames), min(end, (number + 1) * frames), each) for number, each in enumerate(weights))
    return sum(max(0.0, last - start) * weight for start, last, weight in spans) / (end - first)
