"""What a render process is kept in: a sandbox without network and with the job's folders only, and a limit of memory.

The sandbox is bubblewrap's (``bwrap``, https://github.com/containers/bubblewrap), on Linux. Everything of the machine is there
to be read, but for homes, temporary folders, the farm's data folder and its keys; only what the attempt writes can be written.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from brender.model.errors import BadInput

Sandbox = Literal["auto", "bubblewrap", "none"]
#: What renders on a GPU needs of /dev.
_GPU_DEVICES = ("/dev/dri", "/dev/kfd", "/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-modeset")


@dataclass(frozen=True)
class Confinement:
    """How the processes of attempts are kept. ``sandbox``: in bubblewrap's. ``memory``: bytes that an attempt's processes may
    hold together, 0 for any. ``readable``: files and folders that the sandbox has beside the job's, ``hidden``: those that it has
    not."""

    sandbox: bool = False
    memory: int = 0
    readable: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()

    def wrap(self, command: Sequence[str], writable: Iterable[Path], readable: Iterable[Path], folder: Path) -> list[str]:
        """*command*, as it is started in the sandbox, where *folder* is its working folder."""
        words = ["bwrap", "--die-with-parent", "--new-session", "--unshare-all", "--ro-bind", "/", "/", "--dev", "/dev"]
        words += ["--proc", "/proc"]
        for device in _GPU_DEVICES:
            words += ["--dev-bind-try", device, device]
        for path in _hidden(self.hidden):
            words += ["--tmpfs", str(path)]
        # What is written lies beneath what is read, perhaps, so it comes after.
        for path in [*_programs(), *self.readable, *readable]:
            words += ["--ro-bind-try", str(path), str(path)]
        for path in writable:
            words += ["--bind", str(path), str(path)]
        return [*words, "--chdir", str(folder), "--", *command]


def confinement(sandbox: Sandbox, memory: int, readable: Sequence[Path], hidden: Path) -> Confinement:
    """What the options of a worker mean: *memory* in bytes; *hidden*, the farm's data folder. Raises `BadInput` where this
    machine cannot do it."""
    able = sys.platform == "linux" and shutil.which("bwrap") is not None
    if sandbox == "bubblewrap" and not able:
        raise BadInput("--sandbox bubblewrap needs Linux and the program bwrap (on Debian: apt-get install bubblewrap)")
    return Confinement(sandbox == "bubblewrap" or (sandbox == "auto" and able), memory, tuple(readable), (hidden,))


def _hidden(more: Iterable[Path]) -> list[Path]:
    """Folders that the sandbox has empty: homes, and what other programs leave in passing."""
    candidates = [Path("/home"), Path("/root"), Path.home(), Path("/run/user"), Path("/var/tmp"), Path(tempfile.gettempdir())]
    return [path for path in dict.fromkeys([*candidates, *(path.resolve() for path in more)]) if path.is_dir()]


def _programs() -> list[Path]:
    """What Python and brender themselves need, wherever they are installed."""
    here = Path(__file__).resolve().parents[1]
    return list(dict.fromkeys([Path(sys.prefix), Path(sys.base_prefix), Path(sys.exec_prefix), here]))
