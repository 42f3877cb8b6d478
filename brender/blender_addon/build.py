"""Packing the Blender add-on: one zip that Blender 4.2 and later install as an extension, and earlier ones as an add-on."""

import io
import json
import re
import zipfile
from importlib.resources import files

from brender import __version__

NAME = "brender_farm"
ZIP_NAME = "brender-blender-addon.zip"
#: What a farm writes into the add-on that it hands out.
ORIGIN = "origin.json"
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_MANIFEST = """\
schema_version = "1.0.0"
id = "{name}"
version = "{version}"
name = "brender"
tagline = "Submit to a brender render farm and load its frames"
maintainer = "brender"
type = "add-on"
tags = ["Render"]
blender_version_min = "4.2.0"
license = ["SPDX:GPL-3.0-or-later"]

[permissions]
network = "Asks and sends to your render farm"
files = "Sends the files of a scene, keeps frames"
"""
#: Zips of the same source are the same.
_TIME = (1980, 1, 1, 0, 0, 0)


def addon_zip(address: str = "") -> bytes:
    """Return the add-on as a zip. *address*: that of the farm's dashboard, which it is set to when it is installed."""
    version = _VERSION.match(__version__)
    assert version is not None
    number = version.group()
    source = {each.name: each.read_bytes() for each in files(__package__).joinpath(NAME).iterdir() if each.name.endswith(".py")}
    made = {
        "blender_manifest.toml": _MANIFEST.format(name=NAME, version=number).encode(),
        ORIGIN: json.dumps({"address": address, "version": number}).encode(),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted((source | made).items()):
            archive.writestr(zipfile.ZipInfo(f"{NAME}/{name}", _TIME), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()
