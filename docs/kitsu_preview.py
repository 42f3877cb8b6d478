"""A program for brender's hooks: it publishes the film of a completed job as a preview of its task in Kitsu.

A job names its task at the end of its own name: ``sh_010 (task 4f1c0d5e-…)``. The server's owner allows the program
(``brender-server --hook-program``), and an admin adds it:
``brender hooks add /usr/local/bin/kitsu-preview --event job-completed``.
"""

import json
import os
import re
import sys
import tempfile
import urllib.request

import gazu

told = json.load(sys.stdin)
task = re.search(r"\(task ([0-9a-f-]{36})\)$", told.get("name", ""))
if task is None:
    sys.exit(0)  # a job of no task, or the hook's test
film = urllib.request.Request(
    f"{os.environ['FARM']}/api/v1/jobs/{told['job']}/movie.mp4", headers={"Authorization": f"Bearer {os.environ['TOKEN']}"}
)
gazu.set_host(os.environ["KITSU"])  # such as https://kitsu.studio.example/api
gazu.set_token(os.environ["KITSU_TOKEN"])  # of a bot
with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
    with urllib.request.urlopen(film, timeout=300) as answer:
        file.write(answer.read())
    file.flush()
    status = gazu.task.get_task_status_by_short_name("wfa")  # waiting for approval
    gazu.task.publish_preview(task[1], status, comment=told["text"], preview_file_path=file.name)
