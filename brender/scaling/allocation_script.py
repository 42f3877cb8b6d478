"""The shell script that a worker runs in where it has its machine for a time only: in a Slurm allocation, in a Kubernetes pod.
Pure."""

import shlex
from collections.abc import Sequence

#: Seconds before the end at which a worker that has not left gives back what it renders.
_LAST = 20.0

_SCRIPT = """\
#!/bin/sh
# A worker of brender. Before its time here is over this script is sent SIGTERM: the worker then finishes the
# frame that it renders, and gives it back where there is no time for that.
data={data}
[ -n "$data" ] || {{ data=$(mktemp -d "${{TMPDIR:-/tmp}}/brender-XXXXXX") && made=$data; }} || exit 1
leave() {{
    kill -TERM "$worker" 2>/dev/null
    [ -n "$timer" ] || {{
        (sleep {patience}; exec kill -TERM "$worker") >/dev/null 2>&1 &
        timer=$!
    }}
}}
{command} --data "$data" &
worker=$!
trap leave TERM INT
while :; do
    wait "$worker"
    code=$?
    kill -0 "$worker" 2>/dev/null || break
done
[ -z "$timer" ] || kill "$timer" 2>/dev/null
[ -z "$made" ] || rm -rf "$made"
[ "$code" -ne 0 ] || rm -rf "$data"/workers/{name}  # (its key is of no use to another)
exit "$code"
"""


def allocation_script(name: str, command: Sequence[str], data: str, notice: float) -> str:
    """Return the script that runs the worker *name* of *command* with the data folder *data* ("": a new one, which it removes
    again), and that is sent SIGTERM *notice* seconds before it is killed."""
    words = " ".join(shlex.quote(word) for word in command)
    patience = max(1, round(notice - _LAST))
    return _SCRIPT.format(data=shlex.quote(data), name=shlex.quote(name), command=words, patience=patience)
