"""The add-ons of a job at the worker: brought and unpacked for one Blender, which enables them."""

from pathlib import Path

from brender.engines.addon_archive import unpack_addon
from brender.engines.attempt import Attempt, AttemptFailed
from brender.engines.job_files import bring
from brender.model.addon import AddOn
from brender.model.errors import BadInput
from brender.model.failure_patterns import Follows
from brender.model.nodes import Blender
from brender.system.removal import remove_tree


def addons_for(attempt: Attempt, blender: Blender, folder: Path) -> list[dict[str, object]]:
    """Unpack the add-ons of *attempt*'s job in the new *folder*, removed where that fails; return what *blender* is asked
    to enable. They are unpacked for it alone: without a sandbox a render may change them. Raises `AttemptFailed`, where an add-on
    is not for *blender* too, or `AttemptStopped`."""
    asked = [_asked(addon, folder / addon.digest, blender) for addon in attempt.order.addons]
    if not asked:
        return []
    try:
        _unpack(attempt, folder)
    except BaseException:
        remove_tree(folder)
        raise
    return asked


def _unpack(attempt: Attempt, folder: Path) -> None:
    if attempt.place.courier is None:
        raise AttemptFailed("This worker has no connection to fetch a job's add-ons")
    for addon in attempt.order.addons:
        blob = folder / f"{addon.digest}.blob"
        try:
            bring(attempt, attempt.place.courier, {addon.digest: [blob]})
        except AttemptFailed as error:
            remedy = f". `brender addon add PATH` gives it again, {addon.remedy}" if addon.of_site else ""
            raise AttemptFailed(f"{_capital(addon.subject)}: {error}{remedy}") from error
        try:
            unpack_addon(blob, folder / addon.digest, addon.digest)
        except BadInput as error:
            raise AttemptFailed(f"{_capital(addon.subject)}: {error}", permanent=True) from error
        blob.unlink()


def _asked(addon: AddOn, folder: Path, blender: Blender) -> dict[str, object]:
    if why := addon.why_not(blender.version):
        told = f"{_capital(addon.subject)} {why}, and {blender.label} renders the job"
        said = f"{told}: {addon.remedy}" if addon.of_site else told
        raise AttemptFailed(said, permanent=True, follows=Follows.ELSEWHERE)  # another worker may have a Blender that it is for
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
