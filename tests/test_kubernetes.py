"""Workers as Jobs of Kubernetes: what is posted, to a stand-in for its API server that checks it and runs it here."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.options import client
from brender.model.errors import BadInput
from brender.scaling.provider import FleetSettings, Provider, ProviderRefused, provider_class
from brender.store.datafolder import DataFolder
from tests.conftest import missing
from tests.kubernetes_api import NAMESPACE, KubernetesApi
from tests.tools import command, ended, submit_command, until

#: To import the client takes as long as many tests.
pytestmark = pytest.mark.thorough


@pytest.fixture(autouse=True)
def _needs_the_client() -> None:
    if importlib.util.find_spec("kubernetes") is None:
        missing("the client of Kubernetes (pip install -e '.[kubernetes]')")


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesApi]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    made = KubernetesApi(folder)
    monkeypatch.setenv("KUBECONFIG", str(made.settings()))
    yield made
    made.end()


@pytest.fixture
def provider(api: KubernetesApi, tmp_path: Path) -> Callable[..., Provider]:
    """A provider of the fleet ``k`` whose workers only sleep, with further settings."""

    def make(command: tuple[str, ...] = ("sh", "-c", "sleep 60"), **own: str) -> Provider:
        options = {"image": "registry.example/brender:3", "namespace": NAMESPACE, **own}
        given = {name.replace("_", "-"): [value] for name, value in options.items()}
        return provider_class("kubernetes")(FleetSettings("0123abcd", "k", tmp_path, command, own=given))

    return make


def test_a_worker_is_a_job_that_is_never_started_again(api: KubernetesApi, provider: Callable[..., Provider]) -> None:
    made = provider()
    made.start("k-abc234", "the token")
    job, secret = api.posted
    assert job["metadata"]["name"] == secret["metadata"]["name"] == "brender-0123abcd-k-abc234"
    spec = job["spec"]["template"]["spec"]
    assert (job["spec"]["backoffLimit"], spec["restartPolicy"], spec["terminationGracePeriodSeconds"]) == (0, "Never", 120)
    assert spec["automountServiceAccountToken"] is False
    assert "the token" not in str(job), "only the Secret has it"
    assert secret["stringData"] == {"join": "the token"}
    (owner,) = secret["metadata"]["ownerReferences"]
    assert owner["uid"] == api.jobs[job["metadata"]["name"]]["metadata"]["uid"], "the Secret goes with its Job"
    (found,) = made.allocations()
    assert (found.name, found.running) == ("k-abc234", True)
    assert provider().allocations() == [found], "another process of brender scale finds it"
    with pytest.raises(ProviderRefused, match="Kubernetes did not start a worker: Job brender-0123abcd-k-abc234 already exists"):
        made.start("k-abc234", "the token")
    made.withdraw("k-abc234", at_once=True)
    assert not made.allocations() and not api.secrets
    made.withdraw("k-abc234", at_once=True)  # (it may have gone already)


def test_those_of_another_farm_or_fleet_are_left_alone(
    api: KubernetesApi, provider: Callable[..., Provider], tmp_path: Path
) -> None:
    provider().start("k-abc234", "the token")
    own = {"image": ["i"], "namespace": [NAMESPACE]}
    for farm, fleet in (("0123abce", "k"), ("0123abcd", "j")):
        assert not provider_class("kubernetes")(FleetSettings(farm, fleet, tmp_path, own=own)).allocations()


def test_a_job_that_is_over_is_not_there_any_more(api: KubernetesApi, provider: Callable[..., Provider]) -> None:
    made = provider(("sh", "-c", "echo 'Error: no such farm'; exit 3"))
    made.start("k-abc234", "the token")
    until(lambda: not made.allocations())
    assert made.trace("k-abc234") == "no such farm"


def test_the_pods_are_what_the_template_says_and_what_brender_needs(
    api: KubernetesApi, provider: Callable[..., Provider], tmp_path: Path
) -> None:
    template = tmp_path / "pod.yaml"
    template.write_text(
        """
metadata: {labels: {team: fx}}
spec:
  nodeSelector: {disk: fast}
  restartPolicy: Always
  containers:
  - name: worker
    resources: {limits: {nvidia.com/gpu: "1"}}
    env: [{name: TZ, value: UTC}]
    volumeMounts: [{name: cache, mountPath: /cache}]
  volumes: [{name: cache, emptyDir: {}}]
"""
    )
    made = provider(pod_template=str(template))
    made.check()
    assert api.dry and not api.posted, "a check makes nothing"
    made.start("k-abc234", "the token")
    pod = api.posted[0]["spec"]["template"]
    assert pod["metadata"]["labels"]["team"] == "fx" and pod["metadata"]["labels"]["brender/worker"] == "k-abc234"
    assert (pod["spec"]["nodeSelector"], pod["spec"]["restartPolicy"]) == ({"disk": "fast"}, "Never")
    (container,) = pod["spec"]["containers"]
    assert [each["name"] for each in container["env"]] == ["TZ", "BRENDER_JOIN"]
    assert container["resources"] == {"limits": {"nvidia.com/gpu": "1"}}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[1, 2]", "is not a pod's template"),
        ("containers: []", "is not a pod's template"),
        ("spec: 3", "spec is not a table"),
        ("a: [", "cannot be read"),
    ],
)
def test_a_template_that_is_none_is_refused(
    content: str, sentence: str, api: KubernetesApi, provider: Callable[..., Provider], tmp_path: Path
) -> None:
    (tmp_path / "pod.yaml").write_text(content)
    with pytest.raises(BadInput, match=sentence):
        provider(pod_template=str(tmp_path / "pod.yaml"))


def test_what_kubernetes_refuses_is_said_in_its_words(
    api: KubernetesApi, provider: Callable[..., Provider], tmp_path: Path
) -> None:
    made = provider()
    api.refuses = (403, 'jobs.batch is forbidden: User "anna" cannot create resource "jobs"')
    with pytest.raises(ProviderRefused, match=r"Kubernetes did not start a worker: jobs.batch is forbidden: .*\(403\)"):
        made.check()
    template = tmp_path / "pod.yaml"
    template.write_text("spec: {nodeSelecter: {disk: fast}}")
    api.refuses = None
    with pytest.raises(ProviderRefused, match="nodeSelecter"):
        provider(pod_template=str(template)).check()


def test_without_an_image_or_a_cluster_it_says_what_is_missing(
    api: KubernetesApi, provider: Callable[..., Provider], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="needs --image"):
        provider(image="")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nothing"))
    with pytest.raises(BadInput, match="No Kubernetes is configured here"):
        provider()


def test_jobs_are_rendered_by_workers_that_kubernetes_runs(
    api: KubernetesApi, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = DataFolder(tmp_path / "data")
    worker = f"{sys.executable} -P -m brender.commands.main role worker"
    given = ("--provider", "kubernetes", "--image", "i", "--namespace", NAMESPACE, "--worker-command", worker)

    def scale(*words: str) -> Any:
        return command(capsys, "scale", "--once", "--data", folder.root, *given, "--worker-option=--allow-program=*", *words)

    with (
        LocalFarm(FarmPlan(folder=folder, workers=0, any_ports=True, with_dashboard=False)),
        client(None, folder.root) as connection,
    ):
        job = submit_command(connection, "true", frames="1-5")
        assert scale("--most", "1").out.endswith("1 worker is to be started\n")
        assert "1 worker is to be started" not in scale("--most", "1").out
        assert ended(connection, job)["status"] == "completed"

        def is_clear() -> bool:
            assert scale("--most", "0").code == 0
            return not connection.ask("workers") and not api.jobs

        until(is_clear)
