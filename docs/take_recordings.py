"""Takes the recordings of the terminal that docs show: `brender demo`, and `brender render` of a small scene, in pseudo-terminals
of several widths, as animated pictures (SVG).

python docs/take_recordings.py [NAME ...]
"""

import argparse
import fcntl
import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from brender.commands.farm import make_demo
from brender.engines.blenders import search_blenders

HERE = Path(__file__).parent / "recordings"
#: Each recording: its name, the columns of its terminal, and the command.
_RENDER = "render sh_020.blend --workers 2 --frames 1-8 --samples 32 --resolution 30 --output renders/v012"
RECORDINGS = (("demo-100", 100, "demo"), ("render-60", 60, _RENDER), ("render-100", 100, _RENDER))
LINES = 16
#: What the temporary folder is shown as.
PLACE = "/home/anna/shots"
#: Pictures of a recording, the seconds between two while it is taken, and for which each is shown.
PICTURES, TAKEN_SECONDS, SHOWN_SECONDS = 10, 0.5, 0.9
THEME = TerminalTheme(
    (24, 26, 31),
    (214, 218, 226),
    [
        (60, 64, 72),
        (224, 108, 117),
        (126, 200, 140),
        (229, 192, 123),
        (97, 175, 239),
        (198, 120, 221),
        (86, 194, 214),
        (214, 218, 226),
    ],
    [
        (110, 116, 128),
        (240, 130, 140),
        (150, 220, 160),
        (245, 210, 140),
        (120, 190, 250),
        (215, 140, 235),
        (110, 210, 230),
        (240, 242, 246),
    ],
)
#: rich's own picture of a terminal, without the font that it would load from elsewhere.
FORMAT = """<svg class="rich-terminal picture-{unique_id}" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>.{unique_id}-matrix {{ font-family: Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px;
line-height: {line_height}px; font-variant-east-asian: full-width; }} {styles}</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}</defs>{chrome}<g transform="translate({terminal_x}, {terminal_y})"
clip-path="url(#{unique_id}-clip-terminal)">{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g></g></svg>
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these recordings")
    names = parser.parse_args().names
    HERE.mkdir(exist_ok=True)
    for name, width, command in RECORDINGS:
        if name in (names or [name]):
            with tempfile.TemporaryDirectory() as temporary:
                make_demo(Path(temporary) / "sh_020.blend", ())
                shots = record(Path(temporary), width, command)
            (HERE / f"{name}.svg").write_text(moving(shots, width, command), "utf-8")
            print(f"{name}: {len(shots)} pictures")


def record(folder: Path, width: int, command: str) -> list[str]:
    """Return what a terminal of *width* columns shows from moment to moment while brender's *command* runs in *folder*, as text
    with its colors."""
    words = [sys.executable, "-m", "brender.commands.main", *command.split(), "--data", str(folder / "data")]
    words += ["--blender", search_blenders().found[0].path]
    mine, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, width, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.utf8", "COLORTERM": "truecolor"}
    shots: list[str] = []

    def shown() -> str:
        return screen(said.decode(errors="replace").replace(str(folder), PLACE))

    said, taken = b"", time.monotonic()
    with subprocess.Popen(words, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as render:
        os.close(theirs)
        while render.poll() is None:
            if select.select([mine], [], [], 0.1)[0]:
                try:
                    said += os.read(mine, 65536)
                except OSError:
                    break
            if time.monotonic() - taken > TAKEN_SECONDS:
                taken = time.monotonic()
                if (now := shown()) not in shots[-1:]:
                    shots.append(now)
    os.close(mine)
    shots.append(shown())
    step = max(1.0, (len(shots) - 1) / (PICTURES - 1))
    return [shots[min(len(shots) - 1, round(number * step))] for number in range(min(PICTURES, len(shots)))]


def screen(said: str) -> str:
    """Return the lines that a terminal shows that was sent *said*: as much of a terminal as our display needs."""
    lines, row = [""], 0
    for word in re.findall(r"\x1b\[\??[\d;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", said):
        if word == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif up := re.fullmatch(r"\x1b\[(\d*)A", word):
            row = max(0, row - int(up[1] or 1))
        elif word in ("\x1b[2K", "\x1b[K"):  # (the second only ever from the first column)
            lines[row] = ""
        elif word.endswith("m") or not word.startswith(("\x1b", "\r")):
            lines[row] += word
    return "\n".join(lines).rstrip()


def moving(shots: list[str], width: int, command: str) -> str:
    """Return *shots* of *command* as one picture that shows them in turn; the last one only where somebody wants no motion."""
    asked = f"$ brender {command}"
    height = max(text.count("\n") + sum(len(Text.from_ansi(line)) > width for line in text.splitlines()) for text in shots)
    height += 1 + len(asked) // width
    inner = []
    for number, text in enumerate(shots):
        console = Console(width=width, record=True, file=io.StringIO(), force_terminal=True, color_system="truecolor")
        lines = (text + "\n" * (height + 1)).split("\n")[: height + 1]
        for line in [asked, *lines]:
            console.print(Text.from_ansi(line), highlight=False)
        made = console.export_svg(title=f"{width} columns", theme=THEME, code_format=FORMAT, unique_id=f"w{width}p{number}")
        inner.append(f'<g class="shot" style="animation-delay:{number * SHOWN_SECONDS:.1f}s">{made}</g>')
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', inner[0])
    assert size is not None
    whole, share = len(shots) * SHOWN_SECONDS, 100 / len(shots)
    style = (
        f".shot {{ visibility: hidden; animation: turn {whole:.1f}s step-end infinite; }} "
        f"@keyframes turn {{ 0% {{ visibility: visible; }} {share:.2f}% {{ visibility: hidden; }} }} "
        "@media (prefers-reduced-motion: reduce) { .shot { animation: none; } .shot:last-child { visibility: visible; } }"
    )
    return (
        f'<svg viewBox="0 0 {size[1]} {size[2]}" width="{size[1]}" height="{size[2]}" xmlns="http://www.w3.org/2000/svg">'
        f"<style>{style}</style>{''.join(inner)}</svg>\n"
    )


if __name__ == "__main__":
    main()
