#!/usr/bin/env python3
"""A program for brender's hooks: it publishes the film of a completed job as a preview of its task in Kitsu.

A job names its task at the end of its own name: ``sh_010 (task 4f1c0d5e-…)``. The file that is the program's argument holds what
it needs, as JSON: ``farm`` and ``kitsu``, the two addresses (``http://farm:8888``, ``https://kitsu.studio.example/api``),
``token`` of a user of the farm, ``kitsu_token`` of a bot in Kitsu.
"""

import json
import re
import sys
import tempfile
import urllib.request
from pathlib import Path

import gazu

told = json.load(sys.stdin)
task = re.search(r"\(task ([0-9a-f-]{36})\)$", told.get("name", ""))
if task is None:
    sys.exit(0)  # a job of no task, or the hook's test
settings = json.loads(Path(sys.argv[1]).read_text("utf-8"))
film = urllib.request.Request(
    f"{settings['farm']}/api/v1/jobs/{told['job']}/movie.mp4", headers={"Authorization": f"Bearer {settings['token']}"}
)
gazu.set_host(settings["kitsu"])
gazu.set_token(settings["kitsu_token"])
with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
    with urllib.request.urlopen(film, timeout=50) as answer:
        file.write(answer.read())
    file.flush()
    status = gazu.task.get_task_status_by_short_name("wfa")  # waiting for approval
    gazu.task.publish_preview(task[1], status, comment=told["text"], preview_file_path=file.name)
