"""What a monitor makes of what it hears: states, words, rates, samples, filters, recordings. No sockets, no screen."""

import json
from pathlib import Path
from typing import Any

import pytest

from brender.bus.messages import Event
from brender.model.bus_figures import BusFigures, LinkState, Rounds
from brender.model.errors import BadInput, NotFound
from brender.model.power import BEING_WOKEN
from brender.monitor import bus_view, farm_view, rates, tail_view
from brender.monitor.filters import Filter, parse_filter
from brender.monitor.heard import LINES, Heard, Job
from brender.monitor.items import Linked, Skipped, answered, told
from brender.monitor.once import as_data, as_text, plain
from brender.monitor.player import Player
from brender.monitor.recording import Recorder, read_recording
from brender.monitor.sampling import OTHERS, Sampler
from brender.monitor.session import ReplaySession
from brender.monitor.tables import fit, padded
from brender.monitor.words import NAMES
from tests.hearing import J1, M1, S1, W1, W2, WALL, beat, event, farm, figures, job_row
from tests.tools import command

EVERYTHING = Filter()


def states(heard: Heard, now: float) -> dict[str, str]:
    return {node.name: heard.status(node, now) for node in heard.nodes.values()}


# --- who is there -----------------------------------------------------------------------------------------------------


def test_a_worker_that_sends_no_heartbeat_is_silent_within_5_seconds_and_listed_first() -> None:
    heard = farm()
    for sequence, now in ((3, 12.0), (4, 13.8)):
        heard.take(beat(S1, sequence, "server", name="server", status="online"), now)
        heard.take(beat(W2, sequence, name="render-02", status="disabled"), now)
        heard.take(beat(M1, sequence, "manager", name="site", status="online"), now)
    assert states(heard, 13.8) == {"server": "online", "site": "online", "render-01": "silent", "render-02": "disabled"}
    table = farm_view.workers(heard, 13.8, EVERYTHING)
    assert table.keys == [W1, W2] and "1 silent" in table.title
    assert farm_view.reason_of(heard, heard.nodes[W1], 13.8) == "no heartbeat for 4 s"
    heard.take(beat(W1, 9, name="render-01", status="busy", job=J1), 16.0)
    assert heard.status(heard.nodes[W1], 16.0) == "busy" and heard.nodes[W1].missed == 6


def test_a_server_that_is_killed_is_silent_after_3_seconds_and_nobody_s_state_is_known_then() -> None:
    heard = farm()
    heard.take(Linked(up=False), 10.5)
    assert heard.silence(13.4) is None
    assert heard.silence(13.5) == "server silent for 3 s; renders go on, nothing new starts (10.0.0.1:9998)"
    assert states(heard, 13.5) == {"server": "silent", "site": "unknown", "render-01": "unknown", "render-02": "unknown"}
    heard.take(Linked(up=False, why="It has another key"), 14.0)
    assert str(heard.silence(14.0)).endswith("(10.0.0.1:9998). It has another key")
    heard.take(Linked(up=True), 40.0)
    heard.take(beat(S1, 20, "server", name="server", status="online"), 40.1)
    assert heard.silence(40.1) is None and heard.status(heard.nodes[W1], 40.1) == "busy", "nobody could be heard meanwhile"


def test_a_server_that_hangs_is_silent_within_5_seconds_though_the_connection_stands() -> None:
    heard = farm()
    assert heard.silent(13.7) is None and heard.silent(13.75) == 3.75
    heard.take(beat(S1, 3, "server", name="server", status="online"), 30.0)
    assert heard.silent(30.0) is None and heard.status(heard.nodes[W1], 30.0) == "busy"


def test_of_an_older_server_nothing_is_expected_where_nobody_is_there() -> None:
    heard = Heard()
    heard.take(event("worker", W1, name="w", status="idle"), 1.0)
    assert heard.silent(60.0) is None
    heard.take(beat(W1), 61.0)
    assert heard.silent(70.0) == 9.0
    heard.take(event("worker", W1, status="offline"), 71.0)
    assert heard.silent(200.0) is None


def test_a_worker_that_sleeps_and_one_that_left_need_nobody_and_one_that_was_lost_does() -> None:
    heard = farm()
    heard.take(event("worker", W2, status="paused", reason="it sleeps until 20:00"), 10.0)
    assert heard.status(heard.nodes[W2], 10.0) == "asleep"
    heard.take(event("worker", W2, status="paused", reason=f"{BEING_WOKEN} 9:00: work waits for it"), 10.0)
    assert heard.status(heard.nodes[W2], 10.0) == "asleep"
    for reason, first in (("the worker was stopped", W1), ("was not heard for a whole lease", W2)):
        heard.take(event("worker", W2, status="offline", reason=reason), 10.0)
        assert farm_view.workers(heard, 10.0, EVERYTHING).keys[0] == first, reason
    assert bus_view.upward(heard, heard.nodes[W2], 10.0)[0] == "offline"


def test_what_the_whole_record_does_not_name_any_more_is_gone() -> None:
    heard = farm()
    heard.take(answered("workers", [{"id": W1, "name": "render-01", "status": "idle"}]), 11.0)
    heard.take(answered("jobs", []), 11.0)
    assert W2 not in heard.nodes and M1 in heard.nodes and not heard.jobs


def test_jobs_that_have_ended_are_kept_up_to_a_number() -> None:
    heard = Heard()
    for number in range(300):
        heard.take(event("job", f"{number:016x}", name=f"j{number}", status="completed", finished=float(number)), 1.0)
    assert len(heard.jobs) == 200 and f"{299:016x}" in heard.jobs


# --- what happened, in words ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "key", "fields", "level", "said"),
    [
        ("part", "2", {"status": "completed", "seconds": 39.4, "worker": W1}, "info",
         "worker render-01 finished frame 2 of sh_020 in 39 s"),
        ("part", "2", {"status": "failed"}, "warning", "frame 2 of sh_020 failed"),
        ("part", "2", {"status": "active", "worker": W1}, "debug", "worker render-01 began frame 2 of sh_020"),
        ("part", "2", {"status": "completed", "kept": True}, "info", "frame 2 of sh_020 was there already, and is kept"),
        ("part", "2", {"status": "queued"}, "info", "frame 2 of sh_020 is queued again"),
        ("part", "9", {"job": J1, "frame": 0, "piece": -1, "status": "queued"}, "debug", "the film of sh_020 is queued"),
        ("part", "9", {"job": J1, "frame": 7, "piece": 3, "status": "queued"}, "debug", "piece 3 of frame 7 of sh_020 is queued"),
        ("part", "99", {"status": "completed", "seconds": 1.0}, "info", "a worker finished a frame in 1.0 s"),
        ("part", "2", {"digest": "x"}, "", ""),
        ("attempt", "e" * 8, {"job": J1, "worker": W1, "task": 5, "outcome": "live"}, "debug",
         "worker render-01 is granted task 5 of sh_020"),
        ("attempt", "e" * 8, {"job": J1, "worker": W1, "outcome": "failed", "reason": "no camera"}, "warning",
         "an attempt of sh_020 failed on worker render-01: no camera"),
        ("attempt", "f" * 8, {"outcome": "lost", "reason": "gone"}, "warning", "an attempt is lost with a worker: gone"),
        ("attempt", "f" * 8, {"last_report": 3}, "", ""),
        ("worker", W1, {"status": "offline", "reason": "not heard"}, "warning", "worker render-01 is offline: not heard"),
        ("worker", W1, {"status": "error", "reason": "disk"}, "error", "worker render-01 is error: disk"),
        ("manager", M1, {"status": "draining", "reason": "asked to"}, "info", "manager site is draining: asked to"),
        ("worker", W1, {"last_seen": 1.0}, "", ""),
        ("activity", "5", {"action": "failed", "text": "sh_020 failed: x", "job": J1}, "warning", "sh_020 failed: x"),
        ("activity", "5", {"action": "pause", "text": "paused", "job": J1, "user": "ada"}, "info", "sh_020: paused, by ada"),
        ("job", J1, {"status": "paused", "reason": ""}, "debug", "job sh_020 is paused"),
        ("job", J1, {"deleting": "files"}, "info", "job sh_020 is being deleted"),
        ("task", "5", {"job": J1, "status": "failed", "reason": "3 tries"}, "warning", "task 5 of sh_020 is failed: 3 tries"),
        ("set_aside", "x", {"message": "secret"}, "error",
         "the server failed at a message, and has set it aside: `brender doctor` says more"),
        ("stat", "x", {}, "", ""),
        ("novelty", "x", {}, "debug", "novelty x was written"),
    ],
)  # fmt: skip
def test_messages_are_told_in_words(kind: str, key: str, fields: dict[str, Any], level: str, said: str) -> None:
    heard = farm()
    heard.lines.clear()
    heard.take(event(kind, key, **fields), 10.0)
    assert [(line.level, line.text) for line in heard.lines] == ([(level, said)] if said else [])


def test_heartbeats_are_no_messages_of_the_tail_which_keeps_the_last_ones() -> None:
    heard = farm()
    assert not heard.lines
    for number in range(LINES + 10):
        heard.take(event("activity", str(number), action="x", text=f"line {number}"), 11.0)
    assert len(heard.lines) == LINES and heard.lines[0].text == "line 10"


def test_of_a_frame_that_was_queued_before_the_monitor_listened_the_record_tells_the_number() -> None:
    heard = Heard()
    heard.take(answered("jobs", [job_row()]), 1.0)
    heard.take(event("worker", W1, name="render-01", status="busy"), 1.0)
    heard.take(event("attempt", "e" * 8, job=J1, worker=W1, outcome="live"), 1.0)
    heard.take(event("part", "77", status="active", worker=W1, attempt="e" * 8), 1.0)
    heard.take(event("part", "77", status="completed", seconds=2.0), 2.0)
    assert heard.lines[-1].text == "worker render-01 finished a frame of sh_020 in 2.0 s", (
        "which one is not known, and not guessed"
    )
    assert [job.id for job in heard.unknown_jobs()] == [J1]
    heard.take(answered("frames_by_part", [{"id": 77, "frame": 7, "piece": 0, "status": "completed", "worker": W1}], J1), 3.0)
    heard.take(event("part", "77", status="queued"), 3.0)
    assert heard.lines[-1].text == "frame 7 of sh_020 is queued again" and not heard.unknown_jobs()


def test_the_tail_is_filtered_by_role_job_worker_type_and_level_and_stands_still() -> None:
    heard = farm()
    heard.take(event("part", "2", status="completed", worker=W1, seconds=1.0), 10.0)
    heard.take(event("activity", "5", action="failed", text="sh_020 failed", job=J1), 10.0)
    heard.take(event("worker", W2, status="idle"), 10.0)

    def shown(text: str) -> list[str]:
        table = tail_view.tail(heard, parse_filter(text, NAMES))
        return [table.cells(key)[3].text for key in table.keys]

    assert len(shown("")) == 3 and len(shown("level:info")) == 2
    assert shown("level:warning") == ["sh_020 failed"] == shown("role:server")
    assert shown("worker:render-01") == ["worker render-01 finished frame 2 of sh_020 in 1.0 s"] == shown("type:part")
    assert len(shown("job:sh_020")) == 2 and shown("finished frame") and not shown("nothing")
    assert len(tail_view.tail(heard, EVERYTHING, until=1).keys) == 1
    assert tail_view.tail(heard, parse_filter("nothing", NAMES)).empty == "No message fits the filter"
    with pytest.raises(BadInput, match="no level 'loud'"):
        parse_filter("level:loud", NAMES)
    with pytest.raises(BadInput, match="Nothing is called 'color' here"):
        parse_filter("color:red", NAMES)
    assert parse_filter("12:30 x", NAMES).words == ("12:30", "x")


def test_recordings_and_options_that_cannot_be_used_are_said_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r").write_bytes(recorded(tmp_path / "whole").read_bytes()[:-30])
    for words, why in (
        (("--replay", tmp_path / "r"), "is cut: "),
        (("--replay", tmp_path / "none"), "cannot be read: "),
        (("--replay", tmp_path / "r", "--json"), "is replayed on the screen, or with --once"),
        (("--partial",), "name it with --replay FILE"),
        (("--once", "--data", tmp_path / "nothing"), "There is no farm in "),
    ):
        said = command(capsys, "role", "monitor", *words)
        assert why in said.err and len(said.err.strip().splitlines()) == 1 and said.code in (2, 4), said
    shown = command(capsys, "role", "monitor", "--replay", tmp_path / "r", "--partial", "--once")
    assert shown.code == 0 and "render-01" in shown.out and "sh_020" in shown.out


# --- what is left out -------------------------------------------------------------------------------------------------

SECRET = "hunter2"


def test_nothing_that_may_hold_a_secret_is_taken_in() -> None:
    heard = farm()
    fields = {
        "settings": {"arguments": [SECRET]},
        "line": f"password {SECRET}",
        "output": SECRET,
        "facts": {"x": SECRET},
        "status": "idle",
    }
    for kind in ("job", "worker", "part", "job_revision", "set_aside", "preset", "task"):
        found = event(kind, "5", **fields, message=SECRET, addons=[SECRET], warnings=[SECRET], principal=SECRET, origin=SECRET)
        assert SECRET not in repr(found) and "settings" in found.withheld
        heard.take(found, 11.0)
    assert SECRET not in as_text(heard, 11.0, 200) and SECRET not in json.dumps(as_data(heard, 11.0))
    assert SECRET not in "".join(tail_view.whole(line) for line in heard.lines)
    assert "Not shown, since it may hold secrets:" in tail_view.whole(heard.lines[-1])
    rows = answered("workers", [{"id": W1, "line": SECRET, "programs": [SECRET], "folders": [SECRET]}]).rows
    assert SECRET not in repr(rows)


def test_a_phase_is_kept_in_brender_s_own_words_and_a_program_s_line_is_not() -> None:
    assert event("worker", W1, line="sampling 12/64 · 1:23 left · 36 MB").fields["phase"] == "sampling 12/64 · 1:23 left"
    assert event("worker", W1, line="denoising, 8 s").fields["phase"] == "denoising"
    assert event("worker", W1, line=f"token={SECRET}").fields["phase"] == ""


def test_names_and_reasons_do_nothing_to_a_terminal() -> None:
    heard, evil = farm(), "x\x1b[2J\x07"
    heard.take(event("worker", W1, name=evil, reason=evil, status="error"), 11.0)
    heard.take(event("job", J1, name=evil, reason=evil), 11.0)
    heard.take(event("activity", "5", action="x", text=evil), 11.0)
    drawn = as_text(heard, 11.0, 200) + tail_view.whole(heard.lines[-1])
    assert "\x1b" not in drawn and "\x07" not in drawn and "x·[2J·" in drawn
    assert padded("e\x1b", 4) == "e·  " and padded("日本語", 5) == "日本…" and padded("7", 3, right=True) == "  7"


# --- the bus ----------------------------------------------------------------------------------------------------------


def test_rates_are_made_of_two_reports_of_a_role() -> None:
    ((link, passed),) = rates.of_links(figures(12.0, 50, 8), figures(10.0, 40, 4))
    assert (passed.sent, passed.received, passed.bytes_sent, passed.bytes_received) == (5.0, 2.0, 500.0, 400.0)
    assert passed.by_type == {"Renew": (5.0, 0.0), "Grants": (0.0, 2.0)} and link.name == "worker"
    ((_, first),) = rates.of_links(figures(12.0, 50), None)
    ((_, made_again),) = rates.of_links(figures(12.0, 5), figures(10.0, 40))
    assert first == made_again == rates.Rates(), "of a socket that was made again nothing is known yet"
    now = BusFigures(up=4.0, rounds=Rounds(count=60, seconds=1.5, longest=0.2, commits=30, rows=90))
    before = BusFigures(up=2.0, rounds=Rounds(count=20, seconds=0.5, commits=10, rows=10))
    assert rates.of_rounds(now, before) == rates.RoundRates(20.0, 0.5, 0.025, 0.2, 10.0, 40.0)


def test_the_bus_view_shows_each_role_with_its_worst_link_its_traffic_and_what_is_not_delivered() -> None:
    heard = farm()
    trouble = figures(
        12.0, 60, 8, state=LinkState.REFUSED, round_trip=0.042, outbox=7, resent=3, held=2, refusals={"manager: x": 4}
    )
    heard.take(beat(W1, 3, bus=trouble, name="render-01", status="busy"), 12.0)
    table = bus_view.roles(heard, 12.0, EVERYTHING)
    assert table.keys == [S1, M1, W1, W2]
    titles = [column.title for column in table.columns]
    row = dict(zip(titles, (cell.text for cell in table.cells(W1)), strict=True))
    assert (row["UPWARD"], row["ROUND TRIP"], row["OUTBOX"], row["RESENT"], row["HELD"]) == (
        "refused by key",
        "42 ms",
        "7",
        "3",
        "2",
    )
    assert (row["OUT/s"], row["REFUSED"]) == ("10", "4")
    older = dict(zip(titles, (cell.text for cell in table.cells(W2)), strict=True))
    assert (older["UPWARD"], older["OUT/s"], older["BEAT"]) == ("not told", "", "2 s")
    links = bus_view.links(heard, W1)
    assert [cell.text for cell in links.cells("0")][:2] == ["worker", "refused by key"]
    types = bus_view.types(heard, W1)
    assert [types.cells(key)[0].text for key in types.keys] == ["Renew", "Grants", "refused: manager: x"]
    assert bus_view.links(heard, W2).empty and not bus_view.types(heard, "nobody").keys
    assert bus_view.roles(heard, 12.0, parse_filter("role:manager", bus_view.ROLE_NAMES)).keys == [M1]


def test_events_that_were_lost_on_their_way_are_counted_by_their_numbers() -> None:
    heard = Heard()
    for number in (5, 6, 9):
        heard.take(event("activity", str(number), WALL, number, action="x", text="x"), 1.0)
    heard.take(Skipped(count=10, of=3), 1.0)
    heard.take(event("activity", "20", WALL, 20, action="x", text="x"), 1.0)
    assert (heard.lost, heard.skipped, heard.count, heard.sampling) == (2, 10, 14, 3)
    assert (
        "2 were left out by the server, or lost" in tail_view.tail(heard, EVERYTHING).title
        and "1 of 3 of the details" in bus_view.roles(heard, 1.0, EVERYTHING).title
    )


def test_of_ten_thousand_events_a_second_those_that_tell_how_things_stand_and_a_sample_are_looked_at() -> None:
    sampler = Sampler()
    taken: dict[str, int] = {}
    for second in range(5):
        for number in range(10_000):
            kind = "stats" if number % 20 == 0 else "part"
            if sampler.takes(kind, second + number / 10_000):
                taken[kind] = taken.get(kind, 0) + 1
    assert taken["stats"] == 5 * 500
    assert taken["part"] <= 5 * OTHERS and sampler.skipped() == 50_000 - sum(taken.values()) and sampler.of == 19
    assert sampler.takes("part", 10.0) or sampler.takes("part", 10.0) is False
    for second in (11.0, 12.1, 13.2):
        sampler.takes("part", second)
    assert (sampler.of, sampler.of_telling) == (1, 1) and sampler.takes("part", 13.3)


def test_while_heartbeats_are_sampled_a_worker_is_not_called_silent_or_its_heartbeats_missed() -> None:
    heard = farm()
    heard.take(Skipped(count=1, of=1, of_telling=4), 10.0)
    heard.take(beat(W2, 9, name="render-02", status="idle"), 20.0)
    assert heard.status(heard.nodes[W1], 20.0) == "busy" and heard.nodes[W2].missed == 0


# --- the farm ---------------------------------------------------------------------------------------------------------


def test_workers_are_sorted_and_filtered() -> None:
    heard = farm()
    assert farm_view.workers(heard, 10.0, EVERYTHING).keys == [W1, W2]
    assert farm_view.workers(heard, 10.0, EVERYTHING, "name", backwards=True).keys == [W2, W1]
    for text, found in (("state:disabled", [W2]), ("job:sh_020", [W1]), ("manager:site tag:cpu", [W1, W2]), ("nobody", [])):
        assert farm_view.workers(heard, 10.0, parse_filter(text, farm_view.WORKER_NAMES)).keys == found, text
    assert farm_view.workers(heard, 10.0, Filter(words=("nobody",))).lines(80)[-1] == "No worker fits the filter"
    for order in farm_view.WORKER_ORDERS:
        assert len(farm_view.workers(heard, 10.0, EVERYTHING, order).keys) == 2
    for order in farm_view.JOB_ORDERS:
        assert farm_view.jobs(heard, 10.0, EVERYTHING, order).keys == [J1]
    assert farm_view.jobs(heard, 10.0, parse_filter("user:ada status:active", farm_view.JOB_NAMES)).keys == [J1]


def test_the_time_left_of_a_job_that_goes_over_its_frames_again_counts_later_passes_with_their_samples() -> None:
    heard = farm()
    settings = {"refine": "doubling", "passes": 4}
    heard.take(event("job", J1, settings=settings, part_count=40, completed_parts=20, kept_parts=0, render_seconds=400.0), 10.0)
    job = heard.jobs[J1]
    assert "settings" not in job.fields and farm_view.seconds_left(job, 2, WALL) == 600.0
    heard.take(event("job", J1, WALL + 190, completed_parts=30), 10.0)
    assert farm_view.seconds_left(job, 0, WALL + 190) == pytest.approx(10 * 19.0 * 2), "the last ten had half as many samples"


def test_a_job_has_a_strip_of_its_frames_a_rate_and_the_time_that_is_left() -> None:
    heard = farm()
    job = heard.jobs[J1]
    heard.take(event("part", "2", status="active", worker=W1), 10.0)
    heard.take(event("part", "3", status="failed"), 10.0)
    assert farm_view.strip(job, 10) == "█▒!·" and farm_view.strip(job, 2) == "▒!" and farm_view.strip(job, 0) == ""
    assert farm_view.seconds_left(job, 2, WALL) == 60.0, (
        "as the three frames to come take, where one took 40 s and two workers render"
    )
    for wall, done in ((WALL + 10, 1), (WALL + 100, 2), (WALL + 190, 3)):
        heard.take(event("job", J1, wall, completed_parts=done), 10.0)
    assert farm_view.frames_an_hour(job, WALL + 190) == 40.0 and farm_view.seconds_left(job, 0, WALL + 190) == 90.0
    table = farm_view.jobs(heard, 10.0, EVERYTHING)
    fitted = table.fitted(200)
    assert "█▒!·" in " ".join(cell.text for cell in table.row(J1, fitted))
    counts = Job("x", {"part_count": 100, "completed_parts": 50, "given_up_parts": 1})
    assert farm_view.strip(counts, 10) == "█████!····", "of a job whose frames are not known, by their number"


@pytest.mark.parametrize("width", [20, 40, 80, 100, 132, 250])
def test_every_table_fits_the_width_that_there_is(width: int) -> None:
    heard = farm()
    tables = [
        farm_view.workers(heard, 10.0, EVERYTHING),
        farm_view.jobs(heard, 10.0, EVERYTHING),
        bus_view.roles(heard, 10.0, EVERYTHING),
    ]
    tables += [bus_view.links(heard, W1), bus_view.types(heard, W1), tail_view.tail(heard, EVERYTHING)]
    for table in tables:
        fitted = table.fitted(width)
        if width >= 80:
            assert len(table.head(fitted)) <= width
        for key in table.keys:
            assert sum(len(cell.text) + 1 for cell in table.row(key, fitted)) - 1 == len(table.head(fitted))
    assert [number for number, _ in fit(farm_view.WORKER_COLUMNS, 10)] == [0, 1], "what is of rank 0 is always there"
    assert len(fit(farm_view.WORKER_COLUMNS, 250)) == len(farm_view.WORKER_COLUMNS)


# --- snapshots and recordings -----------------------------------------------------------------------------------------


def test_a_snapshot_as_text_and_as_data_says_the_same() -> None:
    heard = farm()
    text, data = as_text(heard, 10.0, 120), as_data(heard, 10.0)
    assert "2 workers: 1 busy, 1 disabled" in text and "sh_020" in text and "server silent" not in text
    by_name = {node["name"]: node for node in data["nodes"]}
    assert by_name["render-01"]["state"] == "busy" and by_name["render-01"]["rates"]["total"]["sent"] == 10.0
    assert data["jobs"][0]["workers"] == 1 and data["silent_seconds"] is None
    assert "server silent for 50 s" in as_text(heard, 60.0, 120)


def test_a_snapshot_of_one_worker_shows_its_links_and_its_messages_and_nobody_else_s() -> None:
    heard = farm()
    heard.take(event("part", "2", status="completed", worker=W1, seconds=1.0), 10.0)
    text = as_text(heard, 10.0, 120, "render-01")
    assert "worker render-01: busy" in text and "10.0.0.1:7777" in text and "finished frame 2" in text and "render-02" not in text
    assert [node["name"] for node in as_data(heard, 10.0, M1[:6])["nodes"]] == ["site"]
    with pytest.raises(NotFound, match="There is no worker or manager 'nobody'"):
        as_text(heard, 10.0, 120, "nobody")


def test_the_stream_has_events_as_they_came_with_the_figures_of_the_bus_unpacked() -> None:
    given = Event(change=1, wall=1.0, kind="stats", key="k", fields={"bus": b"\x81\xa2up\x01", "name": "w"}, number=4)
    assert plain(given)["fields"]["bus"]["up"] == 1 and plain(given)["type"] == "event" and plain(given)["number"] == 4


def items() -> list[tuple[float, Any]]:
    """Half a minute of a farm."""
    found: list[tuple[float, Any]] = [(0.1, Linked(up=True)), (0.2, answered("jobs", [job_row()]))]
    for sequence in range(1, 12):
        now = 2.0 * sequence
        found.append((now, beat(S1, sequence, "server", figures(now, sequence * sequence), name="server", status="online")))
        found.append((now, beat(W1, sequence, bus=figures(now, 3 * sequence), name="render-01", status="busy", job=J1)))
        found.append((now + 0.5, event("part", str(sequence), WALL + now, job=J1, frame=sequence, status="completed", worker=W1)))
    return [*found, (24.0, Skipped(count=5, of=2)), (25.0, Linked(up=False))]


def recorded(path: Path) -> Path:
    recorder = Recorder(path, "10.0.0.1:9998", WALL)
    for at, item in items():
        recorder.take(item, at)
    recorder.close(30.0)
    return path


def test_a_recording_is_replayed_to_the_same_screens_forwards_and_backwards(tmp_path: Path) -> None:
    session = ReplaySession(read_recording(recorded(tmp_path / "r")), speed=5.0)
    screens: dict[float, str] = {}
    for at in (3.0, 12.0, 24.5, 29.0):
        live = Heard("10.0.0.1:9998")
        for when, item in items():
            if when <= at:
                live.take(item, when)
        screens[at] = as_text(live, at, 150)
    for at in (12.0, 3.0, 29.0, 24.5, 3.0):
        session.player.seek(at)
        session.step(0.0)
        assert as_text(session.heard, session.now(), 150) == screens[at], at
    session.step(1.0)
    assert session.now() == 8.0, "five times as fast"
    assert session.why_not("pause") and session.outcome() is None


def test_a_player_stops_at_its_end_pauses_and_changes_its_speed(tmp_path: Path) -> None:
    player = Player(read_recording(recorded(tmp_path / "r")))
    player.faster()
    player.advance(4.0)
    assert (player.speed, player.position) == (2.0, 8.0)
    player.is_paused = True
    player.advance(4.0)
    assert player.position == 8.0 and player.scrubber(40).startswith("paused 0:00:08 ") and len(player.scrubber(40)) == 40
    player.is_paused = False
    player.advance(1000.0)
    assert player.is_at_end and player.position == 30.0
    for _ in range(20):
        player.faster(-1)
    assert player.speed == 0.25 and player.scrubber(60).endswith("●  0:00:30".replace("  ", " "))


@pytest.mark.parametrize("cut", [1, 50, 5_000])
def test_a_recording_that_is_cut_is_refused_in_one_sentence_and_what_is_whole_of_it_replayed_on_request(
    tmp_path: Path, cut: int
) -> None:
    path = recorded(tmp_path / "r")
    content = path.read_bytes()
    path.write_bytes(content[:-cut])
    with pytest.raises(BadInput, match=r"is cut: .*, after \d+ messages of \d+ seconds. `--partial` replays those"):
        read_recording(path)
    assert 0 < len(read_recording(path, partial=True).taken) <= len(items())


def test_a_recording_of_which_a_line_is_damaged_or_missing_is_cut_there(tmp_path: Path) -> None:
    lines = recorded(tmp_path / "r").read_bytes().splitlines(keepends=True)
    path = tmp_path / "damaged"
    path.write_bytes(b"".join([*lines[:5], b"\xff rubbish\n", *lines[6:]]))
    with pytest.raises(BadInput, match="line 6 is damaged"):
        read_recording(path)
    path.write_bytes(b"".join([*lines[:5], *lines[6:]]))
    with pytest.raises(BadInput, match=rf"it has {len(items()) - 1} of {len(items())} messages"):
        read_recording(path)


def test_what_is_no_recording_or_one_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r"
    for content in (b"", b"\x00\xff", b"[]\n", b'{"a": 1}\n', b'{"brender_recording": 1'):
        path.write_bytes(content)
        with pytest.raises(BadInput, match="is not a recording of brender-monitor"):
            read_recording(path)
    path.write_bytes(b'{"brender_recording":2,"software":"4.0","source":"x","began":1}\n')
    with pytest.raises(BadInput, match=r"is of version 2, and this brender reads version 1: replay it with the brender .*4\.0"):
        read_recording(path)
    path.write_bytes(b'{"brender_recording":1,"software":"4.0"}\n')
    with pytest.raises(BadInput, match="damaged in its first line"):
        read_recording(path)
    with pytest.raises(BadInput, match="cannot be read"):
        read_recording(tmp_path / "missing")


def test_a_recording_never_replaces_a_file(tmp_path: Path) -> None:
    path = recorded(tmp_path / "r")
    with pytest.raises(BadInput, match="is there already: name another file"):
        Recorder(path, "x", 1.0)
    with pytest.raises(BadInput, match="Nothing can be recorded to"):
        Recorder(tmp_path / "no" / "such", "x", 1.0)


def test_what_an_event_of_another_version_says_more_is_left_out_and_what_it_lacks_is_not_missed() -> None:
    heard = Heard()
    for kind in ("stats", "worker", "job", "part", "attempt", "activity", "task", "kept_off"):
        heard.take(told(Event(change=0, wall=0.0, kind=kind, key="k", fields={"novelty": 1})), 1.0)
    assert as_text(heard, 1.0, 120) and as_data(heard, 1.0)
