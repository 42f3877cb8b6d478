"""python -m tests.chaos [--kills 200] [--tasks 2000] [--frames 12] [--postgresql] [--seed N]

A real farm renders and runs commands while chance kills its roles (SIGKILL), stops them for a while (SIGSTOP), and cuts, silences
and slows the links between them. The drive that frames go to hangs for a while, and is full for a while. A folder that frames
go to may not be used for a while, and scenes are saved, cut short and replaced while they are sent. At the end the record, the
files and the processes are audited against a quiet run. With ``--postgresql`` the record is in a real PostgreSQL, which is
killed too. The last line is JSON; the exit code is 1 where anything is not as
it must be.
"""

import argparse
import contextlib
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from brender.api.jobspec import blender_job, command_job
from brender.bus.client import Client
from brender.commands.farm import make_demo
from tests.chaos.drive import Drive, drive
from tests.chaos.farm import WORKERS, ChaosFarm
from tests.chaos.uploads import Uploads
from tests.conftest import PostgreSQL
from tests.tools import pixels, until

_WRITE = (
    "import sys, pathlib, time; time.sleep(0.05); path = pathlib.Path(sys.argv[1]) / sys.argv[2];"
    "path.with_suffix('.part').write_text('frame ' + sys.argv[2]); path.with_suffix('.part').replace(path)"
)
_DEADLINE_SECONDS = 1500.0
_RIGHTS_SECONDS = 120.0


def submit(client: Client, folder: Path, blend: Path, tasks: int, frames: int) -> list[str]:
    """Many short command tasks in three jobs of different priority, and two Blender jobs; returns their ids."""
    jobs = []
    written = folder / "written"
    written.mkdir()
    share = tasks // 3 + 1
    for number, priority in enumerate((40, 50, 60)):
        words = (sys.executable, "-S", "-c", _WRITE, str(written), f"{number}-{{frame:05d}}")
        jobs.append(command_job(words, {"frames": f"1-{share}"}, f"chaos-{number}", priority=priority))
    options: dict[str, Any] = {"frames": f"1-{frames}", "output": folder / "frames", "name": None, "trusted": False}
    if frames:
        options |= {"samples": 2, "resolution": 25}
        jobs.append(blender_job(blend, options, priority=70))
        jobs.append(
            blender_job(
                blend, options | {"output": folder / "guarded", "name": "guarded", "frames": f"1-{frames * 3}"}, priority=75
            )
        )
    for job in jobs:
        client.submit(job)
    return [job.id for job in jobs]


def wait(farm: ChaosFarm, client: Client, jobs: list[str]) -> None:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while any(client.ask("job", id=job)["finished"] is None for job in jobs):
        if time.monotonic() > deadline:
            raise AssertionError("the farm never finished its jobs")
        farm.mend()
        time.sleep(0.25)


def wait_for_rights(farm: ChaosFarm, client: Client, job: str, guarded: Path) -> None:
    """Take the rights to the folder of *job* away in the middle of it: it waits with its reason."""
    deadline = time.monotonic() + _RIGHTS_SECONDS
    while not client.ask("job", id=job)["completed_parts"]:
        if time.monotonic() > deadline:
            raise AssertionError("the first frame never came")
        time.sleep(0.1)
    guarded.chmod(0)
    reason = ""
    while not (str(guarded) in reason and "ermission" in reason):
        if time.monotonic() > deadline:
            raise AssertionError(f"the job does not say that its folder may not be used: {reason!r}")
        farm.mend()
        time.sleep(0.25)
        record = client.ask("job", id=job)
        reason = record["reason"]
        if record["finished"] is not None:
            raise AssertionError(f"the job whose folder may not be used is {record['status']}: {reason}")
    print(f"while its folder may not be used: {reason}", flush=True)
    guarded.chmod(0o755)


def make_chaos(
    farm: ChaosFarm,
    drive: Drive | None,
    uploads: Uploads | None,
    guarded: Path,
    chance: random.Random,
    kills: int,
    postgresql: PostgreSQL | None,
) -> dict[str, int]:
    """Until there were *kills* kills; returns what was done. *guarded*: a folder whose rights are taken away for a while."""
    made = {"kills": 0, "stops": 0, "cuts": 0, "hangs": 0, "full": 0, "rights": 0, "database": 0}
    healing: list[tuple[float, Any]] = []
    rights_at = float("inf")
    while made["kills"] < kills:
        farm.mend()
        if uploads is not None:
            uploads.go_on(chance)
        if rights_at <= time.monotonic():
            guarded.chmod(0o755)
            rights_at = float("inf")
        if drive is not None:
            drive.mend()
        now = time.monotonic()
        for due, link in [entry for entry in healing if entry[0] <= now]:
            healing.remove((due, link))
            link.mode = "open"
        what = chance.random()
        name = chance.choice(farm.names)
        if postgresql is not None and chance.random() < 0.15:
            postgresql.stop()
            time.sleep(chance.choice([0.0, 1.0, 3.0]))
            postgresql.start()
            made["database"] += 1
        if what < 0.6:
            made["kills"] += farm.kill(name, again_after=chance.uniform(0.0, 1.0))
        elif what < 0.75:
            farm.pause(name, chance.choice([0.5, 2.0, 9.0]))
            made["stops"] += 1
        elif what < 0.81 and drive is not None:
            made["hangs"] += drive.hang(chance.choice([1.0, 5.0, 90.0]))
        elif what < 0.86 and drive is not None:
            made["full"] += drive.fill(chance.choice([1.0, 5.0, 20.0]))
        elif what < 0.9 and uploads is not None:
            uploads.begin(chance)
        elif what < 0.93 and guarded.exists():
            guarded.chmod(0)
            rights_at = time.monotonic() + chance.choice([1.0, 10.0])
            made["rights"] += 1
        else:
            link = chance.choice(farm.links[chance.choice([each for each in farm.links if each != "client"])])
            link.mode = chance.choice(["cut", "half", "slow"])
            healing.append((now + chance.choice([0.5, 3.0, 9.0]), link))
            made["cuts"] += 1
        time.sleep(chance.uniform(0.2, 1.2))
    for links in farm.links.values():
        for link in links if links is not farm.links["client"] else ():
            link.mode = "open"
    if guarded.exists():
        guarded.chmod(0o755)
    farm.mend(everything=True)
    if uploads is not None:
        uploads.end(chance)
    if drive is not None:
        drive.mend(everything=True)
    return made


def audit(farm: ChaosFarm, folder: Path, quiet: Path, jobs: list[str]) -> tuple[dict[str, int], list[str]]:
    """What the record and the files say, and what is wrong with it."""
    wrong: list[str] = []
    record = farm.record()
    marks = ",".join("?" * len(jobs))
    for name, status, reason in record.execute(f"SELECT name, status, reason FROM job WHERE id IN ({marks})", jobs):
        if status != "completed":
            wrong.append(f"the job {name} is {status}: {reason}")
    for task, number in record.execute(
        "SELECT task, COUNT(*) FROM attempt WHERE outcome = 'completed' GROUP BY task HAVING COUNT(*) > 1"
    ):
        wrong.append(f"task {task} was completed {number} times")
    counts = dict(record.execute("SELECT outcome, COUNT(*) FROM attempt GROUP BY outcome").fetchall())
    tasks = dict(record.execute("SELECT status, COUNT(*) FROM task GROUP BY status").fetchall())
    if set(tasks) != {"completed"}:
        wrong.append(f"not every task is completed: {tasks}")
    parts = dict(record.execute("SELECT status, COUNT(*) FROM part GROUP BY status").fetchall())
    if set(parts) != {"completed"}:
        wrong.append(f"not every part is completed: {parts}")
    if (state := record.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
        wrong.append(f"the database is damaged: {state}")
    for kind in ("written", "frames", "guarded"):
        wrong += compare(quiet / kind, folder / kind)
    return {f"attempts {outcome}": number for outcome, number in counts.items()} | {"tasks": sum(tasks.values())}, wrong


def compare(quiet: Path, disturbed: Path) -> list[str]:
    """How the files in *disturbed* differ from those of a quiet run."""
    if not quiet.exists():
        return []
    mine, theirs = ({path.name for path in folder.iterdir()} for folder in (disturbed, quiet))
    wrong = [f"{disturbed.name}: {name} is missing" for name in sorted(theirs - mine)]
    # A command that is killed leaves its own half-written file; only what brender itself made must be gone.
    wrong += [f"{disturbed.name}: {name} should not be there" for name in sorted(mine - theirs) if not name.endswith(".part")]
    for name in sorted(mine & theirs):
        first, second = quiet / name, disturbed / name
        same = (pixels(first) == pixels(second)).all() if name.endswith(".png") else first.read_bytes() == second.read_bytes()
        if not same:
            wrong.append(f"{disturbed.name}: {name} differs")
    return wrong


def one_run(
    folder: Path,
    frames_on: Drive | None,
    blend: Path,
    options: argparse.Namespace,
    chance: random.Random | None,
    postgresql: PostgreSQL | None,
) -> tuple[ChaosFarm, Any]:
    farm = ChaosFarm(folder, postgresql.new_database() if postgresql is not None else "")
    made: dict[str, int] = {}
    uploads: Uploads | None = None
    for name in farm.names:
        farm.start(name)
    with farm.client() as client:
        until(lambda: len(client.ask("workers")) == WORKERS)  # a role that has not joined yet ends where it cannot
        jobs = submit(client, folder, blend, options.tasks, options.frames)
        if chance is not None:
            if options.frames:
                port, links = farm.ports["client→server"], farm.links["client"]
                uploads = Uploads(folder / "uploads", blend, folder / "server", port, links)
                wait_for_rights(farm, client, jobs[-1], folder / "guarded")
                for _ in range(2):
                    uploads.begin(chance)
                    uploads.begin(chance)
                    uploads.end(chance)
            made = make_chaos(farm, frames_on, uploads, folder / "guarded", chance, options.kills, postgresql)
            jobs += [row["id"] for row in client.ask("jobs") if row["name"].startswith("upload-")]
        wait(farm, client, jobs)
    return farm, (jobs, made, uploads, farm.end())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--tasks", type=int, default=2000, help="short command tasks")
    parser.add_argument("--frames", type=int, default=12, help="Blender frames")
    parser.add_argument("--postgresql", action="store_true", help="keep the record there, and kill that too")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="brender-chaos-") as temporary, contextlib.ExitStack() as running:
        root = Path(temporary)
        postgresql = PostgreSQL() if options.postgresql else None
        if postgresql is not None:
            running.callback(postgresql.end)
        blend = make_demo(root / "demo.blend", ()) if options.frames else root / "none"
        quiet, folder = root / "quiet", root / "chaos"
        quiet.mkdir()
        one_run(quiet, None, blend, options, None, postgresql)
        print(f"quiet run: {time.monotonic() - began:.0f} seconds", flush=True)
        folder.mkdir()
        with drive(folder / "frames") as frames_on:
            farm, (jobs, made, uploads, orphans) = one_run(
                folder, frames_on, blend, options, random.Random(options.seed), postgresql
            )
            counts, wrong = audit(farm, folder, quiet, jobs)
        if uploads is not None:
            made |= uploads.made
            wrong += uploads.audit(farm.record())
        wrong += [f"left running: {orphan}" for orphan in orphans]
        if wrong:
            for name in farm.names:
                print(f"--- {name}\n{(farm.folder / f'{name}.log').read_text()[-3000:]}")
    for line in wrong[:50]:
        print(line)
    seconds = round(time.monotonic() - began, 1)
    print(json.dumps({"seed": options.seed, **made, **counts, "wrong": len(wrong), "seconds": seconds}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
