"""What the Blender add-on keeps until the farm has it, how it signs in, and what it sends. No Blender runs here."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from brender.blender_addon.brender_farm import outbox
from brender.blender_addon.brender_farm.client import Away, Canceled, Farm, FarmError, SignedOut
from brender.blender_addon.brender_farm.signing_in import sign_in, sign_out

JOBS = [{"name": "shot, a", "settings": {}}, {"name": "shot, b", "settings": {}}]


def quiet(words: str) -> None:
    pass


class Answering(Farm):
    """A farm that answers each path by *answers*: what it says, or the error that it raises, one after the other. The last of a
    path it says again and again."""

    def __init__(self, **answers: Any) -> None:
        super().__init__("http://farm", "")
        self.answers = {
            "/uploads/offer": [{"upload": "u", "lacks": []}],
            "/inspect": [{"missing": []}],
            "/estimate": [{}],
            "/jobs": [{"name": "shot"}],
        } | {f"/{name.replace('_', '/').replace('sign/out', 'sign-out')}": list(each) for name, each in answers.items()}
        self.asked: list[tuple[str, Any]] = []

    def ask(self, path: str, body: Any = None) -> Any:
        self.check_stopped()
        self.asked.append((path, body))
        left = self.answers[path]
        said = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(said, Exception):
            raise said
        return said

    def bodies(self, path: str) -> list[Any]:
        return [body for asked, body in self.asked if asked == path]


def put(root: Path, jobs: list[dict[str, Any]] | None = None, save: Callable[[str], object] | None = None) -> outbox.Entry:
    keep = save or (lambda path: Path(path).write_bytes(b"BLENDER"))
    return outbox.put(str(root), "http://farm", "shot.blend", "/shots", [], jobs or JOBS[:1], False, keep)


def test_what_is_kept_outlives_blender_and_is_sent_with_the_ids_that_it_got_then(tmp_path: Path) -> None:
    put(tmp_path)
    (entry,) = outbox.entries(str(tmp_path))
    away = Answering(jobs=[Away("gone")])
    with pytest.raises(Away):
        entry.send(away, quiet)
    (again,) = outbox.entries(str(tmp_path))
    farm = Answering()
    assert again.send(farm, quiet) == [{"name": "shot"}] and outbox.entries(str(tmp_path)) == []
    assert farm.bodies("/jobs")[0]["id"] == away.bodies("/jobs")[0]["id"]
    assert not list(tmp_path.iterdir())


def test_of_several_jobs_each_is_submitted_once_and_none_before_all_are_looked_at(tmp_path: Path) -> None:
    entry = put(tmp_path, JOBS)
    with pytest.raises(FarmError, match="no such frame"):
        entry.send(refusing := Answering(estimate=[{}, FarmError("no such frame")]), quiet)
    assert not refusing.bodies("/jobs") and not entry.is_begun
    with pytest.raises(Away):
        entry.send(first := Answering(jobs=[{"name": "a"}, Away("gone")]), quiet)
    (left,) = outbox.entries(str(tmp_path))
    assert [each["name"] for each in left.jobs] == ["shot, b"] and left.is_begun
    left.send(second := Answering(), quiet)
    assert [each["id"] for each in second.bodies("/jobs")] == [first.bodies("/jobs")[1]["id"]]


def test_a_copy_that_was_not_saved_whole_is_never_sent(tmp_path: Path) -> None:
    def breaks(path: str) -> None:
        Path(path).write_bytes(b"BLEN")
        raise OSError(28, "No space left on device")

    with pytest.raises(FarmError, match="No space left"):
        put(tmp_path, save=breaks)
    assert not list(tmp_path.iterdir())
    (tmp_path / "1-a.new").mkdir()  # (Blender ended while it was saved)
    assert outbox.entries(str(tmp_path)) == [] and (tmp_path / "1-a.new").exists(), "another Blender may save it now"
    os.utime(tmp_path / "1-a.new", (0, 0))
    assert outbox.entries(str(tmp_path)) == [] and not (tmp_path / "1-a.new").exists()


def test_two_blenders_do_not_send_the_same_at_once(tmp_path: Path) -> None:
    entry = put(tmp_path)
    held = Path(entry.path) / "sending"
    held.touch()
    with pytest.raises(FarmError, match="another Blender"):
        entry.send(Answering(), quiet)
    os.utime(held, (time.time() - 1000,) * 2)
    assert entry.send(Answering(), quiet), "that Blender has ended"


class _Reading(Answering):
    """A farm that reads the file of *entry* for so long that another Blender would take it over, were it not touched."""

    def __init__(self, entry: outbox.Entry) -> None:
        super().__init__()
        self.entry = entry

    def ask(self, path: str, body: Any = None) -> Any:
        if path == "/inspect":
            held, end = Path(self.entry.path) / "sending", time.monotonic() + 10
            os.utime(held, (0, 0))
            while held.stat().st_mtime == 0 and time.monotonic() < end:
                time.sleep(0.005)
            with pytest.raises(outbox.SentElsewhere):
                outbox.entries(str(Path(self.entry.path).parent))[0].send(Answering(), quiet)
        return super().ask(path, body)


def test_a_blender_keeps_what_it_sends_while_the_farm_says_nothing_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_TOUCH_SECONDS", 0.01)
    entry = put(tmp_path)
    assert entry.send(farm := _Reading(entry), quiet) and len(farm.bodies("/jobs")) == 1


def test_nothing_stays_of_what_a_blender_was_removing_when_it_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = put(tmp_path)
    with monkeypatch.context() as killed:
        killed.setattr(outbox.shutil, "rmtree", lambda path, ignore_errors: None)  # (a mock: it is killed before)
        entry.remove()
    assert outbox.entries(str(tmp_path)) == []
    for left in tmp_path.iterdir():
        os.utime(left, (0, 0))
    outbox.entries(str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_an_artist_who_stops_while_a_job_is_submitted_hears_that_the_farm_may_have_it(tmp_path: Path) -> None:
    farm = Answering()
    with pytest.raises(Canceled, match="while shot, a was submitted"):
        put(tmp_path).send(farm, lambda words: farm.stop() if words.startswith("Submitting") else None)


def test_a_job_that_the_farm_refuses_is_not_half_submitted(tmp_path: Path) -> None:
    entry = put(tmp_path)
    with pytest.raises(FarmError, match="no such camera"):
        entry.send(Answering(jobs=[FarmError("no such camera")]), quiet)
    assert not entry.is_begun, "the farm has none of it, so that it does not wait either"
    with pytest.raises(Away):
        entry.send(Answering(jobs=[Away("gone")]), quiet)
    assert entry.is_begun, "the farm may have it"


def test_a_file_that_went_missing_meanwhile_is_named_and_what_waits_stays(tmp_path: Path) -> None:
    entry = put(tmp_path)
    gone = {"path": "/gone/wood.png", "place": "p", "used_by": "image wood"}
    with pytest.raises(FarmError, match=r"wood\.png"):
        entry.send(farm := Answering(inspect=[{"missing": [gone]}]), quiet)
    entry.set_problem("gone")
    assert not farm.bodies("/jobs") and [each.problem for each in outbox.entries(str(tmp_path))] == ["gone"]


def test_what_is_no_entry_is_passed_over(tmp_path: Path) -> None:
    for name, content in (("a", "{"), ("b", "[]"), ("c", json.dumps({"jobs": []}))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "jobs.json").write_text(content)
    assert outbox.entries(str(tmp_path)) == [] and outbox.entries(str(tmp_path / "none")) == []


CODES = {"device_code": "d", "user_code": "AB-CD", "interval": 5, "expires_in": 600, "verification_uri": "http://farm/device"}
CODES |= {"verification_uri_complete": "http://farm/device?code=AB-CD"}
PENDING, SLOW = FarmError("Nobody yet", "authorization_pending"), FarmError("Too often", "slow_down")


def signed_in(farm: Answering, sleeps: list[float] | None = None) -> str:
    """Sign in at *farm*, on a clock of its own; *sleeps* are added up for each question."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds
        if sleeps is not None:
            sleeps.append(now[0])

    shown: list[str] = []
    token = sign_in(farm, "Blender on fred", quiet, shown.append, sleep, lambda: now[0])
    assert shown == [CODES["verification_uri_complete"]]
    return str(token)


def test_a_token_comes_when_the_code_is_confirmed_and_the_farm_is_asked_no_oftener_than_it_says() -> None:
    farm, slept = Answering(device_code=[CODES], device_token=[PENDING, SLOW, Away("x"), {"access_token": "t"}]), list[float]()
    assert signed_in(farm, slept) == "t" and 24.9 < slept[-1] < 25.5, "5, then 10, then 10 seconds"
    assert farm.bodies("/device/code") == [{"name": "Blender on fred"}]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"device_token": [PENDING]}, "Nobody confirmed the code in time"),
        ({"device_token": [FarmError("The code was declined on the page", "access_denied")]}, "declined"),
        ({"device_token": [FarmError("Not good any more", "expired_token")]}, "Not good"),
        ({"device_token": [{}]}, "another version"),
        ({"device_code": [FarmError("There is no such page", "404")]}, "older than this add-on"),
        ({"device_code": [CODES | {"verification_uri_complete": "file:///etc/passwd"}]}, "not the address of a page"),
    ],
)
def test_who_is_not_signed_in_hears_why(answers: dict[str, Any], said: str) -> None:
    with pytest.raises(FarmError, match=said):
        signed_in(Answering(**{"device_code": [CODES]} | answers))


def test_signing_in_is_stopped() -> None:
    farm = Answering(device_code=[CODES], device_token=[PENDING])
    with pytest.raises(Canceled, match="not signed in"):
        sign_in(farm, "x", quiet, lambda page: farm.stop(), lambda seconds: None)


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        ({"id": "a"}, ""),
        (SignedOut("expired", "401"), ""),
        (Away("gone"), "revoke it on the page"),
        (FarmError("There is no such page", "404"), "older than this add-on"),
    ],
)
def test_who_signs_out_hears_only_of_a_token_that_is_good_still(answer: Any, left: str) -> None:
    said = sign_out(farm := Answering(me_sign_out=[answer]))
    assert (left in said if left else said == "") and farm.bodies("/me/sign-out") == [{}]


#: Two operators, of which the second begins between the end of the first's work and its next look, in a mock of Blender's window.
_TWO_OPERATORS = """
import sys, threading, types
timers = []
add = lambda seconds, window: timers.append(object()) or timers[-1]
manager = types.SimpleNamespace(event_timer_add=add, event_timer_remove=timers.remove, modal_handler_add=print, windows=[])
context = types.SimpleNamespace(window=1, window_manager=manager)
app = types.SimpleNamespace(background=False, timers=types.SimpleNamespace(register=lambda *words, **more: None))
sys.modules["bpy"] = types.SimpleNamespace(app=app, context=context)
from brender.blender_addon.brender_farm import background, state
goes_on = threading.Event()

class Operator(background.Working):
    def __init__(self, doing):
        self.prepare, self.finish = lambda context: (None, doing), lambda context, result: None

first, second = Operator(lambda say: None), Operator(lambda say: goes_on.wait())
first.invoke(context, None)
state.work.wait()
second.invoke(context, None)
own = timers[-1]
looks = types.SimpleNamespace(type="TIMER")
assert first.modal(context, looks) == {"FINISHED"} and timers == [own], "the other's timer goes on"
assert state.work is not None and second.modal(context, looks) == {"PASS_THROUGH"}
goes_on.set()
state.work.wait()
assert second.modal(context, looks) == {"FINISHED"} and not timers and state.work is None
"""


def test_an_operator_that_begins_as_another_ends_keeps_its_own_timer() -> None:
    done = subprocess.run([sys.executable, "-c", _TWO_OPERATORS], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


#: What came of sending is read, in the real bpy: a farm of another version has answered without the job's name.
_ANSWER_WITHOUT_A_NAME = """
import types
from brender.blender_addon.brender_farm import state, upkeep
farm = types.SimpleNamespace(address="http://farm:8888")
upkeep._outbox.work = types.SimpleNamespace(going=False, error=None, result=[{"what": "1 frame"}], farm=farm)
upkeep._outbox.tick()
print(state.problem)
"""


@pytest.mark.blender
def test_an_answer_of_another_version_does_not_end_what_the_addon_does_by_itself() -> None:
    done = subprocess.run([sys.executable, "-c", _ANSWER_WITHOUT_A_NAME], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "The farm is of another version" in done.stdout
