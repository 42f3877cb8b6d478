"""Add-ons whose files the server does not have any more, as after a backup of its database was restored."""

from pathlib import Path

import msgspec
import pytest

from brender.api.place import Place
from brender.api.sending import send_addons
from brender.commands.options import client
from brender.commands.sending import shown
from brender.model.errors import BadInput
from brender.roles.server.loop import Server
from tests.test_addons import legacy
from tests.tools import command
from tests.world import animation


def test_a_job_whose_add_ons_are_lost_is_neither_accepted_nor_queued_again(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, path = server.folder.root, legacy(tmp_path / "addon")
    (addon,) = send_addons([path], Place(None, data), shown)
    capsys.readouterr()
    with client(None, data) as connection:
        connection.manage("add-addon", addon=msgspec.to_builtins(addon))
        of_site, own = animation("1"), msgspec.structs.replace(animation("1"), addons=(addon,))
        for job in (of_site, own):
            connection.submit(job)
            connection.act("cancel", job.id)
        server.folder.blob(addon.digest).unlink()
        lost = r"The files of the farm's add-on Red world .* are not on the server .*: `brender addon add PATH` gives them"
        with pytest.raises(
            BadInput, match=lost + r" again, `brender addon remove red_world` .* `--no-site-addons` leaves it out"
        ):
            connection.submit(animation("1"))
        connection.submit(msgspec.structs.replace(animation("1"), site_addons=False))
        with pytest.raises(BadInput, match=lost):
            connection.act("requeue", of_site.id)
        with pytest.raises(BadInput, match=r"Red world 1\.2 is not on the server"):
            connection.act("requeue", own.id)
        assert connection.ask("job", id=own.id)["status"] == "canceled"
        listed = command(capsys, "addon", "list", "--data", data)
        assert "Red world (without its files)" in listed.out
        assert "Warning: the files of red_world are not on the server (any more)" in listed.err
        send_addons([path], Place(None, data), shown)
        connection.act("requeue", of_site.id)
        connection.submit(animation("1"))
