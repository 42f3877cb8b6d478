"""What is given for containers: manifests that Kubernetes understands, and commands that brender does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml

from brender.commands.main import brender

DEPLOY = Path(__file__).resolve().parents[1] / "docs" / "deploy"
_COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
_MANIFESTS = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


def _pods() -> Iterator[dict[str, Any]]:
    yield from (each["spec"]["template"]["spec"] for each in _MANIFESTS if each["kind"] == "Deployment")


def _commands() -> Iterator[tuple[str, list[str]]]:
    for name, service in _COMPOSE["services"].items():
        yield f"compose {name}", service["command"]
    for pod in _pods():
        for container in pod["containers"]:
            yield f"kubernetes {container['name']}", container["args"]


@pytest.mark.parametrize(("where", "words"), list(_commands()))
def test_each_container_starts_with_words_that_its_role_knows(where: str, words: list[str]) -> None:
    command: click.Command | None = brender
    context = click.Context(brender)
    rest = list(words)
    while isinstance(command, click.Group):
        command = command.get_command(context, rest.pop(0))
    assert command is not None, where
    with command.make_context(command.name, rest):
        pass


@pytest.mark.parametrize("manifest", _MANIFESTS, ids=lambda each: f"{each['kind']} {each['metadata']['name']}")
def test_kubernetes_understands_every_manifest(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, "1.31", strict=True)


def test_what_manifests_name_is_there() -> None:
    named = {(each["kind"], each["metadata"]["name"]) for each in _MANIFESTS}
    for pod in _pods():
        for volume in pod.get("volumes", []):
            assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in named


def test_probes_ask_where_their_role_shows_its_metrics() -> None:
    for pod in _pods():
        for container in pod["containers"]:
            port = int(container["args"][container["args"].index("--metrics") + 1].partition(":")[2])
            asked = {name: container[name]["httpGet"] for name in ("readinessProbe", "livenessProbe")}
            assert asked["readinessProbe"] == {"path": "/readyz", "port": port}, container["name"]
            assert asked["livenessProbe"] == {"path": "/healthz", "port": port}, container["name"]


def test_the_image_is_made_of_files_that_are_there() -> None:
    copied = [line.split()[1:-1] for line in (DEPLOY / "Containerfile").read_text().splitlines() if line.startswith("COPY ")]
    assert copied and all((DEPLOY.parents[1] / name).exists() for names in copied for name in names)
