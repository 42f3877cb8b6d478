"""Electric energy: values, and their words. Pure."""

from dataclasses import dataclass

_JOULES_A_KWH = 3.6e6
#: From this share of the time on, energy counts as measured the whole time: a first and a last moment of attempts are often not.
_WHOLE = 0.95


@dataclass(frozen=True)
class Energy:
    """Joules, and the seconds in which they were measured: what was used in other seconds is not known."""

    joules: float = 0.0
    seconds: float = 0.0


NO_ENERGY = Energy()


def energy_in_words(joules: float, measured: float, machine_seconds: float) -> str:
    """Return *joules* in kWh, that were *measured* in so many of the *machine_seconds*, for a person; "not known" where nothing
    was measured.

    >>> energy_in_words(5.4e6, 3600, 3600)
    '1.50 kWh'
    >>> energy_in_words(5.4e6, 1800, 3600)
    '1.50 kWh in 50 % of the time, of the rest it is not known'
    >>> energy_in_words(0, 0, 3600)
    'not known'
    """
    if measured <= 0:
        return "not known"
    kwh = joules / _JOULES_A_KWH
    said = f"{kwh:,.2f} kWh" if kwh >= 1 else f"{kwh * 1000:,.3g} Wh"
    share = measured / machine_seconds if machine_seconds > 0 else 1.0
    return said if share >= _WHOLE else f"{said} in {share:.0%} of the time, of the rest it is not known".replace("%", " %", 1)


def kwh(joules: float) -> float:
    """Return *joules* in kilowatt hours."""
    return joules / _JOULES_A_KWH
