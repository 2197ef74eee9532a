"""Imports that take long, made as short as they can be."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Import without looking for garbage, of which there is none: a fifth of the time.

    What was imported is not looked through later either, nor at the end of the process.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def import_for_new_data() -> None:
    """Import what data are drawn and split by, before they are."""
    with uncollected():
        import sklearn.datasets as _
        import sklearn.model_selection as _  # noqa: F401, F811
