"""The process that reads pictures, in a sandbox perhaps: it is asked over its standard input, a socket, and answers there.

A request is four bytes of length and JSON, ``{"do", "names", "shown", "values"}``, and then the files' descriptors, some with
each byte that follows; an answer is one byte of its kind, four of length, and JSON or a JPEG. It has no other way out.
"""

import contextlib
import json
import os
import socket
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any

from brender.engines.exr_merge import CannotMerge
from brender.engines.pictures import BadPicture
from brender.engines.readings import MOST_AT_ONCE, READINGS

LENGTH = struct.Struct(">I")
ANSWER, ERROR, SMALL, END = b"a", b"e", b"s", b"."


def main(memory: int) -> None:
    """Answer until the socket ends. *memory*: bytes that this process may take; 0: as many as there are."""
    if sys.platform == "win32":
        raise NotImplementedError("files cannot be handed to another process here")
    import resource

    if memory:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # macOS says that there is no limit, and has one
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with socket.socket(fileno=os.dup(0)) as connection:
        while (request := _request(connection)) is not None:
            asked, descriptors = request
            try:
                with tempfile.TemporaryDirectory() as folder:
                    _answer(connection, asked, _named(Path(folder), asked["names"], descriptors))
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)


def _answer(connection: socket.socket, asked: dict[str, Any], files: list[Path]) -> None:
    try:
        for said in READINGS[asked["do"]](files, **asked["values"]):
            if isinstance(said, bytes):
                _send(connection, SMALL, said)
            else:
                _send(connection, ANSWER, json.dumps(said).encode())
    except (BadPicture, CannotMerge, MemoryError, OSError) as error:
        text = str(error) if not isinstance(error, MemoryError) else "it takes more memory to read than this worker gives that"
        for file, name in zip(files, asked["shown"], strict=True):
            text = text.replace(str(file), name)
        _send(connection, ERROR, json.dumps({"kind": type(error).__name__, "text": text}).encode())
    _send(connection, END, b"")


def _request(connection: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    head = _read(connection, LENGTH.size)
    if head is None:
        return None
    (length,) = LENGTH.unpack(head)
    body = _read(connection, length)
    if body is None:
        return None
    if sys.platform != "linux":
        raise NotImplementedError("sandboxes are made on Linux only")
    asked, descriptors = json.loads(body), list[int]()
    while len(descriptors) < len(asked["names"]):
        byte, more, _, _ = socket.recv_fds(connection, 1, MOST_AT_ONCE)
        if not byte:
            return None
        descriptors += more
    return asked, descriptors


def _read(connection: socket.socket, length: int) -> bytes | None:
    read = bytearray()
    while len(read) < length:
        piece = connection.recv(length - len(read))
        if not piece:
            return None
        read += piece
    return bytes(read)


def _send(connection: socket.socket, kind: bytes, body: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):
        connection.sendall(kind + LENGTH.pack(len(body)) + body)


def _named(folder: Path, names: list[str], descriptors: list[int]) -> list[Path]:
    """Paths that lead to the open files: what reads pictures takes paths, and tells formats by their ends."""
    files = []
    for number, (name, descriptor) in enumerate(zip(names, descriptors, strict=True)):
        file = folder / f"{number}{name}"
        file.symlink_to(f"/proc/self/fd/{descriptor}")
        files.append(file)
    return files


if __name__ == "__main__":
    main(int(sys.argv[1]))
