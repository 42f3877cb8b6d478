"""The monitor's screen: each view and each key, driven as its user would, over a session that is not a server."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from brender.model.errors import Unreachable
from brender.model.keys import KeyRole
from brender.model.rights import Actor, why_not
from brender.monitor.app import Monitor
from brender.monitor.dialogs import AskNumber, Confirm, Text
from brender.monitor.feed import Outcome
from brender.monitor.items import Linked, answered
from brender.monitor.player import Player
from brender.monitor.recording import Recorder, read_recording
from brender.monitor.rows import Rows
from brender.monitor.session import ReplaySession, Session
from tests.hearing import J1, M1, S1, W1, W2, beat, event, farm, job_row


class Stand:
    """A session whose farm is what `farm` says, seen with a key of that *role*."""

    player: Player | None = None

    def __init__(self, role: KeyRole = KeyRole.CLIENT) -> None:
        self.heard = farm()
        self.at = 10.0
        self.role = role
        self.asked: list[tuple[str, str, int | str | None]] = []
        self.outcomes: list[Outcome] = []
        self.trouble = ""

    def now(self) -> float:
        return self.at

    def step(self, elapsed: float) -> None:
        if self.trouble:
            raise Unreachable(self.trouble)

    def why_not(self, action: str) -> str | None:
        return why_not(Actor(self.role), f"act {action}", "")

    def act(self, action: str, target: str, value: int | str | None, what: str) -> None:
        self.asked.append((action, target, value))
        self.outcomes.append(Outcome(f"{what}: done", True))

    def outcome(self) -> Outcome | None:
        return self.outcomes.pop() if self.outcomes else None

    def close(self) -> None:
        """Nothing is open."""


def driven(
    session: Session, drive: Callable[[Monitor, Pilot[str]], Awaitable[None]], size: tuple[int, int] = (80, 24), at: str = ""
) -> Monitor:
    """Let *drive* use the monitor in a terminal of that *size*; return it as it was left."""
    app = Monitor(session, at, tick=3600.0)

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await drive(app, pilot)

    asyncio.run(run())
    return app


def seen(app: Monitor) -> str:
    """The whole screen, as letters."""
    width, height = app.size
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips()[:height] if width)


def said(app: Monitor, id: str = "said") -> str:
    return str(app.query_one(f"#{id}", Static).content)


def test_the_three_views_show_the_farm_the_bus_and_the_tail_in_80_by_24() -> None:
    session = Stand()
    session.heard.take(event("part", "2", status="completed", worker=W1, seconds=39.0), 10.0)

    async def drive(app: Monitor, pilot: Pilot[str]) -> None:
        shown = seen(app)
        assert "[1 Farm]" in shown and "2 workers: 1 busy, 1 disabled" in shown and "render-01" in shown and "sh_020" in shown
        assert said(app) == "worker render-01: busy" and "? help" in said(app, "foot")
        await pilot.press("2")
        shown = seen(app)
        assert "[2 Bus]" in shown and "4 roles, 3 tell" in shown and "listening" in shown and "1 link of server" in shown
        await pilot.press("down", "down")
        assert "1 link of render-01" in seen(app) and "Grants" in seen(app)
        await pilot.press("3")
        assert "[3 Tail]" in seen(app) and "worker render-01 finished frame 2 of sh_020 in 39 s" in seen(app)

    driven(session, drive)


def test_without_colors_a_terminal_shows_the_same_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def drive(app: Monitor, pilot: Pilot[str]) -> None:
        assert "render-01" in seen(app) and "busy" in seen(app)
        for view in "23":
            await pilot.press(view)
        assert not any(color in app.export_screenshot() for color in ("#98a84b", "#68a0b3")), (
            "neither green nor cyan, as statuses are elsewhere"
        )

    driven(Stand(), drive)


@pytest.mark.parametrize("size", [(40, 12), pytest.param((250, 70), marks=pytest.mark.thorough)])
def test_the_views_fit_a_small_and_a_large_terminal(size: tuple[int, int]) -> None:
    async def drive(app: Monitor, pilot: Pilot[str]) -> None:
        for view in "123":
            await pilot.press(view)
            lines = seen(app).splitlines()
            assert len(lines) == size[1] and all(len(line) <= size[0] for line in lines)
        if size[0] == 250:
            await pilot.press("1")
            assert "MANAGER" in seen(app) and "DISK/s" in seen(app) and "REASON" in seen(app)

    driven(Stand(), drive, size)


def test_what_is_done_to_jobs_is_asked_first_and_then_asked_of_the_server() -> None:
    session = Stand()

    async def drive(app: Monitor, pilot: Pilot[str]) -> None:
        await pilot.press("p")
        assert "That is for jobs" in said(app)
        await pilot.press("tab", "p")
        assert isinstance(app.screen, Confirm) and "Pause the job sh_020? What renders is finished." in seen(app)
        await pilot.press("n")
        assert session.asked == []
        await pilot.press("p", "y")
        assert session.asked.pop() == ("pause", J1, None)
        app.step()
        assert said(app) == "pause the job sh_020: done"
        session.heard.take(event("job", J1, status="paused"), 10.0)
        await pilot.press("p", "y", "r", "y")
        assert session.asked == [("resume", J1, None), ("requeue", J1, None)]
        await pilot.press("P")
        assert isinstance(app.screen, AskNumber)
        app.screen.query_one(Input).value = "900"
        await pilot.press("enter")
        assert "Write a whole number from 0 to 100" in seen(app)
        app.screen.query_one(Input).value = "80"
        await pilot.press("enter", "y")
        assert session.asked[-1] == ("priority", J1, 80)
        await pilot.press("P", "escape")
        assert not isinstance(app.screen, AskNumber) and len(session.asked) == 3

    driven(session, drive)


@pytest.mark.thorough
def test_workers_and_managers_are_drained_disabled_and_restarted_from_both_views() -> None:
    session = Stand()

    async def drive(app: Monitor, pilot: Pilot[str]) -> None:
        await pilot.press("d", "y", "x", "y", "R", "y")
        assert session.asked == [("drain", W1, None), ("disable", W1, None), ("restart", W1, None)]
        await pilot.press("down", "x", "y")
        assert session.asked[-1] == ("enable", W2, None), "it is disabled"
        await pilot.press("2", "d")
        assert "That is for workers and managers" in said(app), "the server is under the cursor"
        await pilot.press("down", "d", "y")
        assert session.asked[-1] == ("drain", M1, None)

    driven(session, drive)


def test_what_a_key_may_not_is_refused_in_the_words_of_the_table_of_rights_before_anything_is_asked() -> None:
    session = Stand(KeyRole.MONITOR)

    async def drive(app: Monitor, pilot: Pilot[str]) -> None:
        await pilot.press("d")
        assert said(app).startswith("A monitor's key may not drain workers and managers: ")
        await pilot.press("tab", "P")
        assert said(app).startswith("A monitor's key may not set the priority of jobs")
        assert not isinstance(app.screen, Confirm | AskNumber)

    driven(session, drive)
    assert session.asked == []


@pytest.mark.thorough
def test_tables_are_filtered_and_sorted_and_the_filter_is_shown() -> None:
    async def drive(app: Monitor, pilot: Pilot[str]) -> None:
        await pilot.press("slash", *"state:disabled", "enter")
        assert app.rows("workers").table.keys == [W2] and "filter: state:disabled" in said(app, "foot")  # type: ignore[union-attr]
        await pilot.press("escape")
        assert app.rows("workers").table.keys == [W1, W2]  # type: ignore[union-attr]
        await pilot.press("slash", *"color:red", "enter")
        assert said(app).startswith("Nothing is called 'color' here: write worker:…")
        await pilot.press("escape", "s", "S")
        assert "by name, backwards" in seen(app) and app.rows("workers").table.keys == [W2, W1]  # type: ignore[union-attr]
        await pilot.press("tab", "s")
        assert "1 unfinished · by name" in seen(app)

    driven(Stand(), drive)


@pytest.mark.thorough
def test_a_message_is_opened_whole_copied_and_the_tail_stands_still() -> None:
    session = Stand()
    for number in range(40):
        session.heard.take(event("activity", str(number), action="x", text=f"line {number}", principal="k"), 10.0)

    async def drive(app: Monitor, pilot: Pilot[str]) -> None:
        await pilot.press("3", "enter")
        assert isinstance(app.screen, Text) and '"text": "line 39"' in seen(app) and "Not shown" in seen(app)
        await pilot.press("c")
        assert '"text": "line 39"' in app.clipboard
        await pilot.press("escape", "c")
        assert app.clipboard.endswith("info server line 39")
        await pilot.press("space")
        session.heard.take(event("activity", "99", action="x", text="a later line"), 10.0)
        app.step()
        assert "a later line" not in seen(app) and "line 39" in seen(app)
        await pilot.press("space")
        assert "a later line" in seen(app), "the cursor follows the newest line"
        await pilot.press("home")
        session.heard.take(event("activity", "100", action="x", text="the last line"), 10.0)
        app.step()
        assert "line 0" in seen(app) and "the last line" not in seen(app), "until it is moved up"
        await pilot.press("end", "question_mark")
        assert isinstance(app.screen, Text) and "the farm, the bus, the tail" in seen(app)

    driven(session, drive)


def test_a_silent_server_is_shown_above_everything_and_nobody_as_idle() -> None:
    session = Stand()

    async def drive(app: Monitor, pilot: Pilot[str]) -> None:
        session.heard.take(Linked(up=False), 10.0)
        session.at = 14.0
        app.step()
        await pilot.pause()
        assert "server silent for 4 s; renders go on, nothing new starts" in seen(app)
        assert "2 unknown" in seen(app) and "busy" not in said(app)

    driven(session, drive)


def test_a_monitor_that_is_not_let_in_any_more_ends_with_why() -> None:
    session = Stand()

    async def drive(app: Monitor, pilot: Pilot[str]) -> None:
        session.trouble = "The server does not admit this machine's key"
        app.step()

    app = driven(session, drive)
    assert (app.return_value, app.return_code) == ("The server does not admit this machine's key", 4)


def test_one_worker_is_looked_at_alone() -> None:
    async def drive(app: Monitor, pilot: Pilot[str]) -> None:
        assert "[2 Bus]" in seen(app) and "1 link of render-01" in seen(app) and "site" not in seen(app)
        await pilot.press("1")
        assert "1 of 2 workers" in seen(app) and "at render-01" in seen(app)

    driven(Stand(), drive, at="render-01")


@pytest.mark.thorough
def test_rows_are_opened_with_all_that_is_known_and_only_as_many_are_drawn_as_are_seen() -> None:
    session = Stand()
    rows = [{"id": f"{number:016x}", "name": f"render-{number:04}", "status": "idle", "host": "h"} for number in range(1000)]
    session.heard.take(answered("workers", rows), 10.0)

    async def drive(app: Monitor, pilot: Pilot[str]) -> None:
        workers = app.query_one("#workers", Rows)
        assert "1,000 workers: 1000 idle" in seen(app) and workers.room < 10
        await pilot.press("pagedown", "down", "end", "up")
        assert workers.key == rows[998]["id"] and "render-0998" in seen(app)
        await pilot.press("enter")
        assert isinstance(app.screen, Text) and "host                h" in seen(app)

    driven(session, drive)


@pytest.mark.thorough
def test_a_recording_is_scrubbed_through(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "r", "10.0.0.1:9998", 1.0)
    recorder.take(answered("jobs", [job_row()]), 0.0)
    for sequence in range(1, 20):
        recorder.take(beat(S1, sequence, "server", name="server", status="online"), 2.0 * sequence)
        recorder.take(event("activity", str(sequence), action="x", text=f"line {sequence}"), 2.0 * sequence)
    recorder.close(40.0)
    session = ReplaySession(read_recording(tmp_path / "r"))

    async def drive(app: Monitor, pilot: Pilot[str]) -> None:
        await pilot.press("space", "3", "right", "right")
        shown = seen(app)
        assert "line 5" in shown and "line 6" not in shown and "paused 0:00:10" in said(app, "scrubber")
        await pilot.press("left", "right_square_bracket")
        assert "line 2" in seen(app) and "line 3" not in seen(app) and session.player.speed == 2.0
        await pilot.press("0", "space")
        assert "2× 0:00:00" in said(app, "scrubber")
        await pilot.press("1", "tab", "p")
        assert said(app) == "This is a recording: what is in it cannot be changed any more"

    driven(session, drive)
