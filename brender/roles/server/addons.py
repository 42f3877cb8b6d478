"""The add-ons that the farm has for all jobs, in the server's core. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec

from brender.bus.messages import Manage
from brender.farm.farm import Farm
from brender.model.addon import AddOn, check_addons
from brender.model.errors import BadInput, NotFound
from brender.roles.effects import Now
from brender.roles.server.activity import ActivityLog

#: What is asked of a `Manage` about them.
OF_ADDONS = frozenset({"add-addon", "remove-addon"})


class AddOns:
    """Works on *farm*."""

    def __init__(self, farm: Farm, activity: ActivityLog) -> None:
        self.farm = farm
        self.activity = activity

    def manage(self, message: Manage, now: Now) -> dict[str, Any]:
        """Carry out what an admin asks; returns the answer. Raises `BrenderError`.

        ``add-addon``: ``addon``, whose blob is here, takes the place of the one of its module. ``remove-addon``: ``name``, or the
        module.
        """
        if message.what == "add-addon":
            return self._add(message.arguments, now)
        return self._remove(str(message.arguments.get("name", "")), now)

    def _add(self, arguments: Mapping[str, Any], now: Now) -> dict[str, Any]:
        addon = addon_of(arguments)
        others = [each for module, each in self.farm.addons.items() if module != addon.module]
        check_addons([*others, addon])
        replaced = self.farm.addons.get(addon.module)
        self.farm.addons[addon.module] = addon
        user = self.activity.user
        fields = {"addon": msgspec.to_builtins(addon), "user": user, "wall": now.wall}
        self.farm.ledger.put("site_addon", addon.module, fields)
        instead = f", in the place of {replaced.label}" if replaced is not None else ""
        self.activity.note(now, "addon", f"jobs that are accepted from now on have the add-on {addon.label}{instead}")
        unable = sum(not worker.info.takes_addons for worker in self.farm.workers.values())
        replaced_label = replaced.label if replaced is not None else ""
        able = (worker.info for worker in self.farm.workers.values() if worker.info.takes_addons)
        blenders = {blender for info in able for blender in info.blenders}
        unfit = addon.bounds if blenders and not any(addon.takes(blender.version) for blender in blenders) else ""
        return {"addon": fields["addon"], "replaced": replaced_label, "unable": unable, "unfit": unfit}

    def _remove(self, name: str, now: Now) -> dict[str, Any]:
        found = [addon for addon in self.farm.addons.values() if name in (addon.module, addon.name)]
        if not found:
            raise NotFound(f"The farm has no add-on {name!r}. `brender addon list` lists those that it has")
        if len(found) > 1:
            named = " and ".join(sorted(addon.module for addon in found))
            raise BadInput(f"Several add-ons are called {name!r}: name one by its module, {named}")
        del self.farm.addons[found[0].module]
        self.farm.ledger.drop("site_addon", found[0].module)
        self.activity.note(now, "addon", f"jobs that are accepted from now on do not have the add-on {found[0].label}")
        return {"addon": msgspec.to_builtins(found[0])}


def addon_of(arguments: Mapping[str, Any]) -> AddOn:
    """Return the add-on that the *arguments* of ``add-addon`` describe. Raises `BadInput`."""
    try:
        return msgspec.structs.replace(msgspec.convert(arguments.get("addon"), AddOn), of_site=True)
    except msgspec.ValidationError as error:
        raise BadInput(f"The description of the add-on cannot be read: {error}") from error
