"""A stand-in for Kubernetes' API server, for tests: it checks what is posted by the schemas of Kubernetes, and runs what a pod
would run as a process of this machine. It knows Jobs, their pods, and Secrets, of one namespace."""

import json
import os
import re
import subprocess
import threading
import uuid
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate

NAMESPACE = "render"
_VERSION = "1.31"
_JOBS, _SECRETS, _PODS = "/apis/batch/v1/namespaces/{}/jobs", "/api/v1/namespaces/{}/secrets", "/api/v1/namespaces/{}/pods"
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class KubernetesApi:
    """The API server at ``url``, until `end`; ``posted`` is what was posted to be made. Pods' processes get *environment*
    besides.

    ``refuses``: the status and the sentence with which it answers whatever is asked to be made.
    """

    def __init__(self, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.posted: list[dict[str, Any]] = []
        self.dry: list[dict[str, Any]] = []
        self.refuses: tuple[int, str] | None = None
        self.environment = environment or {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.secrets: dict[str, dict[str, Any]] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._folder = folder
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._lock = threading.Lock()
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def settings(self) -> Path:
        """Return the file that kubectl would have to reach it."""
        path = self._folder / "kubeconfig"
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": NAMESPACE}}],
            "clusters": [{"name": "test", "cluster": {"server": self.url}}],
            "users": [{"name": "test", "user": {"token": "secret"}}],
        }
        path.write_text(json.dumps(content))
        return path

    def end(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        for process in self.processes.values():
            process.kill()
            process.wait()

    # --- what it answers ----------------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """Return the status and what is answered."""
        with self._lock:
            jobs, secrets, pods = (each.format(NAMESPACE) for each in (_JOBS, _SECRETS, _PODS))
            match method, path:
                case "POST", _ if self.refuses is not None:
                    return _status(*self.refuses)
                case "POST", made if made in (jobs, secrets):
                    return self._make(body, "Job" if made == jobs else "Secret", query)
                case "GET", listed if listed == jobs:
                    found = [self._with_status(job) for job in self.jobs.values() if _matches(job, query)]
                    return 200, {"apiVersion": "batch/v1", "kind": "JobList", "metadata": {}, "items": found}
                case "GET", listed if listed == pods:
                    found = [self._pod(job) for job in self.jobs.values() if _matches(job, query)]
                    return 200, {"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": found}
                case "GET", log if log.startswith(pods) and log.endswith("/log"):
                    name = log.removesuffix("/log").rpartition("/")[2].removesuffix("-pod")
                    lines = (self._folder / f"{name}.log").read_text().splitlines()
                    return 200, "\n".join(lines[-int(query.get("tailLines", "1000")) :])
                case "DELETE", named if named.rpartition("/")[0] == jobs:
                    return self._delete(named.rpartition("/")[2], body or {}, query)
            return _status(403, f"{method} {path} is forbidden")

    def _make(self, body: Any, kind: str, query: dict[str, str]) -> tuple[int, Any]:
        try:
            kubernetes_validate.validate(body, _VERSION, strict=True)
        except kubernetes_validate.ValidationError as error:
            return _status(422, f"{kind} is invalid: {error.message}")
        name, where = body["metadata"]["name"], self.jobs if kind == "Job" else self.secrets
        if body["kind"] != kind or not _DNS_LABEL.fullmatch(name):
            return _status(422, f"{kind} {name} is invalid")
        if query.get("dryRun") == "All":
            self.dry.append(body)
            return 201, body
        if name in where:
            return _status(409, f"{kind} {name} already exists")
        self.posted.append(body)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        made = body | {"metadata": body["metadata"] | {"uid": str(uuid.uuid4()), "creationTimestamp": now}}
        where[name] = made
        self._run_pods()
        return 201, made

    def _delete(self, name: str, options: dict[str, Any], query: dict[str, str]) -> tuple[int, Any]:
        job = self.jobs.pop(name, None)
        if job is None:
            return _status(404, f"jobs.batch {name} not found")
        uid = job["metadata"]["uid"]
        for secret in [key for key, each in self.secrets.items() if each["metadata"]["ownerReferences"][0]["uid"] == uid]:
            del self.secrets[secret]
        if name in self.processes:
            grace = options.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
            process = self.processes[name]
            process.kill() if grace is not None and int(grace) == 0 else process.terminate()
        return 200, {"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Success"}

    # --- what Kubernetes does with it ---------------------------------------------------------------------------------

    def _run_pods(self) -> None:
        """Start the pods of which all is there."""
        for name, job in self.jobs.items():
            (container,) = job["spec"]["template"]["spec"]["containers"]
            references = {each["name"]: each["valueFrom"]["secretKeyRef"] for each in container["env"] if "valueFrom" in each}
            if name in self.processes or any(each["name"] not in self.secrets for each in references.values()):
                continue
            env = {key: self.secrets[each["name"]]["stringData"][each["key"]] for key, each in references.items()}
            env |= {each["name"]: each["value"] for each in container["env"] if "value" in each}
            with (self._folder / f"{name}.log").open("wb") as log:
                self.processes[name] = subprocess.Popen(
                    container["command"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=os.environ | {"TMPDIR": str(self._folder)} | self.environment | env,
                    start_new_session=True,
                )

    def _code(self, name: str) -> int | None:
        process = self.processes.get(name)
        return None if process is None else process.poll()

    def _with_status(self, job: dict[str, Any]) -> dict[str, Any]:
        code = self._code(job["metadata"]["name"])
        over = [] if code is None else [{"type": "Failed" if code else "Complete", "status": "True"}]
        return job | {"status": {"active": int(code is None), "conditions": over}}

    def _pod(self, job: dict[str, Any]) -> dict[str, Any]:
        name, template = job["metadata"]["name"], job["spec"]["template"]
        code = self._code(name)
        began = name in self.processes
        phase = "Pending" if not began else "Running" if code is None else "Failed" if code else "Succeeded"
        waiting = {"waiting": {"reason": "CreateContainerConfigError"}}
        states = (
            [] if began else [{"name": "worker", "image": "", "imageID": "", "ready": False, "restartCount": 0, "state": waiting}]
        )
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"{name}-pod", "labels": template["metadata"]["labels"]},
            "spec": template["spec"] | {"nodeName": "node-1"},
            "status": {"phase": phase, "containerStatuses": states},
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            def _do(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                given = self.rfile.read(length)
                parts = urlsplit(self.path)
                query = {key: values[0] for key, values in parse_qs(parts.query).items()}
                code, answer = api.answer(self.command, parts.path, query, json.loads(given) if given else None)
                content = answer if isinstance(answer, str) else json.dumps(answer)
                self.send_response(code)
                self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
                self.send_header("Content-Length", str(len(content.encode())))
                self.end_headers()
                self.wfile.write(content.encode())

            do_GET = do_POST = do_DELETE = _do

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


def _matches(job: dict[str, Any], query: dict[str, str]) -> bool:
    wanted = dict(each.split("=") for each in query.get("labelSelector", "").split(",") if each)
    return wanted.items() <= job["metadata"]["labels"].items()


def _status(code: int, message: str) -> tuple[int, Any]:
    told = {"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "message": message, "code": code}
    return code, told
