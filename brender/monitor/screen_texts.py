"""What the screen of the monitor looks like, and what it says of its keys."""

CSS = """
Screen { layout: vertical; background: $background; }
#head, #foot, #said, #scrubber { height: 1; width: 100%; }
#head { text-style: bold reverse; }
#silence { height: auto; width: 100%; text-style: bold reverse; color: red; display: none; }
#said { color: $text; }
#scrubber, #filter { display: none; }
#filter { height: 1; border: none; padding: 0; }
ContentSwitcher, #farm, #bus, #tail { height: 1fr; }
#workers, #jobs, #links, #types { height: 1fr; }
#roles { height: 2fr; }
Confirm, AskNumber, Text { align: center middle; }
.dialog { width: auto; min-width: 40; max-width: 90%; height: auto; max-height: 90%; border: round; padding: 0 1; }
.dialog.large { width: 90%; }
.dialog Static { width: auto; max-width: 100%; }
.dialog.large Static { width: 100%; }
.dialog.large VerticalScroll { height: auto; max-height: 100%; }
.keys { margin-top: 1; height: 1; }
"""

HELP = """\
1 2 3        the farm, the bus, the tail of messages
Tab          the next table                Enter   open what is under the cursor
↑ ↓ PgUp PgDn Home End                      move, in the table with the mark ▸
/            filter: words, and name:word such as
             worker: state: job: manager: host: tag: (workers)
             job: status: user: project: type: (jobs)
             role: name: state: (the bus)
             role: job: worker: type: level: (the tail)
Esc          no filter any more
s S          sort by the next thing, backwards
Space        the tail stands still, or goes on
c            copy the line under the cursor

What you do is asked for first, and only what your key may is done:
p            a job: pause, or resume
P            a job: its priority
r            a job: queue again what failed or was canceled
d            a worker or manager: finish what runs, then leave
x            a worker or manager: disable, or enable again
R            a worker or manager: finish what runs, then restart

A recording: Space pauses, ← → go 5 seconds, [ ] slower and faster, 0 begins again
q            leave
"""

#: What the last line says of each view.
KEYS = {
    "farm": "? help · q quit · Tab table · / filter · s sort · p pause · P priority · r requeue · d x R workers",
    "bus": "? help · q quit · Tab table · / filter · d drain · x disable · R restart",
    "tail": "? help · q quit · / filter · Space stand still · Enter whole message · c copy",
}
