"""A coverage-guided fuzzer: python -m tests.fuzz codec|handshake [libFuzzer's options, such as -max_total_time=600 FOLDER].

It wants atheris (``pip install -e ".[benchmarks]"``), and is run by hand. What it found worth keeping lies in
``tests/fuzz_seeds`` and is replayed with every run of the tests.
"""

import sys

import atheris

with atheris.instrument_imports(include=["brender", "msgpack", "tests.fuzzing"]):
    from tests.fuzzing import TARGETS

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(__doc__)
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
