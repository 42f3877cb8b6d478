"""Machines that share nothing but a network, and disks that are full: files find their way, or it is said why not."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from brender.bus.address import free_ports
from brender.bus.ids import new_id
from brender.commands.joining import join_as_client
from brender.commands.options import client
from brender.model.nodes import Blender
from brender.roles.effects import PublishFrame
from brender.roles.server.files import FileKeeper
from brender.store.datafolder import DataFolder
from tests.conftest import SCENES
from tests.tools import command, invite, line_of, process, until

# --- a network between them ---------------------------------------------------------------------------------------------


@pytest.fixture
def network() -> Iterator[tuple[str, str]]:
    """A network namespace that a wire leads to: its name, and the address of this end of the wire."""
    name, near, far = f"brender-{os.getpid()}", f"b{os.getpid() % 100_000}n", f"b{os.getpid() % 100_000}f"
    subnet = f"10.213.{os.getpid() % 256}"
    if shutil.which("ip") is None or subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        pytest.skip("no network namespace can be made here: this is a right, and not something to install")
    try:
        for words in (
            f"ip link add {near} type veth peer name {far} netns {name}",
            f"ip addr add {subnet}.1/24 dev {near}",
            f"ip link set {near} up",
            f"ip -n {name} addr add {subnet}.2/24 dev {far}",
            f"ip -n {name} link set {far} up",
            f"ip -n {name} link set lo up",
        ):
            if subprocess.run(words.split(), capture_output=True, check=False).returncode:
                pytest.skip(f"no wire can be laid here: {words}")
        yield name, f"{subnet}.1"
    finally:
        subprocess.run(["ip", "link", "del", near], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


@pytest.mark.blender
def test_a_worker_with_a_network_and_mounts_of_its_own_renders_what_was_sent(
    network: tuple[str, str], bpy: Blender, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, address = network
    first, server, mine = free_ports(9), tmp_path / "server", tmp_path / "client"
    scene = tmp_path / "private" / "scenes" / "03_animated_cube.blend"
    shutil.copytree(SCENES.parent, scene.parents[1])
    there = ("ip", "netns", "exec", name)
    with contextlib.ExitStack() as roles:
        line_of(roles.enter_context(process("server", "--listen", f"{address}:{first + 4}", data=server)), "listens on")
        words = ("manager", "--name", "m", "--listen", f"{address}:{first + 6}")
        line_of(roles.enter_context(process(*words, data=tmp_path / "manager", farm=server)), "listens on")
        hidden = tmp_path / "private"
        roles.enter_context(process("worker", "--name", "w", data=tmp_path / "worker", farm=server, hidden=hidden, inside=there))
        join_as_client(DataFolder(mine), invite("client", server), "anna")
        with client(None, mine) as connection:
            until(lambda: [row["status"] for row in connection.ask("workers")] == ["idle"])
        options = ("--frames", "1", "--samples", "1", "--resolution", "5", "--wait", "--allow-missing", "--data", mine)
        said = command(capsys, "submit", scene, "--send", *options)
        assert said.code == 0, said.err
        assert "1 file fetched" in command(capsys, "fetch", scene.stem, "--to", tmp_path / "got", "--data", mine).out


# --- full disks -----------------------------------------------------------------------------------------------------------


@pytest.mark.blender
def test_a_server_whose_disk_is_full_says_so_and_takes_the_rest_once_there_is_room(
    small_disk: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server, first = small_disk / "server", free_ports(9)
    shutil.copytree(SCENES.parent, tmp_path / "project")
    scene = tmp_path / "project" / "scenes" / "01_alpha_blend.blend"
    with process("server", "--listen", f"127.0.0.1:{first + 4}", "--keep-free", "0", data=server) as serving:
        line_of(serving, "listens on")
        with scene.with_suffix(".png").open("ab") as file:
            file.write(os.urandom(12 * 2**20))
        ballast = small_disk / "ballast"
        ballast.write_bytes(bytes(15 * 2**20))
        words = ("submit", scene, "--send", "--frames", "1", "--paused", "--allow-missing", "--data", server)
        said = command(capsys, *words)
        assert said.code == 1 and "No space left on device" in said.err and "make room there" in said.err
        ballast.unlink()
        assert command(capsys, *words).code == 0


# --- names on the server's disk -------------------------------------------------------------------------------------------


def test_a_frame_does_not_follow_a_link_out_of_the_job_s_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, out, outside = DataFolder(tmp_path / "data").make(), tmp_path / "out", tmp_path / "outside"
    outside.mkdir()
    out.mkdir()
    (out / "deep").symlink_to(outside)
    attempt = new_id()
    folder.incoming.mkdir()
    (folder.incoming / f"{attempt}-1").write_bytes(b"frame")
    keeper = FileKeeper(folder, str(folder.database))
    keeper.placement.add(PublishFrame(attempt, 1, str(out), "deep/f_0001.png"))
    assert keeper.threads.close(10)
    assert not list(outside.iterdir()) and "A link stands where a folder is wanted" in caplog.text
