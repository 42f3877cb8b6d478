"""Fetches the browser libraries that the dashboard serves, from the npm registry, with their licences.

    python dashboard/fetch_vendor.py

Run by developers when a version changes; what it writes is kept in the repository, so that nobody who installs or uses
brender needs npm or a network.
"""

import argparse
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

VENDOR = Path(__file__).parent / "static" / "vendor"
#: Package, version, and which of its files are kept.
PACKAGES = (
    ("bootstrap", "5.3.9", ("dist/css/bootstrap.min.css", "dist/js/bootstrap.bundle.min.js", "LICENSE")),
    ("jquery", "4.0.0", ("dist/jquery.min.js", "LICENSE.txt")),
    ("datatables.net", "3.1.5", ("js/dataTables.min.js", "License.txt")),
    ("datatables.net-bs5", "3.1.5", ("js/dataTables.bootstrap5.min.js", "css/dataTables.bootstrap5.min.css", "License.txt")),
)


def fetch(package: str, version: str, files: tuple[str, ...]) -> None:
    """Put *files* of *package* into its folder under `VENDOR`."""
    folder = VENDOR / package
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        packed = subprocess.run(
            ["npm", "pack", "--json", f"{package}@{version}"], cwd=temporary, capture_output=True, text=True, check=True
        )
        answer = json.loads(packed.stdout)
        name = (answer[0] if isinstance(answer, list) else next(iter(answer.values())))["filename"]
        with tarfile.open(Path(temporary) / name) as archive:
            for file in files:
                member = archive.extractfile(f"package/{file}")
                assert member is not None, f"{package} {version} has no {file}"
                # Source maps are not kept, so the line that points at one would only make browsers ask for it in vain.
                lines = [line for line in member.read().splitlines(keepends=True) if b"sourceMappingURL=" not in line]
                (folder / Path(file).name).write_bytes(b"".join(lines))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for each in PACKAGES:
        fetch(*each)
        print(*each[:2])
