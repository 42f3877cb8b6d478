"""Signing in by a code that is confirmed on the farm's page. No bpy here: it runs in a thread beside Blender."""

import time

from .client import Away, FarmError, SignedOut, unlike

_STEP_SECONDS = 0.2
_SLOWER_SECONDS = 5.0


def sign_in(farm, name, say, show, sleep=time.sleep, clock=time.monotonic):
    """Ask *farm* for a code as the program *name*, *show* the address of the page that takes it, and return the token once
    somebody has confirmed it there. Raises `FarmError`."""
    farm.stopped_words = "Stopped: you are not signed in"
    try:
        codes = farm.ask("/device/code", {"name": name})
        interval, end = float(codes["interval"]), clock() + float(codes["expires_in"])
        page, asked = str(codes["verification_uri_complete"]), {"device_code": codes["device_code"]}
        if not page.startswith(("http://", "https://")):
            raise FarmError(f"{page} is not the address of a page: you are not signed in")
        say(f"Confirm this code on the farm's page:\n{codes['user_code']}\n{codes['verification_uri']}")
        show(page)
        while clock() < end:
            try:
                return farm.ask("/device/token", asked)["access_token"]
            except Away:
                pass
            except FarmError as error:
                if error.code == "slow_down":
                    interval += _SLOWER_SECONDS
                elif error.code != "authorization_pending":
                    raise
            _wait(farm, interval, sleep)
    except FarmError as error:
        if error.is_unknown_there or error.code == "401":
            raise FarmError(
                f"The farm at {farm.address} is older than this add-on and signs nobody in by a code: make a token on the page "
                "of your account, and paste it"
            ) from error
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise unlike(farm, error) from error
    raise FarmError("Nobody confirmed the code in time: sign in again")


def sign_out(farm):
    """Have *farm* revoke the token that it is asked with. Return what is left to do, in words, or "" if nothing is."""
    try:
        farm.ask("/me/sign-out", {})
    except SignedOut:  # (it was not good any more)
        return ""
    except FarmError as error:
        why = "is older than this add-on" if error.is_unknown_there else f"did not revoke it ({error})"
        return f"The token is removed from this machine. The farm {why}: revoke it on the page of your account"
    return ""


def _wait(farm, seconds, sleep):
    left = seconds
    while left > 0:
        farm.check_stopped()
        sleep(min(_STEP_SECONDS, left))
        left -= _STEP_SECONDS
