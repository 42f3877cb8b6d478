"""The plain kinds of value that travel, with their limits."""

from typing import Annotated

import msgspec

# An id that may become the name of a file.
Id = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{8,64}$")]
# An id that only ever looks something up. Hot path: a pattern costs more than the rest of a report (benchmarks.dispatch).
Key = Annotated[str, msgspec.Meta(max_length=64)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Text = Annotated[str, msgspec.Meta(max_length=20_000)]
# Numbers that any database and any browser can hold exactly.
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Whole = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e15)]
# What is used up, in whatever unit.
Amount = Annotated[float, msgspec.Meta(ge=0, le=1e15)]
Number = Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]
