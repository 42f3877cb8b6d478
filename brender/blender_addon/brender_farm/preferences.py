"""Which farm, and who I am there. The token is in a file that only its owner can read, not among Blender's preferences."""

import json
import os
import socket
import webbrowser

import bpy

from . import state
from .background import Working, end
from .client import WHERE, Farm, FarmError, checked_address, is_own_machine, unlike
from .progress import draw_work
from .signing_in import sign_in, sign_out

_ORIGIN = os.path.join(os.path.dirname(__file__), "origin.json")
_TOKENS = "brender_tokens.json"
_KNOWN = "brender_known.json"
_OUTBOX = "brender_outbox"
_NAME_LETTERS = 64


def origin():
    """Return what the farm wrote into the add-on that it handed out: its address, and the add-on's version."""
    try:
        with open(_ORIGIN, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return {"address": "", "version": ""}


def _in_config(name):
    return os.path.join(bpy.utils.user_resource("CONFIG", create=True), name)


def outbox_folder():
    """Return the folder of what is submitted and not at the farm yet."""
    return _in_config(_OUTBOX)


def _read(name):
    try:
        with open(_in_config(name), encoding="utf-8") as file:
            found = json.load(file)
            return found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}


def keep_token(address, token):
    """Keep *token* for the farm at *address*; "" forgets it. Raises `FarmError`."""
    _keep(_TOKENS, address, token)


def _keep(name, address, value):
    """Keep *value* for the farm at *address* in the file *name*, which its owner alone can read; an empty one forgets it."""
    kept = {key: each for key, each in _read(name).items() if key != address} | ({address: value} if value else {})
    path = _in_config(name)
    made = f"{path}.new"
    try:
        if os.path.exists(made):
            os.unlink(made)
        # Made as its owner's alone, not changed to that afterwards.
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(kept, file)
        os.replace(made, path)
    except OSError as error:
        raise FarmError(f"{path} cannot be written: {error.strerror or error}") from error


def addon(context):
    """Return the add-on's preferences."""
    return context.preferences.addons[__package__].preferences


def address_of(context):
    """Return the address of the farm. Raises `FarmError`."""
    return checked_address(addon(context).address)


def has_token(context):
    """Return whether there is a token for the farm that is named."""
    try:
        return address_of(context) in _read(_TOKENS)
    except FarmError:
        return False


def _check_online(address):
    if not getattr(bpy.app, "online_access", True) and not is_own_machine(address):
        raise FarmError("Blender may not go online: allow it under Preferences, System, Network (Allow Online Access)")


def farm_of(context):
    """Return the farm, to be asked. Raises `FarmError` where no address or token is set, or Blender may not go online."""
    recall(context)
    return farm_at(address_of(context))


def farm_at(address):
    """Return the farm at *address*, to be asked. Raises `FarmError` as `farm_of`."""
    _check_online(address)
    token = _read(_TOKENS).get(address)
    if not token:
        raise FarmError(f"You are not signed in at the farm at {address} yet: sign in under {WHERE}")
    return Farm(address, token)


def take(context, known):
    """Have *known*, what a farm said of itself (`look_at`), shown now and, where the farm is away, at Blender's next start."""
    from . import form

    state.me, state.about, state.kinds = known["me"], known["about"], known["kinds"]
    for scene in bpy.data.scenes:
        form.fill(scene)
    if _read(_KNOWN).get(address_of(context)) != known:
        _keep(_KNOWN, address_of(context), known)


def recall(context):
    """Show what the farm said of itself last, as long as it has not been asked."""
    # (Blender keeps scenes from an add-on that it enables: the timer comes back here, twice a second until something is known.)
    if state.kinds or not hasattr(bpy.data, "scenes"):
        return
    try:
        known = _read(_KNOWN).get(address_of(context))
        if known and has_token(context):
            take(context, known)
    except (FarmError, KeyError, TypeError):
        pass


def _other_farm(self, context):
    state.forget()
    recall(context)


class BRENDER_preferences(bpy.types.AddonPreferences):
    bl_idname = __package__

    address: bpy.props.StringProperty(
        name="Farm",
        description="The address of the farm's page, such as http://farm.example:8888",
        update=_other_farm,
    )

    def draw(self, context):
        layout = self.layout
        layout.prop(self, "address")
        row = layout.row()
        if has_token(context):
            row.operator("brender.connect", text="Test connection")
            row.operator("brender.forget_token")
        else:
            row.operator("brender.sign_in")
        row.operator("brender.paste_token", text="Paste a token…")
        draw_work(layout)
        if state.me:
            layout.label(text=who(), icon="CHECKMARK")


def who():
    """Return who I am at the farm, and what farm it is, in words."""
    return f"{state.me['name']} ({state.me['role']}) at brender {state.about['software']}"


class BRENDER_OT_forget_token(Working, bpy.types.Operator):
    bl_idname = "brender.forget_token"
    bl_label = "Sign out"
    bl_description = "Revoke the token at the farm, and remove it from this machine"

    def prepare(self, context):
        self._address = address_of(context)
        farm = Farm(self._address, _read(_TOKENS).get(self._address, ""))
        return farm, lambda say: sign_out(farm)

    def finish(self, context, result):
        keep_token(self._address, "")
        state.forget()
        self.report({"WARNING"} if result else {"INFO"}, result or "You are signed out, and the token is revoked")


def look_at(farm):
    """Return who I am at *farm*, what it is, and its job types. Raises `FarmError`."""
    try:
        kinds = [each for each in farm.ask("/job-types") if each["needs_file"]]
        about, me = farm.ask("/about"), farm.ask("/me")
        return {"me": {"name": me["name"], "role": me["role"]}, "about": {"software": about["software"]}, "kinds": kinds}
    except (KeyError, TypeError) as error:
        raise unlike(farm, error) from error


class _Connecting(Working):
    """Operators that ask the farm who I am there, and what jobs it takes."""

    def prepare(self, context):
        farm = farm_of(context)
        return farm, lambda say: look_at(farm)

    def finish(self, context, result):
        take(context, result)
        own = origin()["version"]
        said = f"Connected as {who()}"
        if own and own.split(".")[:2] != state.about["software"].split(".")[:2]:
            self.report({"WARNING"}, f"{said}. This add-on is of brender {own}: download the farm's own from its page Submit")
        else:
            self.report({"INFO"}, said)


class BRENDER_OT_connect(_Connecting, bpy.types.Operator):
    bl_idname = "brender.connect"
    bl_label = "Connect"
    bl_description = "Ask the farm who I am there, and which job types it has"


def _show_page(page):
    state.page = page
    webbrowser.open(page)


class BRENDER_OT_sign_in(_Connecting, bpy.types.Operator):
    bl_idname = "brender.sign_in"
    bl_label = "Sign in"
    bl_description = "Open the farm's page in the browser, where you confirm a code that is shown here"

    def prepare(self, context):
        self._address = address_of(context)
        _check_online(self._address)
        stranger = Farm(self._address, "")
        name = f"Blender on {socket.gethostname() or 'a machine'}"[:_NAME_LETTERS]

        def doing(say):
            self._token = sign_in(stranger, name, say, _show_page)
            return look_at(Farm(self._address, self._token))

        return stranger, doing

    def finish(self, context, result):
        keep_token(self._address, self._token)
        super().finish(context, result)


class BRENDER_OT_paste_token(_Connecting, bpy.types.Operator):
    bl_idname = "brender.paste_token"
    bl_label = "Token for the farm"
    bl_description = "Keep a token that was made on the page of your account at the farm"
    bl_options = {"INTERNAL"}  # (others are written to the Info editor, with their token)

    token: bpy.props.StringProperty(name="Token", subtype="PASSWORD", options={"SKIP_SAVE", "HIDDEN"})

    def invoke(self, context, event):
        return context.window_manager.invoke_props_dialog(self, width=500)

    def draw(self, context):
        self.layout.prop(self, "token")

    def prepare(self, context):
        token, self.token = "".join(self.token.split()), ""
        if not token.isascii() or not token:
            raise FarmError("That is not a token: copy the whole token from the page of your account")
        keep_token(address_of(context), token)
        state.forget()
        return super().prepare(context)


_CLASSES = (BRENDER_preferences, BRENDER_OT_sign_in, BRENDER_OT_paste_token, BRENDER_OT_forget_token, BRENDER_OT_connect)


def register():
    for each in _CLASSES:
        bpy.utils.register_class(each)
    entry = bpy.context.preferences.addons.get(__package__)
    if entry is not None and entry.preferences is not None and not entry.preferences.address:
        entry.preferences.address = origin()["address"]


def unregister():
    end()
    state.forget()
    for each in reversed(_CLASSES):
        bpy.utils.unregister_class(each)
