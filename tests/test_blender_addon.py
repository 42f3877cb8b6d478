"""The add-on by which artists submit from inside Blender: what it is packed as, what it says to a farm, and how it does in real
Blenders with a real farm."""

import http.server
import io
import json
import os
import re
import subprocess
import threading
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from brender import __version__
from brender.blender_addon import brender_farm
from brender.blender_addon.brender_farm.client import (
    EXPIRED,
    Away,
    Canceled,
    Farm,
    FarmError,
    SignedOut,
    checked_address,
    is_own_machine,
)
from brender.blender_addon.brender_farm.fetching import Arriving, folder_names, folder_of, held, slot_key
from brender.blender_addon.brender_farm.sending import (
    STAY_AT_THE_FARM,
    bring,
    check_missing,
    is_there,
    is_used,
    outlook,
    outlook_of_all,
)
from brender.blender_addon.build import addon_zip
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.engines.command_line import script_in
from brender.model.nodes import Blender
from brender.store.datafolder import DataFolder
from tests.tools import command
from tests.web import PASSWORD, Browser, add_user, application, make_users

SESSION = Path(__file__).parent / "addon_session.py"


def unpacked(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_one_zip_is_an_extension_and_an_older_blender_s_add_on_of_this_version() -> None:
    files = unpacked(addon_zip())
    manifest = tomllib.loads(files["brender_farm/blender_manifest.toml"].decode())
    assert manifest["permissions"].keys() == {"network", "files"}
    assert manifest["version"] == ".".join(map(str, brender_farm.bl_info["version"]))
    assert __version__.startswith(manifest["version"])
    assert addon_zip() == addon_zip()


def test_the_command_writes_the_add_on_with_the_address_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = command(capsys, "addon", "build", tmp_path / "addon.zip", "--address", "http://farm:8888/")
    assert said.code == 0
    files = unpacked((tmp_path / "addon.zip").read_bytes())
    assert json.loads(files["brender_farm/origin.json"])["address"] == "http://farm:8888"
    assert "zip" in command(capsys, "addon", "build", tmp_path / "addon").err


def test_the_dashboard_hands_out_the_add_on_set_to_its_address_to_those_who_may_submit(folder: DataFolder) -> None:
    make_users(folder)
    app = application(folder, public_url="https://farm.example/")
    answer = Browser(app, "anna").get("/api/v1/blender-addon.zip")
    assert json.loads(unpacked(answer.data)["brender_farm/origin.json"])["address"] == "https://farm.example"
    assert "/api/v1/blender-addon.zip" in Browser(app, "anna").get("/submit").text
    assert Browser(app, "vera").get("/api/v1/blender-addon.zip").status_code == 403


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("farm:8888/", "http://farm:8888"),
        (" https://farm.example/brender/ ", "https://farm.example/brender"),
        ("http://farm:8888/?next=/jobs#top", "http://farm:8888"),
    ],
)
def test_an_address_may_be_written_as_people_copy_it(given: str, address: str) -> None:
    assert checked_address(given) == address


@pytest.mark.parametrize("wrong", ["", "no where", "ftp://farm", "http://farm:port", "http://"])
def test_what_is_no_address_is_said_before_anybody_is_asked(wrong: str) -> None:
    with pytest.raises(FarmError):
        Farm(wrong, "token")


def test_only_loopback_is_this_machine() -> None:
    assert is_own_machine("http://127.0.0.1:8888") and is_own_machine("localhost:8888")
    assert not is_own_machine("http://farm:8888")


def test_a_farm_gets_only_files_that_the_scene_uses(tmp_path: Path) -> None:
    used = [str(tmp_path / "wood.png"), str(tmp_path / "sea.0001.exr"), str(tmp_path / "skin.<UDIM>.png")]
    asked = ["wood.png", "sea.0002.exr", "skin.1001.png", "secret.txt", "wood.png.key", "sea.exr", "below/wood.png"]
    assert [each for each in asked if is_used(str(tmp_path / each), used)] == ["wood.png", "sea.0002.exr", "skin.1001.png"]


class _Fake(Farm):
    """A farm that misses what it is told to, keeps what is uploaded, and has the *known* places already."""

    def __init__(self, *missing: dict[str, str]) -> None:
        super().__init__("http://farm", "token")
        self.missing, self.sent, self.known = list(missing), dict[str, str](), set[str]()

    def ask(self, path: str, body: Any = None) -> Any:
        return {"missing": [each for each in self.missing if each["place"] not in self.sent.keys() | self.known]}

    def offer(self, files: Any, into: str) -> Any:
        return "u", [each for each in files if each[0] not in self.known]

    def upload(self, files: Any, into: str, progress: Any) -> Any:
        self.sent |= dict(files)
        return {"upload": "u", "blends": []}


def test_the_files_that_a_farm_misses_are_sent_and_what_is_not_here_is_named(tmp_path: Path) -> None:
    (tmp_path / "textures").mkdir()
    wood, key = tmp_path / "textures" / "wood.png", tmp_path / "key"
    for each in (wood, key):
        each.touch()
    wanted = [
        {"path": "//../textures/wood.png", "place": "../textures/wood.png", "used_by": "image wood"},
        {"path": str(key), "place": "outside/key", "used_by": "image key"},
        {"path": "//gone.png", "place": "gone.png", "used_by": "image gone"},
    ]
    farm = _Fake(*wanted)
    used = [str(wood), str(tmp_path / "shot" / "gone.png")]
    _, facts = bring(farm, str(tmp_path / "copy.blend"), "shot.blend", str(tmp_path / "shot"), used, lambda words: None)
    assert farm.sent == {"shot.blend": str(tmp_path / "copy.blend"), "../textures/wood.png": str(wood)}
    with pytest.raises(FarmError, match=r"2 files are missing: .*gone\.png \(used by image gone\)"):
        check_missing(facts, allowed=False)
    check_missing(facts, allowed=True)


class _Elsewhere(Farm):
    """A farm whose folders this machine does not see: one job, with the frames *names*, of which the first *done* are there."""

    def __init__(self, *names: str, output: str = "/nowhere") -> None:
        super().__init__("http://farm", "token")
        self.names, self.output, self.done = names, output, len(names)
        self.fetched: list[str] = []

    def ask(self, path: str, body: Any = None) -> Any:
        if "/parts?" not in path:
            status = "completed" if self.done == len(self.names) else "active"
            return {"id": "0123456789", "name": "shot: 1", "output": self.output, "status": status}
        if not path.endswith("since=-1"):
            return []
        one = {"piece": 0, "view": "", "change": 7, "attempt": "a"}
        layers = [one | {"id": 100, "frame": 1, "layer": "second", "status": "completed", "output": "other.png"}]
        return [*layers, *(one | each for each in self._parts())]

    def _parts(self) -> Iterator[dict[str, Any]]:
        for number, name in enumerate(self.names):
            status = "completed" if number < self.done else "queued"
            yield {"id": number, "frame": number + 1, "layer": "", "status": status, "output": name}

    def download(self, path: str, target: str, progress: Any) -> None:
        self.fetched.append(path)
        Path(target).write_bytes(b"frame")


def test_frames_of_a_farm_elsewhere_are_fetched_once_as_they_arrive_and_none_leaves_their_folder(tmp_path: Path) -> None:
    farm, arriving = _Elsewhere("a_0001.png", "a_0002.png", "../../b.png"), Arriving("0123456789", str(tmp_path))
    farm.done = 1
    assert arriving.look(farm, lambda words: None) == 1 and not arriving.is_ended
    assert arriving.look(farm, lambda words: None) == 0
    assert held(arriving.frames, arriving.wanted) == [str(tmp_path / "shot_ 1-012345" / "a_0001.png")] * 3
    farm.done, arriving = 3, Arriving("0123456789", str(tmp_path))
    assert arriving.look(farm, lambda words: None) == 3 and arriving.is_ended
    folder = tmp_path / "shot_ 1-012345"
    assert (arriving.name, arriving.paths) == ("shot: 1", [str(folder / each) for each in ("a_0001.png", "a_0002.png", "b.png")])
    assert sorted(map(str, folder.iterdir())) == arriving.paths


def test_frames_in_a_folder_that_is_seen_here_are_not_fetched(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    farm, arriving = _Elsewhere("a.png", output=str(tmp_path)), Arriving("0123456789", str(tmp_path / "more"))
    arriving.look(farm, lambda words: None)
    assert arriving.paths == [str(tmp_path / "a.png")] and not farm.fetched


def test_frames_that_the_farm_keeps_itself_are_fetched_even_where_they_are_seen(tmp_path: Path) -> None:
    kept = tmp_path / "0123456789"
    kept.mkdir()
    (kept / "a.png").touch()
    farm, arriving = _Elsewhere("a.png", output=str(kept)), Arriving("0123456789", str(tmp_path / "more"))
    arriving.look(farm, lambda words: None)
    assert arriving.paths == [str(tmp_path / "more" / "shot_ 1-012345" / "a.png")]


def test_what_a_job_comes_to_is_said_in_words() -> None:
    time = {"seconds": 9600.0, "words": "about 2 h 40 min"}
    told = {"frames": 240, "workers": 5, "time": time, "output": "", "warnings": ["A warning"]}
    assert outlook(told) == ["240 frames, about 2 h 40 min on 5 workers", STAY_AT_THE_FARM, "A warning"]


def test_what_several_scenes_come_to_is_said_of_each_and_what_is_said_of_all_once() -> None:
    one = {"frames": 1, "workers": 2, "time": None, "output": "/a", "warnings": ["A warning"], "owner": "the other"}
    said = outlook_of_all([("Day", one), ("Night", one | {"frames": 2, "owner": None})])
    assert said[:2] == ["Day: 1 frame", "Night: 2 frames"] and said.count("A warning") == 1
    assert sum("the other" in each for each in said) == 1
    assert outlook_of_all([("Day", one)]) == outlook(one)


def test_a_drive_that_is_gone_is_no_place_for_files(tmp_path: Path) -> None:
    (tmp_path / "skin.1001.png").touch()
    there = ["skin.1001.png", "skin.<UDIM>.png", "gone.png", "gone/skin.<UDIM>.png"]
    assert [is_there(str(tmp_path / each)) for each in there] == [True, True, False, False]


class _Odd(http.server.BaseHTTPRequestHandler):
    """A web server that is no farm, or a farm that goes away in mid-upload."""

    def do_GET(self) -> None:
        if "gateway" in self.path:
            self._say(502, b"<html>Bad gateway</html>")
        elif "more=" in self.path:
            self._say(200, b'{"bytes": 0}')
        elif "expired" in self.path:
            self._say(401, b'{"code": "token-expired"}')
        elif "away" in self.path:
            self._say(302, b"", Location="http://elsewhere/")
        elif "plain" in self.path:
            self._say(301, b"", Location=f"https://{self.headers['Host']}{self.path}")
        elif "page" in self.path:
            self._say(302, b"", Location="/login?next=/page")
        elif "silent" in self.path:
            self.server.stop_asking()  # type: ignore[attr-defined]
            self.rfile.read(1)
        elif "broken" in self.path:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"half of it")
        else:
            self._say(404 if "none" in self.path else 200, b"<html>A page</html>")

    def do_POST(self) -> None:
        if "offer" in self.path:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._say(404, b'{"error": "There is no such page", "code": "404"}')
        elif "field" in self.path:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._say(400, b'{"error": "Object contains unknown field `x`", "code": "bad-input"}')
        else:
            self.rfile.read(1000)
            self.connection.close()

    def _say(self, code: int, content: bytes, **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *words: Any) -> None:
        pass


@pytest.fixture
def serving() -> Iterator[http.server.HTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Odd) as serving:
        threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield serving
        serving.shutdown()


@pytest.fixture
def odd(serving: http.server.HTTPServer) -> Farm:
    return Farm(f"http://127.0.0.1:{serving.server_port}", "token")


@pytest.mark.parametrize(
    ("path", "said"), [("/me", "not answer as"), ("/none", "not as a brender"), ("/away", "http://elsewhere/")]
)
def test_a_server_that_is_no_farm_is_told_from_one(odd: Farm, path: str, said: str) -> None:
    with pytest.raises(FarmError, match=said):
        odd.ask(path)


def test_a_farm_that_goes_away_in_mid_upload_is_one_sentence(odd: Farm, tmp_path: Path) -> None:
    large = tmp_path / "large.blend"
    large.write_bytes(bytes(30_000_000))
    with pytest.raises(Away, match="went away"):
        odd.upload([("large.blend", str(large))], "", lambda done, whole: None)


def test_the_address_of_a_page_is_answered_with_that_of_the_farm(odd: Farm) -> None:
    with pytest.raises(FarmError, match=re.escape(f"if /page/jobs is a page of the farm, enter {odd.address} alone")):
        Farm(f"{odd.address}/page/jobs", "token").ask("/me")


def test_a_farm_that_leads_from_http_to_https_is_answered_with_the_address_to_enter(odd: Farm) -> None:
    secure = odd.address.replace("http:", "https:")
    with pytest.raises(FarmError, match=re.escape(f"enter {secure} under")):
        odd.ask("/plain")


@pytest.mark.timeout(20)
def test_what_an_artist_stops_ends_also_while_the_farm_does_not_answer(odd: Farm, serving: http.server.HTTPServer) -> None:
    serving.stop_asking = odd.stop  # type: ignore[attr-defined]
    with pytest.raises(Canceled, match="nothing is submitted"):
        odd.ask("/silent")


def test_a_farm_behind_a_proxy_that_does_not_reach_it_is_away(odd: Farm) -> None:
    with pytest.raises(Away):
        odd.ask("/gateway")


def test_an_artist_who_did_not_use_the_farm_for_long_is_told_why_the_sign_in_is_gone(odd: Farm) -> None:
    with pytest.raises(SignedOut, match=re.escape(EXPIRED)):
        odd.ask("/expired")


def test_a_farm_older_than_the_add_on_is_said_to_be_that(odd: Farm, tmp_path: Path) -> None:
    with pytest.raises(FarmError, match="older than this add-on"):
        odd.ask("/field", {})
    (tmp_path / "a").touch()
    assert odd.offer([("a", str(tmp_path / "a"))], "") == ("", [("a", str(tmp_path / "a"))]), "it takes all files"


def test_a_download_that_breaks_off_leaves_no_file(odd: Farm, tmp_path: Path) -> None:
    with pytest.raises(FarmError, match="went away"):
        odd.download("/broken", str(tmp_path / "frame.png"), lambda done, whole: None)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def shared_farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalFarm]:
    """One farm for all kinds of Blender, which renders with the first that there is."""
    folder = DataFolder(tmp_path_factory.mktemp("farm") / "data")
    with LocalFarm(FarmPlan(folder=folder, workers=1, any_ports=True)) as farm:
        yield farm


@pytest.mark.blender
@pytest.mark.thorough
@pytest.mark.timeout(450)
def test_an_artist_submits_watches_and_loads_inside_blender(blender: Blender, shared_farm: LocalFarm, tmp_path: Path) -> None:
    told, user = tmp_path / "told.json", f"artist-{blender.kind}"
    (tmp_path / "work").mkdir()
    add_user(shared_farm, user, "artist")
    address = shared_farm.dashboard_url.rstrip("/")
    (tmp_path / "addon.zip").write_bytes(addon_zip(address))
    given = {"zip": str(tmp_path / "addon.zip"), "user": user, "password": PASSWORD, "folder": str(tmp_path / "work")}
    given |= {"told": str(told), "nowhere": "http://127.0.0.1:1"}
    words = [*script_in(blender, SESSION), "--", json.dumps(given)]
    env = os.environ | {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=400, stdin=subprocess.DEVNULL)
    assert told.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    assert "Traceback" not in done.stderr + done.stdout
    found = json.loads(told.read_text())
    said = found["said"]
    assert found["address"] == address and found["mode"] == 0o600
    assert found["confirmed"] and found["me"] == user
    refused = {
        "no token": "not signed in",
        "no address": "not the address",
        "nobody there": "No farm answers",
        "wrong token": "does not know your token",
        "never saved": "never saved",
        "no camera": "has no camera",
        "no number": "which is not a number",
        "missing": "1 file is missing",
        "long name": "has 300 letters, and may have 255",
        "refused by the farm": "has no camera 'Nobody'",
        "pause what is done": "completed",
        "not rendered": "of its frames 1 to 2 are finished",
        "forgotten": "not signed in",
    }
    for step, sentence in said.items():
        assert refused[step] in sentence if step in refused else sentence == "", step
        assert "Traceback" not in sentence
    assert refused.keys() <= said.keys()
    (stopped,), taken = found["kept of what was stopped or taken"]
    assert "Stopped while scene one was submitted" in stopped and taken == [""]
    assert found["jobs after refusals"] == 0 and found["kept of what was refused"] == 0
    assert found["outlook"][0].startswith("3 frames") and found["forecast"][0][0].startswith("3 frames")
    assert found["kept"] == [3] and "No farm answers" in found["away"][0] and found["away"][1:] == [True, [3]]
    kept = [["scene one, Scene", "completed", 2]]
    kept += [[f"scene one, Other, {side}", "completed", 1] for side in ("Left", "Right")]
    earlier = [["scene one, test frame 1", "completed", 1], ["scene one", "completed", 2]]
    assert sorted(found["jobs"]) == sorted([*kept, *earlier]) and found["jobs"][-2:] == earlier
    assert sorted(found["folders"]) == ["/frames/Other/Left", "/frames/Other/Right", "/frames/Scene"]
    assert found["layers"] == {"Left": [True, False], "Right": [False, True]}, "each job renders its own layer alone"
    assert found["test frame"] == [96, 54] and found["loaded"] == ["SEQUENCE", True]
    assert found["images of the job"] == 1, "what is loaded again is not there twice"
    assert "come no further" in found["frames of a job that is gone"][0]
    assert found["strip"] == ["IMAGE", 2, 2, True, True]
    slot, difference = found["render result"]
    assert slot.startswith("scene one ") and slot.endswith(", frame 1") and difference < 2.5
    assert found["scene after"] == [True, True, ["ViewLayer"]]
    assert found["posters"] == len(found["jobs"]), "each job of the list has its picture"
    assert found["pictures of jobs that are gone"] == []
    assert found["revoked"], "who signs out leaves no token that is good"
    assert found["left"] == []


def test_folders_of_layers_differ_on_every_platform() -> None:
    assert folder_names(["Fog/far", "Fog_far", "fog_FAR", ".."]) == ["Fog_far", "Fog_far 2", "fog_FAR 3", "frames"]


@pytest.mark.parametrize("name", ["shot " * 60, "夜の場面" * 40, "é" * 200, "🎬" * 100])
def test_a_long_name_of_a_job_stays_within_what_blender_and_file_systems_take(name: str) -> None:
    assert len(f"{slot_key(name, '0123456789')}, frame -1048574".encode()) <= 63
    assert len(folder_of(name, "0123456789").encode()) <= 255
    assert slot_key(name, "0123456789").endswith(" 012345") and slot_key(name, "0123456789").startswith(name[:10])
