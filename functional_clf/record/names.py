"""Names of files in a run folder."""

import hashlib
from urllib.parse import quote

FILE_NAME = "study.sqlite"
"""Of the database."""

NAME_BYTES = 200
"""File systems allow 255 for a file's name, of which endings take some."""


def params_name(model: str) -> str:
    """The file name of a model's weights; no name leads out of the folder, or is too long for it.

    Example:
        >>> params_name("model_1"), params_name("../x")
        ('model_1.safetensors', '..%2Fx.safetensors')
    """
    return f"{file_name(model)}.safetensors"


def file_name(name: str) -> str:
    """A name as part of a file's: of plain letters, and where it was cut, with a digest of it all.

    Example:
        >>> file_name("réseau 1"), len(file_name(500 * "x"))
        ('r%C3%A9seau 1', 200)
    """
    plain = quote(name, safe=" ", errors="surrogatepass")
    if len(plain) <= NAME_BYTES:
        return plain
    digest = hashlib.blake2b(plain.encode(), digest_size=8).hexdigest()
    return f"{plain[: NAME_BYTES - len(digest) - 1]}-{digest}"
