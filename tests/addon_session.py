"""What an artist does with the add-on, inside a Blender: run there with what `tests.test_blender_addon` gives, it writes what
came of each step to a file."""

import http.cookiejar
import json
import os
import re
import socket
import sys
import threading
import time
import urllib.parse
import urllib.request
import webbrowser

import bpy

GIVEN = json.loads(sys.argv[-1])
TOLD: dict = {"said": {}}


def types():
    return {name for name in dir(bpy.types) if "brender" in name.lower()}


def handlers():
    found = {name: getattr(bpy.app.handlers, name) for name in dir(bpy.app.handlers)}
    return {name: len(each) for name, each in found.items() if isinstance(each, list)}


def attempt(step, operator, **words):
    """Have the add-on do something, and keep what it said of it; "" where it was content."""
    try:
        getattr(bpy.ops.brender, operator)(**words)
        TOLD["said"][step] = ""
    except RuntimeError as error:
        TOLD["said"][step] = str(error).strip().removeprefix("Error: ")


def install():
    if hasattr(bpy.app, "online_access"):
        bpy.context.preferences.system.use_online_access = False  # (the farm is on this machine)
    if bpy.app.version >= (4, 2, 0):
        bpy.ops.extensions.package_install_files(filepath=GIVEN["zip"], repo="user_default", enable_on_install=True)
        return "bl_ext.user_default.brender_farm"
    bpy.ops.preferences.addon_install(filepath=GIVEN["zip"])
    bpy.ops.preferences.addon_enable(module="brender_farm")
    return "brender_farm"


def make_scene(folder):
    """Save a scene whose picture lies beside its folder, as a studio's textures do."""
    scene = bpy.context.scene
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.frame_end = 3
    scene.render.resolution_percentage = 5
    os.makedirs(f"{folder}/shot")
    os.makedirs(f"{folder}/textures")
    picture = bpy.data.images.new("wood", 8, 8)
    picture.filepath_raw = f"{folder}/textures/wood ü.png"
    picture.file_format = "PNG"
    picture.save()
    bpy.ops.wm.save_as_mainfile(filepath=f"{folder}/shot/scene one.blend")
    picture.filepath = "//../textures/wood ü.png"
    picture.use_fake_user = True
    picture.source = "FILE"
    bpy.ops.wm.save_mainfile()
    return scene


class Gate:
    """Passes connections on to the farm, as long as it is open: where nobody answers while it is not."""

    def __init__(self, port):
        self._farm = port
        self._listening = None
        self.port = 0
        self.open()

    def open(self):
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    def close(self):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self, listening):
        while True:
            try:
                one, _ = listening.accept()
            except OSError:
                return
            other = socket.create_connection(("127.0.0.1", self._farm))
            for source, target in ((one, other), (other, one)):
                threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    @staticmethod
    def _pass_on(source, target):
        try:
            while block := source.recv(65536):
                target.sendall(block)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def confirm(page):
    """Do in a browser what an artist does there: sign in, and confirm the code."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def post(url, text, **fields):
        fields["csrf_token"] = re.search('csrf-token" content="([^"]+)', text).group(1)
        return browser.open(url, urllib.parse.urlencode(fields).encode()).read().decode()

    login = browser.open(page)
    shown = post(login.url, login.read().decode(), name=GIVEN["user"], password=GIVEN["password"])
    TOLD["confirmed"] = "Blender on" in shown
    post(page.split("?")[0], shown, code=page.split("code=")[1], allow="y")


def two_sides(other):
    """Let *other* have a view layer with a cube on the left alone, and one with a cube on the right alone."""
    mesh = bpy.data.objects["Cube"].data
    for number, side in enumerate(("Left", "Right")):
        collection = bpy.data.collections.new(side)
        cube = bpy.data.objects.new(side, mesh)
        cube.location = (5 * number - 2.5, 5 * number - 2.5, 0)
        collection.objects.link(cube)
        other.collection.children.link(collection)
    other.view_layers[0].name = "Left"
    other.view_layers.new("Right")
    for layer in other.view_layers:
        layer.update()  # (Blender 5.3 knows the collections of a new one only then)
        next(each for each in layer.layer_collection.children if each.name != layer.name).exclude = True
    other.render.film_transparent = other.brender.each_layer = True
    other.render.image_settings.file_format, other.render.image_settings.color_mode = "PNG", "RGBA"


def covered(image):
    """Return whether the left and the right half of *image* have anything in them."""
    width, height = image.size
    alpha = list(image.pixels)[3::4]
    rows = [alpha[row * width : (row + 1) * width] for row in range(height)]
    return [any(any(row[half]) for row in rows) for half in (slice(None, width // 2), slice(width // 2, None))]


def pixels(path):
    """Return the numbers in the file at *path*, as they stand there."""
    image = bpy.data.images.load(path)
    image.colorspace_settings.name = "Non-Color"
    found = list(image.pixels)
    bpy.data.images.remove(image)
    return found


def differ(path, other):
    """Return by how much the pixels of two pictures differ at most, in 255ths."""
    return max(abs(one - two) for one, two in zip(pixels(path), pixels(other), strict=True)) * 255


def tick_until(done, seconds=90):
    """Let the add-on's timer run, as it does in a window, until it is *done*."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not done():
        parts.state.drawn = time.monotonic()
        parts.upkeep.tick()
        time.sleep(0.05)
    return done()


def kept_of_submit(step, whose, name, other):
    """Submit while the function *name* of *whose* is *other*; return what is wrong with each that is kept, and remove it."""
    own = getattr(whose, name)
    setattr(whose, name, other)
    attempt(step, "submit")
    setattr(whose, name, own)
    found = parts.outbox.entries(parts.preferences.outbox_folder())
    for each in found:
        each.remove()
    return [each.problem for each in found]


def stopping(ask):
    """Return *ask* of a farm, which the artist stops when it submits the job."""

    def asked(farm, path, body=None):
        if path == "/jobs":
            farm.stop()
        return ask(farm, path, body)

    return asked


def taken(put):
    """Return *put* of the outbox, where another Blender takes what is put there at once."""

    def putting(*given, **more):
        entry = put(*given, **more)
        open(os.path.join(entry.path, "sending"), "w").close()
        return entry

    return putting


before, before_handlers = types(), handlers()
module = install()
parts = sys.modules[module]
preferences = bpy.context.preferences.addons[module].preferences
TOLD["address"] = preferences.address
gate = Gate(urllib.parse.urlsplit(preferences.address).port)
through = f"http://127.0.0.1:{gate.port}"

attempt("no token", "submit")
preferences.address = "no where"
attempt("no address", "connect")
preferences.address = GIVEN["nowhere"]
attempt("nobody there", "sign_in")
preferences.address = through
attempt("wrong token", "paste_token", token="brender_wrong")
webbrowser.open = confirm
attempt("sign in", "sign_in")
TOLD["me"] = parts.state.me["name"]
kept = os.path.join(bpy.utils.user_resource("CONFIG"), "brender_tokens.json")
TOLD["mode"] = os.stat(kept).st_mode & 0o777
attempt("never saved", "submit")

scene = make_scene(GIVEN["folder"])
camera, scene.camera = scene.camera, None
attempt("no camera", "submit")
scene.camera = camera
scene.brender.settings["samples"].text = "many"
attempt("no number", "submit")
scene.brender.settings["samples"].text = ""
scene.brender.project = "ü" * 300
attempt("long name", "submit")
scene.brender.project = "default"
scene.brender.settings["camera"].text = "Nobody"
attempt("refused by the farm", "submit")
scene.brender.settings["camera"].text = ""
TOLD["kept of what was refused"] = len(parts.state.waiting) + len(os.listdir(parts.preferences.outbox_folder()))
textures = os.path.join(GIVEN["folder"], "textures")
os.rename(textures, f"{textures}-away")
attempt("missing", "submit")
attempt("jobs", "refresh")
TOLD["jobs after refusals"] = len(parts.state.jobs)
os.rename(f"{textures}-away", textures)

attempt("check", "check")
TOLD["outlook"] = list(parts.state.outlook)
tick_until(lambda: parts.state.forecast)
TOLD["forecast"] = [parts.state.forecast[:1], parts.state.warnings]
scene.brender.settings["frames"].text = "1-2"
farms = parts.client.Farm
ends = ("stopped", farms, "ask", stopping(farms.ask)), ("taken", parts.outbox, "put", taken(parts.outbox.put))
TOLD["kept of what was stopped or taken"] = [kept_of_submit(*each) for each in ends]
attempt("submit", "submit")
attempt("test frame", "test_frame")
TOLD["test frame"] = list(bpy.data.images["Test frame 1"].size)

gate.close()
other = bpy.data.scenes.new("Other")
other.camera = camera
other.collection.objects.link(camera)
other.render.engine, other.render.resolution_percentage, other.frame_end = "BLENDER_WORKBENCH", 5, 1
two_sides(other)
scene.brender.is_chosen = other.brender.is_chosen = True
scene.brender.output = other.brender.output = f"{GIVEN['folder']}/frames"
TOLD["folders"] = [each["output"].removeprefix(GIVEN["folder"]) for each in parts.form.jobs_of(bpy.context, "x")]
attempt("farm away", "submit")
TOLD["kept"] = [len(entry.jobs) for entry in parts.state.waiting]
bpy.ops.preferences.addon_disable(module=module)
bpy.ops.preferences.addon_enable(module=module)  # (as when Blender is started again)
parts = sys.modules[module]
bpy.context.preferences.addons[module].preferences.address = through
tick_until(lambda: parts.state.problem, 20)
TOLD["away"] = [parts.state.problem, len(parts.state.kinds) > 0, [len(entry.jobs) for entry in parts.state.waiting]]
gate.open()
root = parts.preferences.outbox_folder()
parts.preferences.keep_token(GIVEN["nowhere"], "token")
old = parts.outbox.put(root, GIVEN["nowhere"], "old.blend", "", [], [], False, save=lambda path: open(path, "w").close())
os.rename(old.path, os.path.join(root, "1-old"))  # (the farm of what waits longest is gone)
parts.upkeep._outbox._seconds = 1.0
parts.state.send_now = True
tick_until(lambda: parts.state.jobs and len(parts.state.waiting) == 1 and not parts.state.sending)
bpy.ops.brender.waiting(entry="1-old", action="remove")
tick_until(lambda: len(parts.state.jobs) == 5)
bpy.ops.brender.load(job=parts.state.jobs[0]["id"])
bpy.ops.brender.load(job=next(each["id"] for each in parts.state.jobs if each["units"] == 2), target="SEQUENCER")
tick_until(lambda: not parts.state.followed and all(each["status"] == "completed" for each in parts.state.jobs))
TOLD["jobs"] = [[each["name"], each["status"], each["units_done"]] for each in parts.state.jobs]
TOLD["layers"] = {}
for side in ("Left", "Right"):
    name = f"scene one, Other, {side}"
    attempt(f"load {side}", "load", job=next(each["id"] for each in parts.state.jobs if each["name"] == name))
    TOLD["layers"][side] = covered(bpy.data.images[name])
attempt("load", "load", job=parts.state.jobs[-1]["id"])
attempt("load again", "load", job=parts.state.jobs[-1]["id"])
loaded = bpy.data.images["scene one"]
TOLD["images of the job"] = sum(each.filepath == loaded.filepath for each in bpy.data.images)
gone = parts.following.Followed(parts.jobs.Arriving("0123456789abcdef", GIVEN["folder"]), "IMAGE")
parts.state.followed["0123456789abcdef", "IMAGE"] = gone
tick_until(lambda: not parts.state.followed)
TOLD["frames of a job that is gone"] = parts.state.outlook
TOLD["loaded"] = [loaded.source, os.path.exists(bpy.path.abspath(loaded.filepath))]
editor = scene.sequence_editor
(strip,) = editor.strips if hasattr(editor, "strips") else editor.sequences
TOLD["strip"] = [strip.type, strip.frame_final_duration, len(strip.elements)]
TOLD["strip"] += [os.path.exists(os.path.join(bpy.path.abspath(strip.directory), each.filename)) for each in strip.elements]
shot = parts.state.jobs[-1]["id"]
engine, frame = scene.render.engine, scene.frame_current
attempt("render result", "to_render_result", job=shot)
shown = next(each for each in bpy.data.images if each.type == "RENDER_RESULT")
scene.render.image_settings.file_format = "PNG"
shown.save_render(f"{GIVEN['folder']}/shown.png")
TOLD["render result"] = [
    shown.render_slots.active.name,
    differ(f"{GIVEN['folder']}/shown.png", bpy.path.abspath(loaded.filepath)),
]
TOLD["scene after"] = [scene.render.engine == engine, scene.camera == camera, [each.name for each in scene.view_layers]]
scene.frame_current = 3
attempt("not rendered", "to_render_result", job=shot)
scene.frame_current = frame
attempt("pause what is done", "act", job=parts.state.jobs[-1]["id"], action="pause")

known = list(parts.state.jobs)
with open(kept, encoding="utf-8") as file:
    token = json.load(file)[through]
attempt("forget", "forget_token")
try:
    parts.client.Farm(through, token).ask("/me")
    TOLD["revoked"] = False
except parts.client.SignedOut:
    TOLD["revoked"] = True
attempt("forgotten", "submit")
cards = parts.cards
TOLD["posters"] = sum(cards.icon(each["id"]) is not None for each in known)
pictures = cards._previews
cards.look(None, [])
TOLD["pictures of jobs that are gone"] = [*cards._posters, *os.listdir(cards._folder.name)]
bpy.ops.preferences.addon_disable(module=module)
TOLD["left"] = sorted(types() - before) + ["a property of scenes"] * hasattr(bpy.types.Scene, "brender")
TOLD["left"] += ["handlers"] * (handlers() != before_handlers)
TOLD["left"] += [each for each in os.listdir(bpy.app.tempdir) if each.startswith("brender")]
TOLD["left"] += ["posters"] * bool(len(pictures) or cards._posters or cards._shown)
TOLD["left"] += os.listdir(os.path.join(bpy.utils.user_resource("CONFIG"), "brender_outbox"))
with open(GIVEN["told"], "w", encoding="utf-8") as file:
    json.dump(TOLD, file)
sys.stdout.flush()
# Blender's own clean-up may hang (as bpy 4.5 does in some sessions); all is told by now.
os._exit(0)
