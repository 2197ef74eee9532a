"""The chart of any kind of picture."""

from collections.abc import Callable
from typing import Any

from functional_clf.reports.charts.curves import curves_chart
from functional_clf.reports.charts.matrices import classes_chart, confusion_chart
from functional_clf.reports.charts.planes import boundaries_chart, data_chart
from functional_clf.reports.charts.seeds import seeds_chart
from functional_clf.reports.pictures import (
    AccuraciesPicture,
    BoundariesPicture,
    ClassesPicture,
    ConfusionPicture,
    CurvesPicture,
    DataPicture,
    Picture,
)


def chart_of(picture: Picture) -> str:
    """What a picture shows, as SVG with its legend, to stand in a page.

    Args:
        picture: of any kind.

    Returns:
        An element of HTML; `style` has the CSS that it needs.

    Raises:
        KeyError: when there is no such kind.

    Example:
        >>> import numpy as np
        >>> picture = AccuraciesPicture("circles", ("flat", "deep"), np.array([[5, 6], [9, 9]]), 10)
        >>> "mean 55.00" in chart_of(picture)
        True
    """
    charts: dict[type[Picture], Callable[[Any], str]] = {
        DataPicture: data_chart,
        ClassesPicture: classes_chart,
        CurvesPicture: curves_chart,
        AccuraciesPicture: _accuracies,
        BoundariesPicture: boundaries_chart,
        ConfusionPicture: confusion_chart,
    }
    return charts[type(picture)](picture)


def _accuracies(picture: AccuraciesPicture) -> str:
    return seeds_chart(picture.models, picture.correct / picture.n_test, source=picture.dataset)
