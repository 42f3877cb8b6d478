"""What a frame is made of beside its .blend: textures, libraries, caches, as they were when the job was submitted."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from brender.model.job import Inputs


def inputs_of(files: Iterable[Path]) -> Inputs:
    """Return what tells whether *files* have changed: name, size, inode, mtime and ctime of each, or that it is not
    there."""
    digest = hashlib.sha256()
    for file in sorted(set(files)):
        try:
            stat = file.stat()
        except OSError:
            digest.update(f"{file} is not there\n".encode(errors="surrogateescape"))
            continue
        digest.update(
            f"{file} {stat.st_size} {stat.st_mtime_ns} {stat.st_ino} {stat.st_ctime_ns}\n".encode(errors="surrogateescape")
        )
    return Inputs(digest=digest.hexdigest()[:16])
