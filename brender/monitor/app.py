"""The monitor in a terminal: a thin shell around what was heard (`brender.monitor.heard`) and its views."""

import time
from collections.abc import Callable
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import ContentSwitcher, Input, Static

from brender.model.errors import BadInput, BrenderError
from brender.model.text import harmless, short_id
from brender.monitor import bus_view, farm_view, tail_view
from brender.monitor.dialogs import AskNumber, Confirm, Text
from brender.monitor.filters import Filter, parse_filter
from brender.monitor.heard import Heard, Job, Node
from brender.monitor.rows import Rows
from brender.monitor.screen_texts import CSS, HELP, KEYS
from brender.monitor.session import Session
from brender.monitor.words import NAMES

#: Seconds between two looks at what has come.
TICK_SECONDS = 0.5
#: Seconds that a message of the monitor's own stands in the last line.
_SAID_SECONDS = 8.0
#: Seconds that a step through a recording is long.
_STEP_SECONDS = 5.0
VIEWS = ("farm", "bus", "tail")


class Monitor(App[str]):
    """Shows *session*. *at*: the name of the worker or manager that is looked at, or "" for all. Its return value is why it
    ended, or "" if it was left."""

    ENABLE_COMMAND_PALETTE = False
    CSS = CSS
    BINDINGS: ClassVar = [
        Binding("1", "view('farm')", "Farm"),
        Binding("2", "view('bus')", "Bus"),
        Binding("3", "view('tail')", "Tail"),
        Binding("slash", "filter", "Filter"),
        Binding("escape", "no_filter", "No filter", show=False),
        Binding("s", "sort", "Sort"),
        Binding("S", "backwards", "Backwards"),
        Binding("p", "pause_job", "Pause"),
        Binding("P", "priority", "Priority"),
        Binding("r", "requeue", "Requeue"),
        Binding("d", "on_node('drain')", "Drain"),
        Binding("x", "disable", "Disable"),
        Binding("R", "on_node('restart')", "Restart"),
        Binding("c", "copy", "Copy"),
        Binding("space", "stand_still", "Stand still"),
        Binding("left", "step(-1)", "Back", show=False),
        Binding("right", "step(1)", "On", show=False),
        Binding("left_square_bracket", "speed(-1)", "Slower", show=False),
        Binding("right_square_bracket", "speed(1)", "Faster", show=False),
        Binding("0", "begin_again", "Begin again", show=False),
        Binding("question_mark", "help", "Help"),
        Binding("q,ctrl+c", "leave", "Leave"),
    ]

    def __init__(self, session: Session, at: str = "", tick: float = TICK_SECONDS) -> None:
        super().__init__()
        self.session = session
        self.at = at
        self._tick_seconds = tick
        self._stepped = time.monotonic()
        self._chosen = {"workers": Filter(), "jobs": Filter(), "roles": Filter(), "tail": Filter(level="info")}
        self._filter_texts = dict.fromkeys(self._chosen, "") | {"tail": "level:info"}
        self._orders = {"workers": 0, "jobs": 0}
        self._backwards = {"workers": False, "jobs": False}
        self._stands_at: int | None = None
        self._said_at = float("-inf")
        if at:
            self._narrow(at)

    @property
    def heard(self) -> Heard:
        return self.session.heard

    # --- what is on the screen ----------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        yield Static(id="head", markup=False)
        yield Static(id="silence", markup=False)
        with ContentSwitcher(initial="bus" if self.at else "farm", id="views"):
            with Vertical(id="farm"):
                yield Rows("workers")
                yield Rows("jobs")
            with Vertical(id="bus"):
                yield Rows("roles")
                yield Rows("links")
                yield Rows("types")
            with Vertical(id="tail"):
                yield Rows("lines", follows=True)
        yield Static(id="scrubber", markup=False)
        yield Input(id="filter", compact=True)
        yield Static(id="said", markup=False)
        yield Static(id="foot", markup=False)

    def on_mount(self) -> None:
        self.query_one("#scrubber").display = self.session.player is not None
        self.step()
        self._focus_first()
        self.set_interval(self._tick_seconds, self.step)

    def step(self) -> None:
        """Take in what has come, and show it."""
        now = time.monotonic()
        elapsed, self._stepped = now - self._stepped, now
        try:
            self.session.step(elapsed)
        except BrenderError as error:
            self.exit(str(error), return_code=error.exit_code)
            return
        while (outcome := self.session.outcome()) is not None:
            self._say(outcome.text)
        self.draw()

    @property
    def view(self) -> str:
        return str(self.query_one("#views", ContentSwitcher).current)

    def rows(self, id: str) -> Rows:
        return self.query_one(f"#{id}", Rows)

    def draw(self) -> None:
        """Show what was heard, in the view that is open."""
        heard, now, view = self.heard, self.session.now(), self.view
        if view == "farm":
            worker_order, job_order = self._order("workers"), self._order("jobs")
            self.rows("workers").show(
                farm_view.workers(heard, now, self._chosen["workers"], worker_order, self._backwards["workers"])
            )
            self.rows("jobs").show(farm_view.jobs(heard, now, self._chosen["jobs"], job_order, self._backwards["jobs"]))
        elif view == "bus":
            roles = self.rows("roles")
            roles.show(bus_view.roles(heard, now, self._chosen["roles"]))
            self.rows("links").show(bus_view.links(heard, roles.key))
            self.rows("types").show(bus_view.types(heard, roles.key))
        else:
            self.rows("lines").show(tail_view.tail(heard, self._chosen["tail"], self._stands_at))
        self._draw_around(now)

    def _draw_around(self, now: float) -> None:
        heard, view, player = self.heard, self.view, self.session.player
        tabs = " ".join(
            f"[{number} {each.title()}]" if each == view else f" {number} {each.title()} " for number, each in _NUMBERED
        )
        clock = tail_view.time_of(heard.wall(now))
        sampling = f" · 1 of {heard.sampling} looked at" if heard.sampling > 1 else ""
        at = f" · at {self.at}" if self.at else ""
        rate = f"{heard.events_a_second(now):,.0f} events/s{sampling}"
        self._set("head", f"{tabs} · {heard.source}{at} · {rate}{f' · {clock}' if clock else ''}".ljust(self.size.width))
        silence = heard.silence(now)
        self.query_one("#silence").display = silence is not None
        if silence is not None:
            self._set("silence", silence)
        if player is not None:
            self._set("scrubber", player.scrubber(self.size.width))
        filtered = self._filter_texts.get(self._filtered, "")
        self._set("foot", (f"filter: {filtered} (Esc ends it) · " if filtered else "") + KEYS[view])
        if time.monotonic() - self._said_at > _SAID_SECONDS:
            self._set("said", self._about_cursor(now))

    def _set(self, id: str, text: str) -> None:
        static = self.query_one(f"#{id}", Static)
        text = harmless(text)
        if static.content != text:
            static.update(text)

    def _say(self, text: str) -> None:
        self._said_at = time.monotonic()
        self._set("said", text)

    def _about_cursor(self, now: float) -> str:
        """Return what there is to say of the row under the cursor, whose reason may have no room in its table."""
        node, job = self._node(), self._job()
        if node is not None:
            reason = farm_view.reason_of(self.heard, node, now)
            phase = f" · {node.fields['phase']}" if node.fields.get("phase") and node.fields.get("job") else ""
            return f"{node.kind} {node.name}: {self.heard.status(node, now)}{f' · {reason}' if reason else ''}{phase}"
        if job is not None:
            reason = str(job.fields.get("reason") or "")
            return f"job {job.name} ({short_id(job.id)}): {job.status}{f' · {reason}' if reason else ''}"
        return ""

    # --- what is under the cursor -------------------------------------------------------------------------------------

    @property
    def _open(self) -> str:
        """The table that keys are for: that with the focus, else the first of the view."""
        focused = self.focused
        return str(focused.id) if isinstance(focused, Rows) else {"farm": "workers", "bus": "roles", "tail": "lines"}[self.view]

    @property
    def _filtered(self) -> str:
        """The table whose filter `/` changes."""
        return {"jobs": "jobs", "workers": "workers", "lines": "tail"}.get(self._open, "roles")

    def _node(self) -> Node | None:
        at = {"workers": "workers", "roles": "roles", "links": "roles", "types": "roles"}.get(self._open)
        return self.heard.nodes.get(self.rows(at).key) if at else None

    def _job(self) -> Job | None:
        return self.heard.jobs.get(self.rows("jobs").key) if self._open == "jobs" else None

    def _order(self, table: str) -> str:
        orders = list(farm_view.WORKER_ORDERS if table == "workers" else farm_view.JOB_ORDERS)
        return orders[self._orders[table] % len(orders)]

    def on_rows_moved(self) -> None:
        # (What is said of the last row is of no use for this one.)
        self._said_at = min(self._said_at, time.monotonic() - _SAID_SECONDS + 2.0)
        if self.view == "bus" and self._open == "roles":
            roles = self.rows("roles").key
            self.rows("links").show(bus_view.links(self.heard, roles))
            self.rows("types").show(bus_view.types(self.heard, roles))
        self._draw_around(self.session.now())

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        line = tail_view.line_of(self.heard, event.key) if event.rows.id == "lines" else None
        if line is not None:
            self.push_screen(Text(tail_view.whole(line)))
        elif event.rows.table is not None and event.rows.id in ("workers", "jobs", "roles"):
            table = event.rows.table
            cells = zip(table.columns, table.cells(event.key), strict=True)
            facts = [f"{column.title.lower():<12}{cell.text.strip()}" for column, cell in cells if cell.text.strip()]
            self.push_screen(Text("\n".join([*facts, "", *self._further(event.key)])))

    def _further(self, id: str) -> list[str]:
        """Return what else is known of a worker, manager or job."""
        nodes, jobs = self.heard.nodes, self.heard.jobs
        known = nodes[id].fields if id in nodes else jobs[id].fields if id in jobs else {}
        shown = {name: value for name, value in sorted(known.items()) if value not in ("", None, [], {})}
        facts = {name: value for name, value in shown.items() if name != "stats"} | dict(shown.get("stats") or {})
        return [f"{name.replace('_', ' '):<20}{tail_view.fact(name, value)}" for name, value in facts.items()]

    # --- keys ---------------------------------------------------------------------------------------------------------

    def action_view(self, view: str) -> None:
        self.query_one("#views", ContentSwitcher).current = view
        self._focus_first()
        self.draw()

    def _focus_first(self) -> None:
        self.rows({"farm": "workers", "bus": "roles", "tail": "lines"}[self.view]).focus()

    def action_help(self) -> None:
        self.push_screen(Text(HELP))

    def action_leave(self) -> None:
        self.exit("")

    def action_filter(self) -> None:
        asked = self.query_one("#filter", Input)
        self._filter_of = self._filtered
        asked.value = self._filter_texts[self._filter_of]
        asked.placeholder = f"filter {self._filter_of}: words, and {', '.join(f'{name}:…' for name in _NAMES[self._filter_of])}"
        asked.display = True
        asked.focus()

    _filter_of = "workers"

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "filter" and event.input.display:
            self._take_filter(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id == "filter":
            self._close_filter()

    def _take_filter(self, text: str) -> None:
        try:
            self._chosen[self._filter_of] = parse_filter(text, _NAMES[self._filter_of])
        except BadInput as error:
            self._say(str(error))
        else:
            self._filter_texts[self._filter_of] = text
            self.draw()

    def _close_filter(self) -> None:
        self.query_one("#filter", Input).display = False
        self.rows("lines" if self._filter_of == "tail" else self._filter_of).focus()

    def action_no_filter(self) -> None:
        if self.query_one("#filter", Input).display:
            self._take_filter("")
            self._close_filter()
        elif self._filter_texts.get(self._filtered):
            self._filter_of = self._filtered
            self._take_filter("")
        self.draw()

    def _narrow(self, name: str) -> None:
        """Show only what concerns the worker or manager of that *name*."""
        word = name.lower()
        for table, text in (("workers", word), ("roles", f"name:{word}"), ("tail", word)):
            self._chosen[table] = parse_filter(text, _NAMES[table])
            self._filter_texts[table] = text

    def action_sort(self) -> None:
        if self._open in self._orders:
            self._orders[self._open] += 1
            self.draw()

    def action_backwards(self) -> None:
        if self._open in self._backwards:
            self._backwards[self._open] = not self._backwards[self._open]
            self.draw()

    def action_copy(self) -> None:
        rows = self.rows(self._open)
        if rows.table is not None and rows.key:
            text = " ".join(cell.text.strip() for cell in rows.table.cells(rows.key) if cell.text.strip())
            self.copy_to_clipboard(text)
            self._say("copied, in a terminal that lets programs do so (OSC 52)")

    def action_stand_still(self) -> None:
        if self.session.player is not None:
            self.session.player.is_paused = not self.session.player.is_paused
            if self.session.player.is_at_end and not self.session.player.is_paused:
                self.session.player.seek(0.0)
        elif self.view == "tail":
            last = self.heard.lines[-1].number if self.heard.lines else 0
            self._stands_at = last if self._stands_at is None else None
            self._say("The tail stands still; Space lets it go on" if self._stands_at is not None else "The tail goes on")
        self.draw()

    def action_step(self, by: int) -> None:
        if (player := self.session.player) is not None:
            player.seek(player.position + by * _STEP_SECONDS)
            self.step()

    def action_speed(self, by: int) -> None:
        if (player := self.session.player) is not None:
            player.faster(by)
            self.draw()

    def action_begin_again(self) -> None:
        if (player := self.session.player) is not None:
            player.seek(0.0)
            self.step()

    # --- changes ------------------------------------------------------------------------------------------------------

    def _ask_for(self, action: str, target: str, what: str, value: int | str | None = None, note: str = "") -> None:
        """Have *action* done to *target* when the user says yes; *what* says it in words. Where their key may not: say why."""
        if (why := self.session.why_not(action)) is not None:
            self._say(why)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._say(f"{what} …")
                self.session.act(action, target, value, what)

        self.push_screen(Confirm(f"{what[0].upper()}{what[1:]}?{f' {note}' if note else ''}"), answered)

    def _with_job(self, do: Callable[[Job], None]) -> None:
        job = self._job()
        if job is None:
            self._say("That is for jobs: Tab leads to their table")
        else:
            do(job)

    def action_pause_job(self) -> None:
        def do(job: Job) -> None:
            action = "resume" if job.status == "paused" else "pause"
            note = "What renders is finished." if action == "pause" else ""
            self._ask_for(action, job.id, f"{action} the job {job.name}", note=note)

        self._with_job(do)

    def action_requeue(self) -> None:
        self._with_job(
            lambda job: self._ask_for(
                "requeue", job.id, f"queue the job {job.name} again", note="Its frames that failed or were canceled render again."
            )
        )

    def action_priority(self) -> None:
        def do(job: Job) -> None:
            if (why := self.session.why_not("priority")) is not None:
                self._say(why)
                return

            def given(value: int | None) -> None:
                if value is not None:
                    self._ask_for("priority", job.id, f"set the priority of {job.name} to {value}", value)

            self.push_screen(AskNumber(f"Priority of {job.name}", job.number("priority"), 0, 100), given)

        self._with_job(do)

    def action_on_node(self, action: str) -> None:
        node = self._node()
        if node is None or node.kind == "server":
            self._say("That is for workers and managers: Tab leads to their table")
            return
        notes = {
            "drain": "It finishes what runs, and leaves.",
            "restart": "It finishes what runs, and starts again.",
            "disable": "It finishes what runs, and takes nothing new.",
            "enable": "It takes work again.",
        }
        self._ask_for(action, node.id, f"{action} the {node.kind} {node.name}", note=notes[action])

    def action_disable(self) -> None:
        node = self._node()
        is_disabled = node is not None and (node.fields.get("wanted") or node.fields.get("status")) in ("disabled", "drained")
        self.action_on_node("enable" if is_disabled else "disable")


_NUMBERED = tuple(enumerate(VIEWS, 1))
#: Names by which each table is filtered.
_NAMES = {"workers": farm_view.WORKER_NAMES, "jobs": farm_view.JOB_NAMES, "roles": bus_view.ROLE_NAMES, "tail": NAMES}
