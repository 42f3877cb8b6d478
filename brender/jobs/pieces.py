"""The pieces that a picture is made of: where they lie, and what of the picture each is. Pure."""

_PIECES = ".pieces"


def piece_name(final: str, piece: int) -> str:
    """Return the file of *piece* (from 1) of the picture *final*, in a hidden folder beside it.

    >>> piece_name("a/shot_0001.png", 3)
    'a/.shot_0001.png.pieces/3.exr'
    """
    folder, slash, name = final.rpartition("/")
    return f"{folder}{slash}.{name}{_PIECES}/{piece}.exr"


def is_piece(name: str) -> bool:
    """Return whether the file *name* is a piece of a picture, or what a picture has accumulated, in such a hidden folder.

    >>> is_piece("a/.shot_0001.png.pieces/3.exr"), is_piece("a/shot_0001.png")
    (True, False)
    """
    folder = name.rpartition("/")[0].rpartition("/")[2]
    return folder.startswith(".") and folder.endswith(_PIECES)


def final_name(piece: str) -> str:
    """Return the picture that the file *piece* is a piece of.

    >>> final_name("a/.shot_0001.png.pieces/3.exr")
    'a/shot_0001.png'
    """
    pieces = piece.rpartition("/")[0]
    folder, slash, name = pieces.rpartition("/")
    return f"{folder}{slash}{name.removeprefix('.').removesuffix(_PIECES)}"


def samples_of(piece: int, pieces: int, samples: int) -> tuple[int, int]:
    """Return the first sample and the number of samples of *piece* (from 1) of a picture with so many *samples*.

    >>> [samples_of(piece, 3, 100) for piece in (1, 2, 3)]
    [(0, 33), (33, 33), (66, 34)]
    """
    first = samples * (piece - 1) // pieces
    return first, samples * piece // pieces - first


def rows_of(piece: int, pieces: int, height: int) -> tuple[int, int]:
    """Return the rows, from the bottom, of *piece* (from 1) of a picture so many pixels high: the first, and the first beyond."""
    return height * (piece - 1) // pieces, height * piece // pieces
