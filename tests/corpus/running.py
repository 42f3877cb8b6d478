"""Rendering the cases: scenes made in one Blender, rendered by Blender itself, and through one farm by ``brender submit``."""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brender.bus.client import Client
from brender.commands.config import run
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.main import brender
from brender.commands.options import client
from brender.engines.command_line import script_in
from brender.engines.environment import clean_environment
from brender.model.nodes import Blender
from brender.store.datafolder import DataFolder
from tests.coloring import configuration
from tests.corpus.comparing import Content, differences
from tests.corpus.contents import read
from tests.corpus.declaring import VARIANTS, Case

SCENES = Path(__file__).parent.parent / "scenes"
_DIRECT = Path(__file__).parent / "inside_direct.py"
_ENDED = ("completed", "failed", "canceled")
_SECONDS = 240.0
#: So many cases are submitted before the first one is waited for.
_AHEAD = 12


@dataclass
class Verdict:
    """What came of one case: ``said`` is the sentence where it was said otherwise as declared, ``wrong`` what is not as it should
    be, by the variant."""

    case: Case
    variants: tuple[str, ...]
    said: str = ""
    wrong: dict[str, list[str]] = field(default_factory=dict)
    lacks: str = ""
    """What the Blender was built without that the scene needs: nothing was rendered."""

    @property
    def word(self) -> str:
        return "left out" if self.lacks else "wrong" if self.wrong else "said otherwise" if self.said else "equal"

    def line(self) -> str:
        if self.wrong:
            told = "; ".join(f"[{variant}] {' | '.join(texts[:3])}" for variant, texts in self.wrong.items())
            return f"{self.case.name}: wrong: {told}"
        told = f" (this Blender {self.lacks})" if self.lacks else f" ({self.said})" if self.said else ""
        return f"{self.case.name}: {self.word}{told} [{', '.join(self.variants)}]"


@dataclass
class _Submitted:
    """One job of a case: the copy of its project, and what ``brender submit`` answered."""

    case: Case
    variant: str
    project: Path
    before: dict[str, tuple[int, int]]
    words: Sequence[str]
    code: int = 0
    err: str = ""
    id: str = ""
    warnings: tuple[str, ...] = ()

    def submit(self) -> "_Submitted":
        """Submit it, or again; returns itself."""
        self.code, out, self.err = _brender(self.project, self.words)
        with contextlib.suppress(ValueError):
            answer = json.loads(out)
            self.id, self.warnings = answer["id"], tuple(answer["warnings"])
        return self

    def submit_again(self) -> "_Submitted":
        """Submit it before all others; returns itself."""
        self.words = [*self.words, "--priority", "90"]
        return self.submit()

    @property
    def sentences(self) -> str:
        return " ".join(line.removeprefix("Error: ") for line in self.err.strip().splitlines())


class Corpus:
    """The *cases* in *folder*, rendered with *blender*, through a farm and without; *quick*: in the fewest variants."""

    def __init__(
        self,
        cases: Sequence[Case],
        folder: Path,
        blender: Blender,
        variants: Sequence[str] = tuple(VARIANTS),
        quick: bool = False,
    ) -> None:
        version = blender.version[:2]
        self.folder, self.blender = folder, blender
        self._wanted, self._quick = variants, quick
        self.cases = [case for case in cases if case.since <= version < case.before and self.variants(case)]

    def run(self, farm: LocalFarm) -> Iterator[Verdict]:
        """Render all of them; gives the verdicts as they are known, in the order of the cases."""
        unmade = self._make()
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool, client(None, farm.folder.root) as connection:
            directs = {case.name: pool.submit(self._direct, case) for case in self.cases if self._name(case) not in unmade}
            made = [case for case in self.cases if case.name in directs]
            jobs: dict[str, list[_Submitted]] = {}
            for case in self.cases:
                if case.name not in directs:
                    yield _unmade(case, unmade[self._name(case)])
                    continue
                # The workers are kept busy, and what is known of the first ones is said soon.
                for each in made[len(jobs) : made.index(case) + _AHEAD]:
                    jobs[each.name] = [self._submit(each, variant, farm.folder) for variant in self.variants(each)]
                yield self._verdict(case, directs[case.name], jobs[case.name], connection, farm)

    def variants(self, case: Case) -> tuple[str, ...]:
        """The variants that are rendered of *case*."""
        return tuple(variant for variant in (case.quick if self._quick else case.variants) if variant in self._wanted)

    def _name(self, case: Case) -> str:
        return str(self.folder / "made" / case.name / case.file)

    def _make(self) -> dict[str, str]:
        """Make the scenes; returns those that could not be made, with the reason."""
        unmade = self._make_with(False, [case for case in self.cases if not case.ocio])
        if special := [case for case in self.cases if case.ocio]:
            unmade |= self._make_with(True, special)
        for case in self.cases:
            for name in case.remove:
                (self.folder / "made" / case.name / name).unlink(missing_ok=True)
        return unmade

    def _environment(self, ocio: bool) -> dict[str, str]:
        return clean_environment({"OCIO": str(self._ocio())} if ocio else {})

    def _ocio(self) -> Path:
        """The studio's configuration, written when it is first asked for."""
        there = self.folder / "studio" / "config.ocio"
        return there if there.exists() else configuration(there.parent)

    def _make_with(self, ocio: bool, cases: Sequence[Case]) -> dict[str, str]:
        wanted, answer = self.folder / "wanted.json", self.folder / f"answer{ocio:d}.json"
        made = [{"scene": case.scene, "values": dict(case.values), "file": self._name(case)} for case in cases]
        made += [
            {"scene": case.scene, "values": dict(case.as_if), "file": str(self.folder / "as_if" / case.name / case.file)}
            for case in cases
            if case.as_if is not None
        ]
        wanted.write_text(json.dumps(made))
        words = [*script_in(self.blender, SCENES / "make.py"), "--", str(wanted), str(answer)]
        ended = subprocess.run(words, env=self._environment(ocio), capture_output=True, stdin=subprocess.DEVNULL, check=False)
        if not answer.exists():
            raise RuntimeError(f"the scenes were not made: {ended.stdout.decode()[-2000:]}{ended.stderr.decode()[-2000:]}")
        return dict(json.loads(answer.read_text()))

    def _copy(self, case: Case, kind: str) -> tuple[Path, dict[str, tuple[int, int]]]:
        """A copy of the case's project for one render of it, and what lies in it."""
        project = self.folder / kind / case.name
        made = "as_if" if kind == "direct" and case.as_if is not None else "made"
        shutil.copytree(self.folder / made / case.name, project)
        if kind == "direct" and case.changes:
            _change(project)
        return project, _snapshot(project)

    def _direct(self, case: Case) -> dict[str, Content]:
        """Let Blender itself render the case; returns what it left, by names in the project."""
        project, before = self._copy(case, "direct")
        file = project / case.file
        if self.blender.kind == "bpy":
            words = [*script_in(self.blender, _DIRECT), json.dumps([str(file), case.trusted, case.stills])]
        else:
            what = ["-f", ",".join(map(str, case.stills))] if case.stills else ["-a"]
            words = [self.blender.path, "-b", "-y" if case.trusted else "-Y", str(file), *what]
        log = self.folder / "direct" / f"{case.name}.log"
        with log.open("wb") as output:
            subprocess.run(
                words,
                env=self._environment(case.ocio),
                cwd=project,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                timeout=_SECONDS,
                check=False,
            )
        return read(project, _new(project, before))

    def _submit(self, case: Case, variant: str, data: DataFolder) -> _Submitted:
        project, before = self._copy(case, variant)
        words = ["submit", "--json", "--data", str(data.root), str(project / case.file), *VARIANTS[variant]]
        words += [str(self._ocio()) if word == "{ocio}" else word for word in case.options]
        words += ["--name", f"{case.name}-{variant}", *(["--trusted"] if case.trusted else [])]
        if case.folder is not None and variant != "send":
            words += ["--output", str(project / case.folder)]
        return _Submitted(case, variant, project, before, words).submit()

    def _verdict(
        self, case: Case, direct: "Future[dict[str, Content]]", jobs: Iterable[_Submitted], connection: Client, farm: LocalFarm
    ) -> Verdict:
        verdict = Verdict(case, self.variants(case))
        for job in jobs:
            wrong = self._wrong_of(job, direct, connection, farm, verdict)
            if wrong:
                verdict.wrong[job.variant] = wrong
        return verdict

    def _wrong_of(
        self, job: _Submitted, direct: "Future[dict[str, Content]]", connection: Client, farm: LocalFarm, verdict: Verdict
    ) -> list[str]:
        case = job.case
        if job.code:
            if case.refused and _has(job.sentences, case.refused):
                verdict.said = job.sentences
                return []
            return [f"refused: {job.sentences}"]
        if case.refused:
            return [f"accepted, where a sentence with {case.refused!r} should refuse it"]
        said = " ".join((*job.warnings, job.sentences))
        if case.warned:
            if not _has(said, case.warned):
                return [f"accepted without a warning that has {case.warned!r}; said was {said!r}"]
            verdict.said = next((text for text in job.warnings if _has(text, case.warned)), said)
        record = _ended(connection, job.id, farm)
        if case.changes and record["status"] == "completed":
            _change(job.project)
            record = _ended(connection, job.submit_again().id, farm) if job.code == 0 else record
        if case.fails and record["status"] == "failed" and _has(record["reason"], case.fails):
            verdict.said = record["reason"]
            return []
        if case.fails:
            return [f"{record['status']}, where a reason with {case.fails!r} should fail it: {record['reason']}"]
        if record["status"] != "completed":
            return [f"{record['status']}: {record['reason']}"]
        try:
            wanted = direct.result()
        except Exception as error:
            return [f"Blender itself did not render it: {error}"]
        if not wanted:
            return ["Blender itself left no file"]
        found = self._found(job, farm)
        if case.besides:
            wanted, found = ({name: each[name] for name in each if case.besides not in name} for each in (wanted, found))
        if job.variant == "send":
            wanted = {_below(name, case.root): content for name, content in wanted.items()}
        tolerance = case.pieces_tolerance if job.variant == "pieces" else case.tolerance
        told = differences(wanted, found, tolerance)
        return [text for text in told if "of the pixels differ" not in text] if case.differs else told

    def _found(self, job: _Submitted, farm: LocalFarm) -> dict[str, Content]:
        """What the farm left of the job, by names in the project, or for a job that was sent by names in its output folder."""
        if job.variant != "send":
            changed = _snapshot(job.project / ".changed").keys()
            return read(job.project, [name for name in _new(job.project, job.before) if name not in changed])
        fetched = self.folder / "fetched" / job.case.name
        code, _, err = _brender(job.project, ["fetch", "--data", str(farm.folder.root), job.id, "--to", str(fetched)])
        if code:
            raise RuntimeError(f"{job.case.name} could not be fetched: {err}")
        return read(fetched, _new(fetched, {}))


def _unmade(case: Case, reason: str) -> Verdict:
    text = reason.strip().splitlines()[-1]
    if text.startswith("lacks "):
        return Verdict(case, (), lacks=text)
    return Verdict(case, (), wrong={"made": [f"the scene could not be made: {text}"]})


def _brender(folder: Path, words: Sequence[str]) -> tuple[int, str, str]:
    """Run ``brender`` with *words*, as if in *folder*: its exit code and what it said."""
    out, err, here = io.StringIO(), io.StringIO(), Path.cwd()
    code = 0
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            run(brender, list(words))
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        os.chdir(here)
    return code, out.getvalue(), err.getvalue()


def _ended(connection: Client, job: str, farm: LocalFarm) -> dict[str, Any]:
    """The record of *job* once it has ended, or the whole farm has done nothing for minutes."""
    last, since = (-1, -1), time.monotonic()
    while True:
        record = dict(connection.ask("job", id=job))
        if record["status"] in _ENDED:
            return record
        rows = connection.ask("jobs", status="")
        done = sum(row["completed_parts"] for row in rows), sum(row["status"] in _ENDED for row in rows)
        if done != last:
            last, since = done, time.monotonic()
        if time.monotonic() - since > _SECONDS:
            return record | {"reason": f"nothing has happened for {_SECONDS:.0f} seconds: {record['reason']}"}
        farm.check()
        time.sleep(0.25)


def _has(text: str, pattern: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE) is not None


def _snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file in *folder*, by its name there: its size and time."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            stat = path.stat()
            found[path.relative_to(folder).as_posix()] = (stat.st_size, stat.st_mtime_ns)
    return found


def _new(folder: Path, before: dict[str, tuple[int, int]]) -> list[str]:
    """The files of *folder* that were not there *before*, or were others."""
    return sorted(name for name, how in _snapshot(folder).items() if before.get(name) != how)


def _change(project: Path) -> None:
    """Replace files of *project* by those that lie in its hidden folder for it."""
    shutil.copytree(project / ".changed", project, dirs_exist_ok=True, copy_function=shutil.copyfile)


def _below(name: str, folder: str) -> str:
    return name.removeprefix(f"{folder}/") if name.startswith(f"{folder}/") else f"../{name}"


@contextlib.contextmanager
def farm_for(folder: Path, blender: Blender) -> Iterator[LocalFarm]:
    """A farm of two workers that has only *blender*."""
    plan = FarmPlan(DataFolder(folder), workers=2, any_ports=True, with_dashboard=False, blenders=(blender.path,))
    with LocalFarm(plan) as farm:
        yield farm
