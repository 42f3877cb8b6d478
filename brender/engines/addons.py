"""The add-ons of a job at the worker: brought, unpacked, and enabled in each Blender that works for it."""

from pathlib import Path

from brender.engines.addon_archive import unpack_addon
from brender.engines.attempt import Attempt, AttemptFailed
from brender.engines.job_files import bring
from brender.model.addon import AddOn
from brender.model.errors import BadInput
from brender.model.nodes import Blender


def bring_addons(attempt: Attempt) -> None:
    """Have the add-ons of *attempt*'s job unpacked here, each in the folder that `Place.addon_folder` names. Raises
    `AttemptFailed` or `AttemptStopped`."""
    missing = [addon for addon in attempt.order.addons if not attempt.place.addon_folder(addon.digest).is_dir()]
    if not missing:
        return
    if attempt.place.courier is None:
        raise AttemptFailed("This worker has nothing to bring a job's add-ons with")
    blobs = {addon.digest: attempt.folder / f"addon-{addon.digest}" for addon in missing}
    bring(attempt, attempt.place.courier, {digest: [blob] for digest, blob in blobs.items()})
    for addon in missing:
        try:
            unpack_addon(blobs[addon.digest], attempt.place.addon_folder(addon.digest))
        except BadInput as error:
            raise AttemptFailed(f"The add-on {addon.label}: {error}", permanent=True) from error
        blobs[addon.digest].unlink(missing_ok=True)


def addons_for(attempt: Attempt, blender: Blender) -> list[dict[str, object]]:
    """Return what *blender* is asked to enable for *attempt*. Raises `AttemptFailed` where an add-on is not for it."""
    return [_asked(addon, attempt.place.addon_folder(addon.digest), blender) for addon in attempt.order.addons]


def _asked(addon: AddOn, folder: Path, blender: Blender) -> dict[str, object]:
    if why := addon.why_not(blender.version):
        told = f"{_capital(addon.subject)} {why}, and {blender.label} renders the job"
        raise AttemptFailed(f"{told}: {addon.remedy}" if addon.of_site else told, permanent=True)
    return {
        "label": addon.label,
        "subject": addon.subject,
        "remedy": addon.remedy if addon.of_site else "",
        "module": addon.module,
        "folder": str(folder),
        "is_extension": addon.is_extension,
    }


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
