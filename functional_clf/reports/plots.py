"""Pictures of a study: its data, decision boundaries, learning curves and accuracies.

What they show is gathered here from results, as plain values; `drawing` draws it, in this process
or in another one. Neither torch nor matplotlib is imported before it is needed.
"""

import functools
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy import ndarray

from functional_clf.reports import signature
from functional_clf.reports.pictures import (
    NAMES,
    AccuraciesPicture,
    BoundariesPicture,
    Commission,
    CurvesPicture,
    DataPicture,
    Drawn,
    ModelCurves,
    ModelDecisions,
    NotPicturedError,
    Picture,
    reason_of,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from functional_clf.contestants.recipe import Recipe
    from functional_clf.study.results import Results

logger = logging.getLogger("functional_clf")

GRID = 100
"""Points along each side of the grid on which decisions are drawn."""
IN_ORDER_OF_WORK = ("curves", "boundaries", "accuracies", "data")
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

    Of more than two features the first two are drawn; of one, each class has a row.
    """
    from functional_clf.reports.drawing import data_figure as draw

    return draw(data_picture(results))


def boundaries_figure(results: "Results") -> "Figure":
    """Each model's decisions: those of its median seed, and the share of seeds voting class 1.

    Raises:
        ValueError: when the data have other than two features or classes, or no weights are kept.
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
    results: "Results", folder: Path, of: str | None = None, artists: Artists | None = None
) -> list[Path]:
    """Draw every picture into `folder` as a PNG, and return the paths of those there are.

    One that cannot be drawn costs no other: a line of the log says why, and none of an earlier run
    is left in its place.

    Args:
        results: of the study.
        folder: where to; made where there is none.
        of: a digest of these results, as `content_of` makes one: pictures that are there and of
            the same are left as they are. None draws them in any case.
        artists: who draws; what they cannot is drawn in this process. None draws all in it.

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
        drawn, is_final = _all_drawn(results, artists)
    except _NoMatplotlibError as error:
        logger.warning("no pictures are drawn: matplotlib fails (%s)", error)
        remove(paths.values())
        return []
    signed = None
    if of is not None and is_final:
        absent = {name: one.reason for name, one in drawn.items() if one.png is None}
        there = tuple(name for name in drawn if name not in absent)
        signed = signature.Signature(signature.mark(of), there, absent)
    written = []
    for name, one in drawn.items():
        if one.png is None:
            _say_not_drawn(name, one.reason)
            remove([paths[name]])
            continue
        content = one.png if signed is None else signature.sign(one.png, signed)
        write = functools.partial(Path.write_bytes, data=content)
        written.append(write_whole(paths[name], write))
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
    for bands in results.curves.values():
        for band in bands.values():
            for values in band:
                digest.update(np.ascontiguousarray(values).tobytes())
    for _, params in results.params.values():
        for key, values in params.items():
            digest.update(f"{key} {values.shape} {values.dtype}".encode())
            digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def data_picture(results: "Results") -> DataPicture:
    """What the picture of the first seed's samples shows."""
    seed = results.study.seeds[0]
    x, y, rows = _draw(results, seed)
    return DataPicture(
        **_named(results), seed=seed, n_features=x.shape[1], x=x[:, :2], y=y,
        train=np.asarray(rows.train), test=np.asarray(rows.test),
    )  # fmt: skip


def boundaries_picture(results: "Results") -> BoundariesPicture:
    """What the picture of each model's decisions shows.

    Raises:
        NotPicturedError: when the data have other than two features or classes, or no weights are
            kept.
    """
    study = results.study
    x, _, _ = _draw(results, study.seeds[0])
    if x.shape[1] != 2:
        raise NotPicturedError(f"the data have {x.shape[1]} features, and a plane has 2")
    if (n_classes := study.dataset.n_classes) > 2:
        raise NotPicturedError(f"the data have {n_classes} classes, and a boundary parts 2")
    kept = [one for one in study.recipes if results.params[one.name][0]]
    if not kept:
        raise NotPicturedError("no weights of these seeds are kept")
    plane = _plane(x)
    return BoundariesPicture(
        **_named(results), reach=np.ptp(x, 0), plane=plane,
        decisions=tuple(_decisions(results, recipe, plane) for recipe in kept),
    )  # fmt: skip


def curves_picture(results: "Results") -> CurvesPicture:
    """What the picture of learning curves shows."""
    curves = []
    study = results.study
    for name in study.names:
        bands, table = results.curves[name], results.of(name)
        parts = {}
        for part in ("train", "test"):
            percent = 100 / table[f"n_{part}"][0]
            parts[f"{part}_loss"] = np.stack(bands[f"{part}_loss"])
            correct = bands[f"{part}_correct"]
            parts[f"{part}_accuracy"] = np.stack([percent * values for values in correct])
        curves.append(ModelCurves(np.array(results.curve_epochs(name)), **parts))
    return CurvesPicture(
        **_named(results), n_seeds=len(study.seeds), loss=study.dataset.task.loss_name,
        curves=tuple(curves),
    )  # fmt: skip


def accuracies_picture(results: "Results") -> AccuraciesPicture:
    """What the picture of every seed's test accuracy shows."""
    tables = [results.of(name) for name in results.study.names]
    correct = np.stack([table["test_correct"].to_numpy() for table in tables])
    return AccuraciesPicture(**_named(results), correct=correct, n_test=tables[0]["n_test"][0])


GATHER: Mapping[str, Callable[["Results"], Picture]] = {
    "data": data_picture,
    "curves": curves_picture,
    "accuracies": accuracies_picture,
    "boundaries": boundaries_picture,
}
"""By name of the picture, what gathers what it shows."""


class _NoMatplotlibError(Exception):
    """It cannot be imported, with the settings that it finds."""


def _all_drawn(results: "Results", artists: Artists | None) -> tuple[dict[str, Drawn], bool]:
    """What came of each picture, and whether another try would come to the same."""
    gathered: dict[str, Commission] = {}
    failed: dict[str, Exception] = {}

    def gather() -> Iterator[Commission]:
        for name in IN_ORDER_OF_WORK:
            try:
                gathered[name] = Commission(name, GATHER[name](results))
            except Exception as error:  # of the data's draw or of a model: whatever it is
                failed[name] = error
                continue
            yield gathered[name]

    commissions = gather()
    drawn = {} if artists is None else dict(artists.draw(commissions))
    list(commissions)  # where nobody has asked for them
    drawn |= _drawn_here([one for name, one in gathered.items() if name not in drawn])
    is_final = all(isinstance(error, NotPicturedError) for error in failed.values())
    is_final &= all(one.png is not None for one in drawn.values())
    drawn |= {name: Drawn(name, None, reason_of(error)) for name, error in failed.items()}
    return {name: drawn[name] for name in NAMES}, is_final


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


def _named(results: "Results") -> dict[str, Any]:
    study = results.study
    return {
        "dataset": str(study.dataset),
        "models": tuple(study.names),
    }


def _draw(results: "Results", seed: int):
    """One seed's samples and split, drawn again: a seed fixes them."""
    study = results.study
    one = study.replicate(seed)
    x, y = study.dataset.sample(one.data_seed)
    return x, y, study.dataset.split(study.test_size, one.split_seed)


def _decisions(results: "Results", recipe: "Recipe", plane: ndarray) -> ModelDecisions:
    seeds, params = results.params[recipe.name]
    table = results.of(recipe.name).filter(results.of(recipe.name)["seed"].is_in(seeds))
    accuracies = (table["test_correct"] / table["n_test"]).to_numpy()
    median = int(np.argsort(accuracies, kind="stable")[(len(seeds) - 1) // 2])
    x, y, rows = _draw(results, seeds[median])
    logits = _logits(recipe.model.apply, params, plane)
    votes = logits[~np.isnan(logits).all((1, 2))]
    return ModelDecisions(
        model=results.study.names.index(recipe.name),
        seed=seeds[median],
        accuracy=100 * float(accuracies[median]),
        x=x[rows.test],
        y=y[rows.test],
        logits=logits[median],
        votes=len(votes),
        diverged=len(seeds) - len(votes),
        share=(votes > 0).mean(0) if len(votes) else np.empty(0),
    )


def _plane(x: ndarray) -> ndarray:
    """Points around samples, `(2, GRID, GRID)`."""
    low, high = x.min(0), x.max(0)
    room = np.where(high > low, 0.12 * (high - low), 1.0)  # also around a constant feature
    sides = [np.linspace(low[i] - room[i], high[i] + room[i], GRID) for i in range(2)]
    return np.stack(np.meshgrid(*sides))


def _logits(apply: Any, params: Mapping[str, ndarray], plane: ndarray) -> ndarray:
    """Each seed's logit at each point of the plane, `(seed, GRID, GRID)`."""
    import torch

    from functional_clf.engines.machine import one_torch_thread

    stacked = {key: torch.from_numpy(value) for key, value in params.items()}
    weight = next(iter(stacked.values()))
    points = torch.from_numpy(np.stack([side.ravel() for side in plane], 1)).to(weight.dtype)
    seeds = len(weight)
    # Into one piece of memory: a small result kept from each of many large sums splits the heap.
    logits = torch.empty(seeds, len(points))
    with torch.no_grad(), one_torch_thread():
        for seed in range(seeds):
            logits[seed] = apply({key: value[seed] for key, value in stacked.items()}, points)
    return logits.numpy().reshape(seeds, GRID, GRID)
