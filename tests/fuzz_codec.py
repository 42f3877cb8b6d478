"""A coverage-guided fuzzer over the codec: python -m tests.fuzz_codec [libFuzzer's options, such as -max_total_time=60].

Whatever the bytes are, `decode` gives a message or raises `Malformed`; anything else ends the fuzzer with the input that did it.
It wants atheris (``pip install -e '.[benchmarks]'``). The property tests of test_bus run in every CI run; this one by hand.
"""

import sys

import atheris

with atheris.instrument_imports(include=["brender", "msgpack"]):
    from brender.bus.codec import Malformed, decode, encode


def one_input(data: bytes) -> None:
    try:
        message, _ = decode([data])
    except Malformed:
        return
    assert decode(encode(message))[0] == message, "a message that was understood is written as another"


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
