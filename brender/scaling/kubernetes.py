"""The provider of workers that are Jobs of Kubernetes, by its official client (``pip install 'brender[kubernetes]'``)."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from brender.model.errors import BadInput

try:
    import urllib3
    import yaml
    from kubernetes import client, config
except ImportError as missing:
    raise BadInput("The provider kubernetes needs its client: pip install 'brender[kubernetes]'") from missing

from brender.model.text import harmless
from brender.scaling.allocation_script import allocation_script
from brender.scaling.fleet import Allocation
from brender.scaling.provider import FleetSettings, ProviderRefused

#: Seconds that an answer of the API server may take.
_PATIENT: dict[str, Any] = {"_request_timeout": 30.0}
#: Seconds for which Kubernetes keeps a Job that is over, where nobody removes it.
_KEPT_SECONDS = 600
_CONTAINER = "worker"
_ENTRY = "join"
#: What says of a Job that it is over.
_OVER = ("Complete", "Failed", "SuccessCriteriaMet", "FailureTarget")
_FARM, _FLEET, _WORKER = "brender/farm", "brender/fleet", "brender/worker"


class Kubernetes:
    """Workers as Jobs of Kubernetes, each with one pod that is never started again.

    They are called ``brender-FARM-WORKER``, and found by their labels. The token to join with is in a Secret that goes with its
    Job. ``--image`` is what they run, in the namespace ``--namespace``; ``--pod-template`` names a file (YAML) with what else
    their pods are to have.
    """

    def __init__(self, settings: FleetSettings) -> None:
        self._settings = settings
        self._namespace = settings.own_option("namespace") or "default"
        self._image = settings.own_option("image") or ""
        if not self._image:
            raise BadInput("--provider kubernetes needs --image: what the workers run, such as registry.example/brender:3")
        template = settings.own_option("pod-template")
        self._template = read_template(Path(template)) if template else {}
        settings_of = client.Configuration()
        # (The client reads the environment when it is imported, and no later.)
        file = Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
        try:
            if file.exists():
                context = settings.own_option("context")
                config.load_kube_config(config_file=str(file), context=context, client_configuration=settings_of)
            else:
                config.load_incluster_config(client_configuration=settings_of)
        except (config.ConfigException, OSError, yaml.YAMLError) as error:
            raise BadInput(
                f"No Kubernetes is configured here ({error}): there is no {file}, as kubectl has it, and this is not a pod"
                if not file.exists()
                else f"{file} does not say how Kubernetes is reached: {error}"
            ) from error
        settings_of.retries = False  # (the next look is soon)
        self._where = settings_of.host
        api = client.ApiClient(settings_of)
        self._jobs = client.BatchV1Api(api)
        self._core = client.CoreV1Api(api)

    def check(self) -> None:
        """Have the API server look at a Job as they would be, without making it (``dryRun``)."""
        body = self._job(f"{self._settings.name}-check")
        self._ask("start a worker", lambda: self._jobs.create_namespaced_job(self._namespace, body, dry_run="All", **_PATIENT))

    def start(self, name: str, join: str) -> None:
        """Make the Job, and the Secret that its pod waits for."""
        made = self._ask("start a worker", lambda: self._jobs.create_namespaced_job(self._namespace, self._job(name), **_PATIENT))
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": made.metadata.name, "uid": made.metadata.uid}
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": self._called(name), "labels": self._labels(name), "ownerReferences": [owner]},
            "type": "Opaque",
            "stringData": {_ENTRY: join},
        }
        try:
            self._ask("keep a token", lambda: self._core.create_namespaced_secret(self._namespace, secret, **_PATIENT))
        except ProviderRefused:
            self._delete(name, None)
            raise

    def allocations(self) -> list[Allocation]:
        """Return this fleet's Jobs that are not over."""
        labels = f"{_FARM}={self._settings.farm},{_FLEET}={self._settings.name}"
        jobs = self._ask(
            "list its jobs", lambda: self._jobs.list_namespaced_job(self._namespace, label_selector=labels, **_PATIENT)
        )
        pods = self._ask(
            "list its pods", lambda: self._core.list_namespaced_pod(self._namespace, label_selector=labels, **_PATIENT)
        )
        by_worker = {pod.metadata.labels[_WORKER]: pod for pod in pods.items if _WORKER in (pod.metadata.labels or {})}
        found = []
        for job in jobs.items:
            name = (job.metadata.labels or {}).get(_WORKER)
            if name and job.metadata.deletion_timestamp is None and not _is_over(job):
                running, about = _stands(by_worker.get(name))
                found.append(Allocation(name, running, about))
        return found

    def withdraw(self, name: str, at_once: bool) -> None:
        """Delete the Job: its pod is asked to leave, or killed."""
        self._delete(name, 0 if at_once else None)

    def tidy(self, name: str) -> None:
        """Delete the Job where it is there still, and with it its pod and its Secret."""
        self._delete(name, None)

    def trace(self, name: str) -> str:
        """Return the last line of the pod's log."""
        labels = f"{_FARM}={self._settings.farm},{_WORKER}={name}"
        try:
            pods = self._core.list_namespaced_pod(self._namespace, label_selector=labels, **_PATIENT).items
            if not pods:
                return ""
            pod = pods[0].metadata.name
            said = self._core.read_namespaced_pod_log(pod, self._namespace, container=_CONTAINER, tail_lines=1, **_PATIENT)
        except (client.ApiException, urllib3.exceptions.HTTPError):
            return ""
        return harmless(str(said).strip().removeprefix("Error: "))

    # --- inside -------------------------------------------------------------------------------------------------------

    def _called(self, name: str) -> str:
        return f"brender-{self._settings.farm}-{name}"

    def _labels(self, name: str) -> dict[str, str]:
        return {
            "app.kubernetes.io/name": "brender-worker",
            "app.kubernetes.io/managed-by": "brender-scale",
            _FARM: self._settings.farm,
            _FLEET: self._settings.name,
            _WORKER: name,
        }

    def _job(self, name: str) -> dict[str, Any]:
        return job_manifest(self._settings, self._called(name), name, self._labels(name), self._image, self._template)

    def _delete(self, name: str, grace: int | None) -> None:
        more = {} if grace is None else {"grace_period_seconds": grace}

        def delete() -> None:
            try:
                self._jobs.delete_namespaced_job(
                    self._called(name), self._namespace, propagation_policy="Background", **more, **_PATIENT
                )
            except client.ApiException as error:
                if error.status != 404:
                    raise

        self._ask(f"end {name}", delete)

    def _ask(self, what: str, call: Callable[[], Any]) -> Any:
        """Return the answer of *call*. Raises `ProviderRefused`."""
        try:
            return call()
        except client.ApiException as error:
            raise ProviderRefused(f"Kubernetes did not {what}: {_reason(error)}") from error
        except ValueError as error:  # (the client has looked at it itself)
            said = " ".join(str(error).splitlines()[1:3]) or str(error)
            raise ProviderRefused(f"Kubernetes' client did not {what}: {harmless(' '.join(said.split()))}") from error
        except urllib3.exceptions.HTTPError as error:
            raise ProviderRefused(f"Kubernetes did not {what}: its API server at {self._where} does not answer") from error


def job_manifest(
    settings: FleetSettings, called: str, name: str, labels: Mapping[str, str], image: str, template: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the Job of the worker *name*, made of *image* and of *template*, a pod's template: what brender needs counts before
    what that says."""
    command = [*(settings.command or ("brender-worker",)), *settings.worker_words(name, None)]
    script = allocation_script(name, command, settings.data, settings.notice)
    metadata, spec = dict(template.get("metadata") or {}), dict(template.get("spec") or {})
    containers = [dict(each) for each in spec.get("containers") or ()]
    ours = next((each for each in containers if each.get("name") == _CONTAINER), None)
    if ours is None:
        containers.insert(0, ours := {"name": _CONTAINER, "securityContext": {"allowPrivilegeEscalation": False}})
    token = {"name": "BRENDER_JOIN", "valueFrom": {"secretKeyRef": {"name": called, "key": _ENTRY}}}
    ours |= {"image": image, "command": ["sh", "-c", script], "env": [*(ours.get("env") or ()), token]}
    ours.pop("args", None)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": called, "labels": dict(labels)},
        "spec": {
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": _KEPT_SECONDS,
            "template": {
                "metadata": metadata | {"labels": {**(metadata.get("labels") or {}), **labels}},
                "spec": {"automountServiceAccountToken": False}
                | spec
                | {
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": round(settings.notice),
                    "containers": containers,
                },
            },
        },
    }


def read_template(path: Path) -> dict[str, Any]:
    """Return the pod template in the file *path*. Raises `BadInput`."""
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadInput(f"--pod-template: {path} cannot be read: {error}") from error
    if not isinstance(content, dict) or not content.keys() <= {"apiVersion", "kind", "metadata", "spec"}:
        raise BadInput(f"--pod-template: {path} is not a pod's template: it has metadata and spec, as a Pod has")
    for part in ("metadata", "spec"):
        if not isinstance(content.get(part) or {}, dict):
            raise BadInput(f"--pod-template: {path}: {part} is not a table")
    return content


def _is_over(job: Any) -> bool:
    conditions = (job.status.conditions if job.status is not None else None) or ()
    return any(each.type in _OVER and each.status == "True" for each in conditions)


def _stands(pod: Any) -> tuple[bool, str]:
    """Return whether *pod* (``None`` if it does not exist yet) has begun, and where it runs or why it waits."""
    if pod is None or pod.status is None:
        return False, "it has no pod yet"
    where = pod.spec.node_name or "" if pod.spec is not None else ""
    if pod.status.phase == "Running":
        return True, f"pod {pod.metadata.name} on {where}"
    for each in pod.status.container_statuses or ():
        if each.state is not None and each.state.waiting is not None and each.state.waiting.reason:
            return False, f"pod {pod.metadata.name}: {harmless(each.state.waiting.reason)}"
    for condition in pod.status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            return False, harmless(condition.message or condition.reason or "it has no place")
    return False, f"pod {pod.metadata.name}: {pod.status.phase}"


def _reason(error: Any) -> str:
    """Return why the API server refused, by the Status that it answers with."""
    try:
        told = str(json.loads(error.body)["message"])
    except (ValueError, TypeError, KeyError):
        told = str(error.reason)
    return harmless(f"{told} ({error.status})")
