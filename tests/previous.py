"""The brender before this one: what is in its wheel, kept in tests/previous, whose roles the tests run beside those of this one.

``python -m tests.previous COMMIT`` renews it, from a commit of this repository: that of the last release, or one before a change
of what roles say to each other. The dashboard is left out, and it is packed as one, which keeps it small.
"""

import argparse
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

KEPT = Path(__file__).parent / "previous"
_JOB_TYPES = tuple(
    f"{name} = brender.jobs.{name.replace('-', '_')}:JOB_TYPE" for name in ("blender-animation", "blender-still", "command")
)


def unpack_previous(folder: Path) -> Path:
    """Lay the kept wheel out in *folder*; return that, for PYTHONPATH."""
    (kept,) = KEPT.glob("*.tar.xz")
    with tarfile.open(kept) as packed:
        packed.extractall(folder, filter="data")
    # What it has installed: it looks up its job types there, and would find those of this one.
    installed = folder / f"brender-{version_of_previous()}.dist-info"
    installed.mkdir(exist_ok=True)
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: brender\nVersion: {version_of_previous()}\n")
    (installed / "entry_points.txt").write_text("[brender.job_types]\n" + "\n".join(_JOB_TYPES) + "\n")
    return folder


def version_of_previous() -> str:
    """Return its version."""
    (kept,) = KEPT.glob("*.tar.xz")
    return kept.name.removeprefix("brender-").removesuffix(".tar.xz")


def renew(commit: str) -> Path:
    """Build the wheel of *commit*, and keep it instead of the one that is there; return it."""
    root = Path(__file__).parent.parent
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "source"
        source.mkdir()
        archive = subprocess.run(["git", "archive", commit], cwd=root, check=True, capture_output=True).stdout
        subprocess.run(["tar", "x", "-C", source], input=archive, check=True)
        subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", scratch, source], check=True)
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as whole:
            whole.extractall(Path(scratch) / "wheel")
        KEPT.mkdir(exist_ok=True)
        for old in KEPT.glob("*.tar.xz"):
            old.unlink()
        target = KEPT / f"brender-{wheel.name.split('-')[1]}.tar.xz"
        with tarfile.open(target, "w:xz") as kept:
            kept.add(Path(scratch) / "wheel" / "brender", "brender")
    return target


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", metavar="COMMIT", help="a commit, tag or branch of this repository")
    given = parser.parse_args().commit
    known = subprocess.run(["git", "rev-parse", "--verify", "--quiet", f"{given}^{{commit}}"], capture_output=True, text=True)
    if known.returncode:
        parser.error(f"this repository has no commit {given}; git log --oneline lists them")
    print(renew(known.stdout.strip()))
