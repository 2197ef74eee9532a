"""Numbers as the conclusions print them."""

import math

from functional_clf.stats import validation
from functional_clf.stats.metrics import ACCURACY, Metric
from functional_clf.stats.types import Interval

_MOST_DECIMALS = 4
_FEWEST_DECIMALS_ALONE = 3  # of a difference that no interval says more about
_WHOLE_FROM = 1e6  # digits behind the point are noise in larger numbers


def confidence(alpha: float) -> str:
    """Return the level of an interval, as in '95 % CI'.

    >>> confidence(0.05), confidence(0.00001)
    ('95 % CI', '99.999 % CI')
    """
    return f"{threshold(1 - alpha)} % CI"


def threshold(share: float) -> str:
    """Return a share that somebody set, in per cent: all but 0 and 1 can be told from them.

    Two decimals, and near 0 and 1 two digits of what is left, without zeros at the end.

    >>> threshold(0.75), threshold(0.876923), threshold(0.99999)
    ('75', '87.69', '99.999')
    """
    rest = round(min(share, 1 - share), validation.DECIMALS + 2)
    decimals = max(2, -math.floor(math.log10(rest)) - 1) if rest > 0 else 2
    digits = f"{100 * share:.{decimals}f}"
    return digits.rstrip("0").rstrip(".")


def points(value: float, decimals: int = 1) -> str:
    """Return an accuracy difference in percentage points, without a minus before zero.

    >>> points(-0.0001)
    '0.0'
    """
    return f"{round(100 * value, decimals) + 0.0:.{decimals}f}"


def amount(value: float, decimals: int, metric: Metric = ACCURACY) -> str:
    """Return a difference of scores: of shares in points, else in the metric's own unit.

    >>> from functional_clf.stats import METRICS
    >>> amount(0.0123, 1), amount(0.0123, 3, METRICS["log_loss"])
    ('1.2', '0.012')
    """
    if metric.is_share:
        return points(value, decimals)
    if abs(value) >= _WHOLE_FROM:
        return f"{value:.4g}"
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def score(value: float, metric: Metric = ACCURACY) -> str:
    """Return a score in its metric's unit: a share in per cent.

    >>> from functional_clf.stats import METRICS
    >>> score(0.5), score(0.5, METRICS["log_loss"])
    ('50.00', '0.5000')
    """
    return f"{100 * value:.2f}" if metric.is_share else f"{value:.4f}"


def signed_difference(
    estimate: float, interval: Interval | None, margin: float, metric: Metric = ACCURACY
) -> tuple[str, str]:
    """Return a difference and its interval, with signs and as many decimals as sentences have.

    >>> signed_difference(0.1333, Interval(-0.04, 0.277), 0.01)
    ('+13.3', '-4.0 to +27.7')
    """
    least = None if interval is None else decimals(interval, margin, metric)
    shown = decimals_shown(estimate, least, metric)

    def signed(value: float) -> str:
        figure = amount(value, shown, metric)
        return figure if figure.startswith("-") else f"+{figure}"

    return signed(estimate), "-" if interval is None else " to ".join(map(signed, interval))


def margin_size(margin: float, metric: Metric = ACCURACY) -> str:
    """Return a margin with its unit.

    >>> from functional_clf.stats import METRICS
    >>> margin_size(0.01), margin_size(0.01, METRICS["brier_score"])
    ('1 pp', '0.01')
    """
    return f"{100 * margin:g} pp" if metric.is_share else f"{margin:g}"


def decimals(interval: Interval, margin: float, metric: Metric = ACCURACY) -> int:
    """Return how many decimals show an interval's width and on which side of 0 and margin it is.

    >>> from functional_clf.stats import METRICS
    >>> decimals(Interval(0.0004, 0.025), 0.01, METRICS["log_loss"])
    4
    """
    if metric.is_share:
        return point_decimals(interval, margin)
    return _decimals(interval, margin, scale=1, most=validation.DECIMALS)


def point_decimals(interval: Interval, margin: float) -> int:
    """Return that of an interval in percentage points.

    >>> point_decimals(Interval(0.0004, 0.025), margin=0.01)
    2
    """
    return _decimals(interval, margin, scale=100, most=_MOST_DECIMALS)


def decimals_shown(estimate: float, least: int | None, metric: Metric) -> int:
    """Return how many decimals show that an estimate is not 0, and at least as many as given.

    Of shares just those given, or 1: a tenth of a point is small enough.

    >>> from functional_clf.stats import METRICS
    >>> decimals_shown(0.00004, None, METRICS["log_loss"])
    5
    """
    if metric.is_share:
        return 1 if least is None else least
    shown = _FEWEST_DECIMALS_ALONE if least is None else least
    while shown < validation.DECIMALS and estimate != 0 and round(estimate, shown) == 0:
        shown += 1
    return shown


def p_value(p: float | None) -> str:
    """Return a p value with its sign of relation.

    >>> p_value(0.0527), p_value(0.0001), p_value(1.0)
    ('p = .053', 'p < .001', 'p = 1')
    """
    if p is None:
        return "p not defined"
    if p < 0.001:
        return "p < .001"
    if 0.9995 <= p < 1:
        return "p > .999"
    return f"p = {p_number(p)}"


def p_number(p: float) -> str:
    """Return a p value alone; below .001, its first digit.

    >>> p_number(0.0527), p_number(0.00034), p_number(1.0)
    ('.053', '.0003', '1')
    """
    if p == 1:
        return "1"
    decimals = 3 if p >= 0.001 else 1 - math.floor(math.log10(p)) - 1
    return f"{p:.{decimals}f}".removeprefix("0")


def rate(count: int, n: int, interval: Interval, alpha: float) -> str:
    """Return a count with the limit or limits of its rate.

    >>> rate(0, 64, Interval(0.0, 0.0560091), 0.05)
    '0 of 64, at most 5.6 %'
    """
    low, high = percent(interval.low), percent(interval.high)
    if count == 0:
        return f"0 of {n}, at most {high} %"
    if count == n:
        return f"{n} of {n}, at least {low} %"
    return f"{count} of {n}, {confidence(alpha)} {low} to {high} %"


def plural(count: int, noun: str, plural_noun: str = "") -> str:
    """Return a count with its noun.

    >>> plural(1, "loss", "losses"), plural(2, "win")
    ('1 loss', '2 wins')
    """
    return f"{count} {noun if count == 1 else plural_noun or noun + 's'}"


def percent(share: float) -> str:
    """Return a share in per cent; near 0 and near 1, with two digits of what is left.

    >>> percent(0.0560091), percent(0.5), percent(0.99996)
    ('5.6', '50.0', '99.996')
    """
    rest = min(share, 1 - share)
    if rest >= 0.1:
        return f"{100 * share:.1f}"
    small = float(f"{100 * rest:.2g}")
    return f"{small if share < 0.5 else 100 - small:.10g}"


def _decimals(interval: Interval, margin: float, scale: int, most: int) -> int:
    width = scale * (interval.high - interval.low)
    needed = 1 + math.ceil(-math.log10(width)) if width > 0 else 1
    decimals = min(max(needed, 1), most)
    while decimals < most and any(
        end != limit and round(scale * end, decimals) == round(scale * limit, decimals)
        for end in interval
        for limit in (-margin, 0.0, margin)
    ):
        decimals += 1
    return decimals
