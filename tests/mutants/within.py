"""Runs mutmut in a copy of the checkout that `tests.mutants` laid out, with two of its ways to change code made our own."""

import contextlib
import json
import random
import sys
from collections.abc import Iterable
from pathlib import Path

import libcst
from mutmut import __main__ as mutmut
from mutmut.mutation import mutators
from mutmut.stats import status_by_exit_code
from mutmut.workers.isolation import ForkRunner, MutantResult

_wait_for_any = ForkRunner.wait_for_result


def drop_call(node: libcst.Expr) -> Iterable[libcst.Expr]:
    """Forget a call that is made for what it does: a transition that does not touch its entity, an untold scheduler."""
    if isinstance(node.value, libcst.Call):
        yield node.with_changes(value=libcst.Name("None"))


def change_word(node: libcst.BaseString) -> Iterable[libcst.BaseString]:
    """Change a string unless it is a sentence: tests do not repeat every word that people read."""
    if isinstance(node, libcst.SimpleString) and " " not in node.value:
        yield from mutators.operator_string(node)


def operators() -> list[tuple[type[libcst.CSTNode], object]]:
    ours = [(kind, change_word if change is mutators.operator_string else change) for kind, change in mutators.mutation_operators]
    return [*ours, (libcst.Expr, drop_call)]


def wait_for_mutant(runner: ForkRunner, timeout: float | None = None) -> MutantResult:
    """Return the next mutant's result. A test may have made this process the one that what tests left behind comes to: what
    ends of that is nobody's result."""
    while True:
        with contextlib.suppress(KeyError):
            return _wait_for_any(runner, timeout)


def main(most: int, seed: int, processes: int) -> None:
    """Try *most* of all mutants (0: all of them), chosen by *seed*, and write what became of each into results.json."""
    mutators.mutation_operators[:] = operators()  # type: ignore[arg-type]
    ForkRunner.wait_for_result = wait_for_mutant  # type: ignore[method-assign]
    Path("mutants").mkdir()
    mutmut.copy_src_dir()
    mutmut.copy_also_copy_files()
    mutmut.setup_source_paths()
    mutmut.create_mutants(processes)
    names = sorted(name for _, name, _ in mutmut.collect_source_file_mutation_data(mutant_names=())[0])
    if 0 < most < len(names):
        names = random.Random(seed).sample(names, most)
    mutmut._run(names, processes)
    tried = mutmut.collect_source_file_mutation_data(mutant_names=names)[0]
    found = [
        {"name": name, "status": status_by_exit_code[code], "diff": mutmut.get_diff_for_mutant(name, path=data.path)}
        for data, name, code in tried
    ]
    Path("results.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
