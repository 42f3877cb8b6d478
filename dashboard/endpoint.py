"""What an endpoint of the JSON API is: declared once, with what it takes and gives; checked and described by that declaration."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from flask import Blueprint, Response, request
from flask_login import current_user

from brender import __version__
from brender.jobs.declare import submitted_types
from brender.jobs.schema import schema_name, settings_schema
from brender.model.errors import BadInput
from brender.store import questions
from dashboard.farm import farm, user_name
from dashboard.people import need

PREFIX = "/api/v1"
Query = TypeVar("Query", bound=msgspec.Struct)
_ERROR = {"$ref": "#/components/schemas/Error"}
_MEANINGS = {
    400: "The request is not valid; `error` says why",
    401: "Nobody has signed in, and no good token was shown",
    403: "The user may not do that",
    404: "There is no such thing",
    405: "There is no such method here",
    409: "It cannot be done as things are",
    413: "That is too much at once",
    415: "The body is not JSON",
    429: "Too many requests",
    503: "The server does not answer",
}


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters."""


@dataclass(frozen=True)
class Endpoint:
    """``query`` and ``body``: what it takes, as structs; ``answer``: the type of what it answers (`dashboard.answers`);
    ``needed``: what the user must be allowed, where the dashboard answers without asking the server (brender.model.rights);
    ``cached``: the answer is the same as long as nothing was recorded."""

    method: str
    path: str
    call: Callable[..., Any]
    summary: str
    query: type[msgspec.Struct]
    body: Any
    needed: str
    cached: bool
    content: str
    answer: Any


_DECLARED: list[Endpoint] = []
#: What is described, and made by itself since it takes or gives no JSON: path, method, operation, query, answer, content.
_DESCRIBED: list[tuple[str, str, dict[str, Any], Any, Any, str]] = []


def describe(
    method: str,
    path: str,
    *,
    query: type[msgspec.Struct] = Nothing,
    answer: Any = None,
    content: str = "application/json",
    **operation: Any,
) -> None:
    """Have the description tell of an endpoint that is made by itself, since it takes or gives no JSON."""
    _DESCRIBED.append((path, method.lower(), operation, query, answer, content))


def endpoint(
    blueprint: Blueprint,
    method: str,
    path: str,
    *,
    query: type[msgspec.Struct] = Nothing,
    body: Any = None,
    needed: str = "",
    cached: bool = False,
    content: str = "application/json",
    answer: Any = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare the decorated function as the answer to *method* at *path*, with ``{names}`` in it as its arguments; it gets
    ``query`` and ``body`` as declared. Its docstring's first sentence is the summary."""

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        summary = (function.__doc__ or function.__name__).strip().split("\n\n")[0]
        made = Endpoint(method, path, function, " ".join(summary.split()), query, body, needed, cached, content, answer)
        _DECLARED.append(made)
        rule = path.replace("{", "<").replace("}", ">")

        def asked(**where: str) -> Response:
            return _answer(made, where)

        blueprint.add_url_rule(rule, f"{method.lower()}-{path}".replace(".", "-"), asked, methods=[method])
        return function

    return declare


def declared_answer(method: str, rule: str) -> Any:
    """Return the type of what *method* at the Flask *rule* answers; ``None`` if that is not JSON of the API."""
    path = rule.removeprefix(PREFIX).replace("<", "{").replace(">", "}")
    found = [each.answer for each in _DECLARED if (each.method, each.path) == (method, path) and rule.startswith(PREFIX)]
    return found[0] if found else None


def _answer(made: Endpoint, where: dict[str, str]) -> Response:
    if made.needed:
        need(made.needed)
    arguments: dict[str, Any] = dict(where)
    if made.query is not Nothing or request.args:
        arguments["query"] = query_as(made.query)
    if made.query is Nothing:
        arguments.pop("query", None)
    if made.body is not None:
        arguments["body"] = _body(made.body)
    tag = _tag() if made.cached else ""
    if tag and tag in request.if_none_match.as_set(include_weak=True):
        return _tagged(Response(status=304), tag)
    told = made.call(**arguments)
    if isinstance(told, Response):
        return told
    response = Response(msgspec.json.encode(told), mimetype="application/json")
    return _tagged(response, tag) if tag else response


def query_as(kind: type[Query]) -> Query:
    """Return what stands after the ``?`` as a *kind*. Raises `BadInput`."""
    given = {name: values[-1] for name, values in request.args.lists()}
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadInput(f"The parameters after the ? make no sense: {error}") from error


def _body(kind: Any) -> Any:
    if request.mimetype != "application/json":
        raise BadInput("The body must be JSON (Content-Type: application/json)")
    try:
        return msgspec.json.decode(request.get_data(), type=kind)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"The body makes no sense: {error}") from error


def schema_of_settings() -> dict[str, Any]:
    """Return what the description says of the settings of a job of any type."""
    of_types = [{"$ref": f"#/components/schemas/{schema_name(name)}"} for name in submitted_types()]
    other = {
        "type": "object",
        "title": "Settings of another job type",
        "description": "Those of a job type of the farm's own (`GET /job-types` lists them), or the parameters of a template.",
    }
    return {"anyOf": [*of_types, other]}


def _tag() -> str:
    with farm().reader.record() as record:
        change = questions.change(record)
    # Also of who asks: what they may do stands in some answers.
    who = hashlib.sha256(f"{user_name()}\n{current_user.role}".encode()).hexdigest()[:8]
    return f"{change}-{who}"


def _tagged(response: Response, tag: str) -> Response:
    response.set_etag(tag, weak=True)
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document (3.1) of all that was declared."""
    kinds = [kind for each in _DECLARED for kind in (each.query, each.body, each.answer)]
    kinds += [kind for (*_, query, answer, _content) in _DESCRIBED for kind in (query, answer)]
    kinds = [kind for kind in kinds if kind is not None and kind is not Nothing]
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    described = dict(zip([id(kind) for kind in kinds], schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for each in _DECLARED:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, described, components)
    for path, method, more, query, answer, content in _DESCRIBED:
        told = {"parameters": _parameters(path, query, components), "responses": _answers(answer, content, described)}
        paths.setdefault(path, {})[method] = told | more
    components |= {schema_name(kind.name): settings_schema(kind) for kind in submitted_types().values()}
    components["Error"] = {
        "type": "object",
        "properties": {"error": {"type": "string"}, "code": {"type": "string"}},
        "required": ["error", "code"],
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "brender",
            "version": __version__,
            "description": "What the pages of a brender farm do, for programs. Show a token as `Authorization: Bearer TOKEN`.",
        },
        "servers": [{"url": PREFIX}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(each: Endpoint, described: dict[int, Any], components: dict[str, Any]) -> dict[str, Any]:
    answers = _answers(each.answer, each.content, described)
    if each.cached:
        answers["304"] = {"description": "The same as the answer with that ETag"}
    parameters = _parameters(each.path, each.query, components)
    operation: dict[str, Any] = {"summary": each.summary, "parameters": parameters, "responses": answers}
    if each.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": described[id(each.body)]}}}
    return operation


def _parameters(path: str, query: type[msgspec.Struct], components: dict[str, Any]) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}} for name in _names_in(path)
    ]
    if query is not Nothing:
        schema = components[query.__name__]
        for name, field in schema["properties"].items():
            required = name in schema.get("required", [])
            parameters.append({"name": name, "in": "query", "required": required, "schema": field})
    return parameters


def _answers(answer: Any, content: str, described: dict[int, Any]) -> dict[str, Any]:
    is_text = content.startswith("text/")
    schema = described[id(answer)] if answer is not None else {"type": "string"} | ({} if is_text else {"format": "binary"})
    answers: dict[str, Any] = {"200": {"description": "Done", "content": {content: {"schema": schema}}}}
    return answers | {str(code): _problem(code) for code in _MEANINGS if code not in (405, 415)}


def _problem(code: int) -> dict[str, Any]:
    return {"description": _MEANINGS[code], "content": {"application/json": {"schema": _ERROR}}}


def _names_in(path: str) -> list[str]:
    return [piece[1:-1] for piece in path.split("/") if piece.startswith("{")]
