"""A small picture of few colours as a data URI, for what is a field of values and not of lines."""

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy import ndarray

Color = tuple[int, int, int, int]
"""Red, green, blue and how opaque, each up to 255: what is not, lets the page's ground through."""
CLEAR: Color = (0, 0, 0, 0)


def data_uri(places: ndarray, colors: Sequence[Color]) -> str:
    """A PNG file with a palette, as a `data:` URI.

    Args:
        places: `(row, column)` from the top left, numbers of colours.
        colors: at most 256.

    Source:
        PNG Specification (Third Edition), W3C 2025: chunks IHDR, PLTE, tRNS, IDAT and IEND.

    Example:
        >>> data_uri(np.zeros((1, 1), int), [CLEAR])[:31]
        'data:image/png;base64,iVBORw0KG'
    """
    rows, columns = places.shape
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)
    palette = bytes(part for color in colors for part in color[:3])
    alphas = bytes(color[3] for color in colors)
    # Each row begins with its filter: none.
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), places.astype(np.uint8)], 1)
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(name, data)
        for name, data in (
            (b"IHDR", header), (b"PLTE", palette), (b"tRNS", alphas),
            (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""),
        )
    )  # fmt: skip
    return f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"


def rgba(color: str, opacity: float) -> Color:
    """A colour of six hexadecimal digits, and how opaque it is.

    Example:
        >>> rgba("#0072B2", 0.5)
        (0, 114, 178, 128)
    """
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue, round(255 * opacity)


def _chunk(name: bytes, data: bytes) -> bytes:
    checked = name + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))
