"""Pictures of a study: data, classes, learning curves, accuracies, boundaries and confusions.

What they show is gathered from results by `gathering`, as plain values; `drawing` draws it, in this
process or in another one. Neither torch nor matplotlib is imported before it is needed.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from functional_clf.reports import signature
from functional_clf.reports.gathering import (
    Gathered,
    accuracies_picture,
    boundaries_picture,
    classes_picture,
    confusion_picture,
    curves_picture,
    data_picture,
)
from functional_clf.reports.pictures import NAMES, Commission, Drawn, NotPicturedError, reason_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from functional_clf.study.results import Results

logger = logging.getLogger("functional_clf")

IN_ORDER_OF_WORK = ("curves", "boundaries", "accuracies", "confusion", "classes", "data")
"""The longest first, so that those who draw end together; what boundaries show takes a while too,
and is gathered while the first is drawn."""


@runtime_checkable
class Artists(Protocol):
    """Whoever draws pictures, and hands back what came of each; of those they cannot, nothing."""

    def draw(self, commissions: Iterable[Commission]) -> Mapping[str, Drawn]:
        """Draw each picture as it comes."""
        ...


def data_figure(results: "Results") -> "Figure":
    """The samples of the study's first seed, training and test apart.

    Of more than two features their first two principal components are drawn; of one, each class has
    a row.
    """
    from functional_clf.reports.drawing import data_figure as draw

    return draw(data_picture(results))


def classes_figure(results: "Results") -> "Figure":
    """How many samples of each class the study's first seed trains on and tests on."""
    from functional_clf.reports.drawing import classes_figure as draw

    return draw(classes_picture(results))


def confusion_figure(results: "Results") -> "Figure":
    """What each model takes the test samples of each class for: means over seeds.

    Raises:
        NotPicturedError: when the data are no table.
    """
    from functional_clf.reports.drawing import confusion_figure as draw

    return draw(confusion_picture(results))


def boundaries_figure(results: "Results") -> "Figure":
    """Each model's decisions: those of its median seed, and the votes of all seeds.

    Raises:
        ValueError: when the data have other than two features, or no weights are kept.
    """
    from functional_clf.reports.drawing import boundaries_figure as draw

    return draw(boundaries_picture(results))


def curves_figure(results: "Results") -> "Figure":
    """Loss and accuracy along training: the median over seeds, and the middle 90 % as a band."""
    from functional_clf.reports.drawing import curves_figure as draw

    return draw(curves_picture(results))


def accuracies_figure(results: "Results") -> "Figure":
    """Every seed's test accuracy under each model, one line a seed, and the paired differences."""
    from functional_clf.reports.drawing import accuracies_figure as draw

    return draw(accuracies_picture(results))


def write_plots(
    results: "Results",
    folder: Path,
    of: str | None = None,
    artists: Artists | None = None,
    gathered: Gathered | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> list[Path]:
    """Draw every picture that such results have into `folder`; return the paths of those there are.

    They are PNG files, and which they are the data decide. One that cannot be drawn costs no other:
    a line of the log says why. None of an earlier run is left in the place of one that is not drawn
    now.

    Args:
        results: of the study.
        folder: where to; made where there is none.
        of: a digest of these results, as `content_of` makes one: pictures that are there and of
            the same are left as they are. None draws them in any case.
        artists: who draws; what they cannot is drawn in this process. None draws all in it.
        gathered: what the pictures show, where somebody else needs it, too.
        meanwhile: is called once where something is drawn: when all is handed over to the artists,
            and before it is waited for. What it raises may be lost.

    Raises:
        StoreError: when the folder is a link or a file.
        WriteError: when a picture cannot be written.
    """
    from functional_clf.record.folder import remove, subfolder, write_whole

    folder = subfolder(folder.parent, folder.name)
    paths = {name: folder / f"{name}.png" for name in NAMES}
    if of is not None and (kept := signature.standing(folder, of)) is not None:
        for name, reason in kept.absent.items():
            _say_not_drawn(name, reason)
        return [paths[name] for name in kept.drawn]
    try:
        drawn, is_final = _all_drawn(gathered or Gathered(results), artists, meanwhile)
    except _NoMatplotlibError as error:
        logger.warning("no pictures are drawn: matplotlib fails (%s)", error)
        remove(folder.parent, paths.values())
        return []
    others = [path for name, path in paths.items() if name not in drawn]  # of earlier results
    remove(folder.parent, others)
    signed = None
    if of is not None and is_final:
        absent = {name: one.reason for name, one in drawn.items() if one.png is None}
        there = tuple(name for name in drawn if name not in absent)
        signed = signature.Signature(signature.mark(of), there, absent)
    written = []
    for name, one in drawn.items():
        if one.png is None:
            _say_not_drawn(name, one.reason)
            remove(folder.parent, [paths[name]])
            continue
        content = one.png if signed is None else signature.sign(one.png, signed)
        written.append(write_whole(paths[name], content, in_subfolder=True))
    return written


def content_of(results: "Results") -> str:
    """A digest of all that the pictures of these results show.

    Example:
        >>> from functional_clf import Study, circles, model_0
        >>> study = Study(circles(60), [model_0(epochs=2)], seeds=2, engine="eager")
        >>> content_of(study.run()) == content_of(study.run())
        True
    """
    study = results.study
    digest = hashlib.blake2b(digest_size=16)
    kept = {model: seeds for model, (seeds, _) in results.params.items()}
    about = [study.identity(), [study.seeds.start, study.seeds.stop], str(study.dataset), kept]
    digest.update(
        json.dumps([*about, results.engine.ran, results.device, results.chunk_size]).encode()
    )
    digest.update(results.seeds.write_csv().encode())
    if study.dataset.is_table:
        named = [study.dataset.class_names, study.dataset.feature_names]
        digest.update(json.dumps(named).encode())
        for model in study.names:
            with suppress(ValueError):  # of a model whose predictions are not scored
                digest.update(np.ascontiguousarray(results.confusions(model)).data)
    for bands in results.curves.values():
        for band in bands.values():
            for values in band:
                digest.update(np.ascontiguousarray(values).tobytes())
    for _, params in results.params.values():
        for key, values in params.items():
            digest.update(f"{key} {values.shape} {values.dtype}".encode())
            digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


class _NoMatplotlibError(Exception):
    """It cannot be imported, with the settings that it finds."""


def _all_drawn(
    gathered: Gathered, artists: Artists | None, meanwhile: Callable[[], None]
) -> tuple[dict[str, Drawn], bool]:
    """What came of each picture, and whether another try would come to the same."""
    asked: dict[str, Commission] = {}
    failed: dict[str, Exception] = {}

    def gather() -> Iterator[Commission]:
        for name in (name for name in IN_ORDER_OF_WORK if name in gathered.names):
            picture = gathered(name)
            if isinstance(picture, Exception):
                failed[name] = picture
                continue
            asked[name] = Commission(name, picture)
            yield asked[name]
        meanwhile()

    commissions = gather()
    drawn = {} if artists is None else dict(artists.draw(commissions))
    list(commissions)  # where nobody has asked for them
    drawn |= _drawn_here([one for name, one in asked.items() if name not in drawn])
    is_final = all(isinstance(error, NotPicturedError) for error in failed.values())
    is_final &= all(one.png is not None for one in drawn.values())
    drawn |= {name: Drawn(name, None, reason_of(error)) for name, error in failed.items()}
    return {name: drawn[name] for name in gathered.names}, is_final


def _drawn_here(commissions: Sequence[Commission]) -> dict[str, Drawn]:
    """Draw pictures in this process.

    Raises:
        _NoMatplotlibError: when there is something to draw, and nothing to draw it with.
    """
    if not commissions:
        return {}
    try:
        from functional_clf.reports.drawing import png_of
    except Exception as error:  # matplotlib reads settings when it is imported
        raise _NoMatplotlibError(error) from error
    drawn = {}
    for name, picture in ((one.name, one.picture) for one in commissions):
        try:
            drawn[name] = Drawn(name, png_of(picture))
        except Exception as error:  # matplotlib fails in many ways
            drawn[name] = Drawn(name, None, reason_of(error))
    return drawn


def _say_not_drawn(name: str, reason: str) -> None:
    logger.warning("%s.png is not drawn: %s", name, reason)
