"""Templates of Open Job Description (jobtemplate-2023-09), compiled to jobs in steps (brender/jobs/steps.py).

The package openjd-model, the extra ``openjd``, checks a template and its parameters. What brender cannot do is refused here by
name, before anything is accepted.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import msgspec

from brender.engines.template_documents import BYTES_MOST, read_document, too_deep
from brender.jobs.declare import WHAT, Setting
from brender.jobs.steps import FILE_MARK, TEMPLATE, WORK, Axis, BroughtFile, Environment, Step, Steps, as_text, check_steps
from brender.model.errors import BadInput

#: What the names of template files end with.
SUFFIXES = (".yaml", ".yml", ".json")
_REFERENCE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_.]*)\s*\}\}")
_MAPPING = "path-mapping.json"
#: What openjd-model says where parameters are not given.
_NOT_GIVEN = "missing for required job parameters"
#: Characters of all steps of a job together, at most.
_TEXT_MOST = 10 * BYTES_MOST
#: Parameter values that are written one by one, at most.
_LISTED_MOST = 100_000
_FAMILIES = {"linux", "windows", "macos"}
_MACHINES = {"x86_64", "arm64"}
_SESSION = {
    "Session.WorkingDirectory": f"{{{WORK}}}",
    "Session.HasPathMappingRules": "false",
    "Session.PathMappingRulesFile": f"{{{FILE_MARK}{_MAPPING}}}",
}


@dataclass(frozen=True)
class Compiled:
    """The job of a template: its ``name``, the ``settings`` of its steps, the ``tags`` that a worker needs, and ``warnings``."""

    name: str
    settings: dict[str, Any]
    tags: tuple[str, ...]
    warnings: tuple[str, ...]


def compile_template(file: Path, given: Mapping[str, str], folder: Path | None = None) -> Compiled:
    """Return the job that the template *file* makes with the parameters *given*; a path among these begins in *folder* (without
    it, in the working folder) unless it is a whole one. Raises `BadInput`, which names what is wrong, or what brender cannot
    do."""
    job = _instantiated(file, given, folder or Path.cwd())
    values = {name: str(each["value"]) for name, each in (job.get("parameters") or {}).items()}
    shared = [_environment(each, values) for each in job.get("jobEnvironments") or ()]
    if len(job["steps"]) * len(msgspec.json.encode(shared)) > _TEXT_MOST:
        raise BadInput(f"{file}: its {len(job['steps']):,} steps repeat its environments, which makes the job too large")
    steps = tuple(_step(each, values, shared) for each in job["steps"])
    # Of all steps together: a worker that may do one may then do each of them.
    tags = {tag for each in job["steps"] for tag in _tags(each)}
    if len(tags & _FAMILIES) > 1 or len(tags & _MACHINES) > 1:
        raise BadInput(f"{file}: its steps have hostRequirements that no one machine meets, and brender has one set for a job")
    said = [f"{name}: {value}" for name, value in values.items()]
    settings = {"type": TEMPLATE, "label": "Open Job Description", "given": said, "source": file.name}
    text = as_text(check_steps(Steps(steps)))
    if len(text) > _TEXT_MOST:
        raise BadInput(
            f"{file}: with its parameters filled in, its steps have {len(text):,} characters; {_TEXT_MOST:,} is the most"
        )
    settings |= {"steps": text}
    return Compiled(str(job["name"]), settings, tuple(sorted(tags)), tuple(_cautions(job)))


def parameters_of(file: Path) -> tuple[Setting, ...]:
    """Return the parameters of the template *file*, as a form asks for them. Raises `BadInput` where it is no template."""
    with _in_words(file):
        return tuple(map(_setting, _decoded(file).parameterDefinitions or ()))


def _setting(parameter: Any) -> Setting:
    """Return *parameter*, as the template declares it, as a setting."""
    kind = {"INT": int, "FLOAT": float}.get(parameter.type.name, str)
    bounds = [getattr(parameter, name, None) for name in ("minValue", "maxValue")]
    lowest, highest = (None if bound is None else kind(bound) for bound in bounds)
    return Setting(
        parameter.name,
        kind,
        parameter.description or "",
        default=None if parameter.default is None else kind(parameter.default),
        required=parameter.default is None,
        choices=tuple(map(str, parameter.allowedValues or ())),
        lowest=lowest,
        highest=highest,
        label=getattr(parameter.userInterface, "label", None) or parameter.name,
        group=getattr(parameter.userInterface, "groupLabel", None) or WHAT,
    )


@contextmanager
def _in_words(file: Path) -> Iterator[None]:
    """Raise `BadInput` for what openjd-model says of the template *file*, or where that package is not there."""
    try:
        from openjd import model
    except ImportError as error:
        raise BadInput("Templates of Open Job Description need another package: pip install 'brender[openjd]'") from error
    try:
        yield
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}") from error
    except RecursionError as error:  # (parentheses of a combination)
        raise too_deep(file) from error
    except (ValueError, ArithmeticError, NotImplementedError, model.ExpressionError, model.FormatStringError) as error:
        how = ". `--param NAME=VALUE` gives one" if _NOT_GIVEN in str(error) else ""
        raise BadInput(f"{file} is not a template that brender can run: {_in_a_line(str(error))}{how}") from error


def _in_a_line(complaint: str) -> str:
    """Return what openjd-model says of a template without its count of errors, which it begins with where it finds some."""
    first, _, rest = complaint.partition("\n")
    return " ".join((rest if rest and " validation errors for " in first else complaint).split())


def _decoded(file: Path) -> Any:
    """Return the template *file* as openjd-model reads it."""
    from openjd import model
    from pydantic import ValidationError

    document = read_document(file)
    if isinstance(asked := document.get("extensions"), list) and asked:
        raise BadInput(f"{file} uses extensions that brender does not support: {', '.join(map(str, asked))}")
    try:
        return model.decode_job_template(template=document)
    except IndexError as error:
        # openjd-model 0.14 fails to say what is wrong with a template as a whole, such as steps that wait for each other.
        if not isinstance(error.__context__, ValidationError):
            raise
        said = "; ".join(str(each.get("ctx", {}).get("error") or each["msg"]) for each in error.__context__.errors())
        raise ValueError(said) from error


def _instantiated(file: Path, given: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """Return the job of the template *file* as plain data, with its parameters filled in where the specification says so."""
    with _in_words(file):
        from openjd import model

        template = _decoded(file)
        values = model.preprocess_job_parameters(
            job_template=template,
            job_parameter_values=dict(given),
            job_template_dir=file.absolute().parent,
            current_working_dir=folder,
        )
        return dict(model.model_to_object(model=model.create_job(job_template=template, job_parameter_values=values)))


def _step(step: Mapping[str, Any], values: Mapping[str, str], shared: Sequence[Environment]) -> Step:
    space = step.get("parameterSpace") or {}
    axes = _axes(space)
    script, run = step["script"], step["script"]["actions"]["onRun"]
    names = {name: f"Task.Param.{name}" for name in space.get("taskParameterDefinitions") or ()}
    text = _Text(step["name"], values, "Task.File.", script.get("embeddedFiles") or (), names)
    return Step(
        name=step["name"],
        command=(text(run["command"]), *map(text, run.get("args") or ())),
        after=tuple(each["dependsOn"] for each in step.get("dependencies") or ()),
        axes=axes,
        files=text.files(),
        environments=(*shared, *(_environment(each, values) for each in step.get("stepEnvironments") or ())),
        limit_seconds=_timeout(run),
    )


def _environment(environment: Mapping[str, Any], values: Mapping[str, str]) -> Environment:
    script = environment.get("script") or {}
    actions = script.get("actions") or {}
    text = _Text(environment["name"], values, "Env.File.", script.get("embeddedFiles") or (), {})
    words = {
        name: (text(action["command"]), *map(text, action.get("args") or ())) if (action := actions.get(name)) else ()
        for name in ("onEnter", "onExit")
    }
    return Environment(
        name=environment["name"],
        variables={name: text(value) for name, value in (environment.get("variables") or {}).items()},
        enter=words["onEnter"],
        exit=words["onExit"],
        files=text.files(),
        limit_seconds=max((_timeout(action) for action in actions.values()), default=0),
    )


class _Text:
    """Reads the format strings of one script, called *name*, as brender's placeholders. *values* are those of the job's
    parameters, *tasks* the names of the task's. Its own *files* have names with the prefix *mark*."""

    def __init__(
        self, name: str, values: Mapping[str, str], mark: str, files: Sequence[Mapping[str, Any]], tasks: Mapping[str, str]
    ) -> None:
        self._name, self._embedded = name, files
        self._known = dict(_SESSION)
        for parameter, value in values.items():
            self._known |= dict.fromkeys((f"Param.{parameter}", f"RawParam.{parameter}"), _plain(value))
        for parameter, ours in tasks.items():
            self._known |= dict.fromkeys((f"Task.Param.{parameter}", f"Task.RawParam.{parameter}"), f"{{{ours}}}")
        self._known |= {f"{mark}{each['name']}": f"{{{FILE_MARK}{each['name']}}}" for each in files}
        self._maps = False

    def __call__(self, text: str) -> str:
        """Return *text* with brender's placeholders. Raises `BadInput` for a reference to what brender does not have."""
        pieces, at = [], 0
        for found in _REFERENCE.finditer(text):
            if found[1] not in self._known:
                raise BadInput(f"{self._name}: brender has no {{{{{found[1]}}}}}")
            self._maps |= found[1] == "Session.PathMappingRulesFile"
            pieces += [_plain(text[at : found.start()]), self._known[found[1]]]
            at = found.end()
        return "".join(pieces) + _plain(text[at:])

    def files(self) -> tuple[BroughtFile, ...]:
        """Return the files that are written before the script runs; to be called last."""
        own = [
            BroughtFile(each["name"], self(each["data"]), file=each.get("filename") or "", is_program=bool(each.get("runnable")))
            for each in self._embedded
        ]
        return (*own, BroughtFile(_MAPPING, "{{}}")) if self._maps else tuple(own)


def _plain(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _axes(space: Mapping[str, Any]) -> tuple[Axis, ...]:
    """Return the parameters of a step's tasks: what is multiplied, one after the other."""
    declared = space.get("taskParameterDefinitions") or {}
    if not declared:
        return ()
    for name, each in declared.items():
        if each["type"] not in ("INT", "FLOAT", "STRING", "PATH"):
            raise BadInput(f"The task parameter {name} is of the type {each['type']}, which brender does not know")
    listed: dict[str, str | tuple[str, ...]] = {
        name: tuple(map(str, each["range"])) if isinstance(each["range"], list) else str(each["range"]).replace(":", "x")
        for name, each in declared.items()
    }
    combination = space.get("combination") or " * ".join(declared)
    return tuple(_axis(term, listed) for term in _split(combination, "*"))


def _axis(term: str, listed: Mapping[str, str | tuple[str, ...]]) -> Axis:
    if not term.startswith("("):
        return Axis({f"Task.Param.{term}": listed[term]})
    rows = [dict(row) for row in _rows(term, listed)]
    return Axis({name: tuple(row[name] for row in rows) for name in rows[0]})


def _rows(term: str, listed: Mapping[str, str | tuple[str, ...]]) -> list[dict[str, str]]:
    """Return all choices of what *term* names, in their order."""
    factors = _split(term, "*")
    if len(factors) > 1:
        chosen = [_rows(each, listed) for each in factors]
        _check_listed(term, prod(map(len, chosen)))
        return [{name: value for part in row for name, value in part.items()} for row in product(*chosen)]
    if term.startswith("("):
        together = [_rows(each, listed) for each in _split(term[1:-1], ",")]
        return [{name: value for part in row for name, value in part.items()} for row in zip(*together, strict=True)]
    axis = Axis({f"Task.Param.{term}": listed[term]})
    _check_listed(term, len(axis))
    return [{name: str(value) for name, value in axis.at(index).items()} for index in range(len(axis))]


def _check_listed(term: str, count: int) -> None:
    if count > _LISTED_MOST:
        raise BadInput(
            f"The task parameter {term} has {count:,} values; if several change together, {_LISTED_MOST:,} is the most"
        )


def _split(text: str, mark: str) -> list[str]:
    """Return the pieces of *text* between *mark*, where that is in no parenthesis."""
    pieces, depth = [""], 0
    for each in text:
        depth += (each == "(") - (each == ")")
        if each == mark and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += each
    return [piece.strip() for piece in pieces]


def _timeout(action: Mapping[str, Any]) -> int:
    return int(action.get("timeout") or 0)


def _tags(step: Mapping[str, Any]) -> list[str]:
    """Return the tags of the workers that meet the host requirements of *step*. Raises `BadInput` for others than brender has."""
    needs = step.get("hostRequirements") or {}
    tags: list[str] = []
    for need in needs.get("attributes") or ():
        name, wanted = need["name"].lower(), [*(need.get("anyOf") or ()), *(need.get("allOf") or ())]
        all_there = {"attr.worker.os.family": _FAMILIES, "attr.worker.cpu.arch": _MACHINES}.get(name)
        if all_there is not None and len(set(wanted)) == 1:
            tags.append(str(wanted[0]))
        elif all_there is None or set(wanted) != all_there:
            several = ", and a job can ask for one of these, or for none" if all_there and len(wanted) > 1 else ""
            raise BadInput(
                f"The step {step['name']!r} needs {need['name']} of {', '.join(map(str, wanted))}: brender cannot tell{several}"
            )
    for need in needs.get("amounts") or ():
        name, least, most = need["name"].lower(), float(need.get("min") or 0), need.get("max")
        if name == "amount.worker.gpu" and least <= 1 and most is None:
            tags += ["gpu"] if least else []
        elif not (name == "amount.worker.vcpu" and least <= 1 and most is None) and (least or most is not None):
            raise BadInput(f"The step {step['name']!r} needs {need['name']}, which brender cannot tell of a worker")
    return tags


def _cautions(job: Mapping[str, Any]) -> list[str]:
    """Return what the submitter should know of what is done otherwise than the template says."""
    actions = [each["script"]["actions"]["onRun"] for each in job["steps"]]
    if any((each.get("cancelation") or {}).get("mode") == "NOTIFY_THEN_TERMINATE" for each in actions):
        return ["A task that is canceled is ended at once, and not told before (NOTIFY_THEN_TERMINATE)"]
    return []
