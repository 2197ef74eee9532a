"""Tables that scikit-learn brings along, so that nothing need be fetched."""

import dataclasses
from typing import Any

from functional_clf.data.tables import Table, table


def iris(*, stratify: bool = True, prepare: Any = None) -> Table:
    """150 flowers of three kinds, 4 measures each (Fisher 1936).

    Args:
        stratify: whether each split keeps the shares of the classes.
        prepare: a transformer of scikit-learn's kind in place of the usual preparation.

    Example:
        >>> print(iris(), iris().class_names)
        iris(150 rows, 4 columns) ('setosa', 'versicolor', 'virginica')
    """
    from sklearn.datasets import load_iris

    return _bundled("iris", load_iris(), stratify, prepare)


def wine(*, stratify: bool = True, prepare: Any = None) -> Table:
    """178 wines of three growers, 13 measures each (UCI 1991).

    Args:
        stratify: whether each split keeps the shares of the classes.
        prepare: a transformer of scikit-learn's kind in place of the usual preparation.

    Example:
        >>> print(wine(), wine().feature_names[0])
        wine(178 rows, 13 columns) alcohol
    """
    from sklearn.datasets import load_wine

    return _bundled("wine", load_wine(), stratify, prepare)


def breast_cancer(*, stratify: bool = True, prepare: Any = None) -> Table:
    """569 tumours, malignant or benign, 30 measures each (Wisconsin, UCI 1995).

    Args:
        stratify: whether each split keeps the shares of the classes.
        prepare: a transformer of scikit-learn's kind in place of the usual preparation.

    Example:
        >>> print(breast_cancer(), breast_cancer().class_names)
        breast_cancer(569 rows, 30 columns) ('malignant', 'benign')
    """
    from sklearn.datasets import load_breast_cancer

    return _bundled("breast_cancer", load_breast_cancer(), stratify, prepare)


def digits(*, stratify: bool = True, prepare: Any = None) -> Table:
    """1797 handwritten digits, 8 x 8 pixels each (UCI 1998); three pixels are always blank.

    Args:
        stratify: whether each split keeps the shares of the classes.
        prepare: a transformer of scikit-learn's kind in place of the usual preparation.

    Example:
        >>> print(digits(), digits().n_classes)
        digits(1797 rows, 61 columns) 10
    """
    from sklearn.datasets import load_digits

    return _bundled("digits", load_digits(), stratify, prepare)


def _bundled(name: str, bunch: Any, stratify: bool, prepare: Any) -> Table:
    made = table(bunch, stratify=stratify, prepare=prepare, name=name)
    return dataclasses.replace(made, kind=name)
