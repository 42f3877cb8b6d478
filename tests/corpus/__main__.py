"""``python -m tests.corpus``: render the corpus by Blender itself and through a farm, and say what differs."""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from brender.engines.blenders import ask, own_bpy
from brender.model.errors import BadInput
from tests.corpus.cases import CASES
from tests.corpus.declaring import VARIANTS, Case
from tests.corpus.running import Corpus, Verdict, farm_for


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    parser.add_argument("--blender", help="A blender executable, or a Python that has bpy. [default: this one's bpy]")
    parser.add_argument("--only", default="", metavar="NAME,...", help="Only these cases; a * stands for anything.")
    parser.add_argument("--quick", action="store_true", help="Only the telling ones.")
    parser.add_argument("--slow", action="store_true", help="Those too that take minutes.")
    parser.add_argument("--variants", default=",".join(VARIANTS), metavar="NAME,...", help=f"Of {', '.join(VARIANTS)}.")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="Keep all files in this new folder.")
    parser.add_argument("--list", action="store_true", help="Only list the cases.")
    given = parser.parse_args()
    variants = tuple(filter(None, given.variants.split(",")))
    if unknown := set(variants) - VARIANTS.keys():
        parser.error(f"there is no variant {sorted(unknown)[0]!r}: choose of {', '.join(VARIANTS)}")
    cases = chosen(given.only, given.quick, given.slow)
    if not cases:
        parser.error(f"there is no case {given.only!r}: --list lists them")
    if given.list:
        print("\n".join(case.name for case in cases))
        return
    try:
        blender = ask(given.blender) if given.blender else own_bpy()
    except BadInput as error:
        parser.error(str(error))
    if blender is None:
        parser.error("this Python has no bpy: name a Blender with --blender")
    began, verdicts = time.monotonic(), []
    for name in [name for name in os.environ if name.startswith("BRENDER_")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="corpus-") as temporary:
        folder = given.keep.absolute() if given.keep else Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["XDG_CONFIG_HOME"] = str(folder / "config")
        corpus = Corpus(cases, folder, blender, variants, given.quick)
        with farm_for(folder / "farm", blender) as farm:
            for verdict in corpus.run(farm):
                print(verdict.line(), flush=True)
                verdicts.append(verdict)
    print(json.dumps(summary(verdicts) | {"blender": blender.label, "seconds": round(time.monotonic() - began, 1)}))
    sys.exit(1 if any(verdict.wrong for verdict in verdicts) else 0)


def chosen(only: str = "", quick: bool = False, slow: bool = False) -> list[Case]:
    """The cases that are called like one of *only* (with a comma between), or else all that are not slow."""
    patterns = [name for name in only.split(",") if name]
    if patterns:
        return [case for case in CASES if any(Path(case.name).match(pattern) for pattern in patterns)]
    return [case for case in CASES if (case.quick or not quick) and (slow or not case.slow)]


def summary(verdicts: Sequence[Verdict]) -> dict[str, object]:
    """How many cases came to what, and the names of those that are wrong."""
    words = [verdict.word for verdict in verdicts]
    return {
        "cases": len(verdicts),
        "equal": words.count("equal"),
        "said_otherwise": words.count("said otherwise"),
        "left_out": words.count("left out"),
        "wrong": words.count("wrong"),
        "names": [verdict.case.name for verdict in verdicts if verdict.wrong],
    }


if __name__ == "__main__":
    main()
