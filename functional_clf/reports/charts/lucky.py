"""How often few seeds point to the wrong model: a line, a slider, and its few lines of script."""

import json
import math
from typing import NamedTuple

from functional_clf.reports.charts.axes import Frame, below, beside, room_beside
from functional_clf.reports.charts.looks import Look, mark
from functional_clf.reports.charts.scales import Scale, linear, logarithmic
from functional_clf.reports.charts.svg import (
    LINE,
    WIDTH,
    chart,
    element,
    entry,
    escape,
    identity,
    label,
    number,
    path,
    svg,
)
from functional_clf.stats import wording
from functional_clf.stats.lucky_seeds import LuckySeeds
from functional_clf.stats.metrics import Metric, named

HEIGHT = 170
"""Of what is drawn in a panel."""
WRONG, HONEST = Look("m3", "circle"), Look("m1", "square")
TABLE_ROWS = 7
FIRST_SHOWN = 3
"""The slider begins at so many seeds, as many studies do."""
_SCRIPT = """\
for (const box of document.querySelectorAll("[data-lucky]")) {
  const rows = JSON.parse(box.dataset.lucky);
  const slider = box.querySelector("input"), told = box.querySelector("output");
  const marks = box.querySelectorAll(".lucky-mark");
  const show = () => {
    const [seeds, sentence, ...places] = rows[slider.value];
    told.textContent = sentence;
    slider.setAttribute("aria-valuetext", seeds);
    marks.forEach((mark, i) => {
      mark.setAttribute("visibility", places[i] ? "visible" : "hidden");
      mark.setAttribute("transform", `translate(${places[i] || "0 0"})`);
    });
  };
  slider.addEventListener("input", show);
  box.querySelector(".lucky-slider").hidden = false;
  show();
}
"""


def script() -> str:
    """The few lines of JavaScript of the slider, the same for every page and every study.

    It reads numbers and sentences from an attribute, and writes them as text alone. A page allows
    it by the hash of this very text.

    Example:
        >>> "innerHTML" in script()
        False
    """
    return _SCRIPT


def lucky_chart(lucky: LuckySeeds) -> str:
    """How often draws of n seeds point to the wrong model, and how wide the honest interval is.

    Args:
        lucky: what n seeds of this very study would have said.

    Returns:
        A chart, a slider that `script` brings to life, and a table of some sizes.
    """
    metric = named(lucky.metric)
    shares, widths = _shares_panel(lucky), _widths_panel(lucky, metric)
    rows = [
        [_seeds(size), sentence, *places]
        for size, sentence, *places in zip(
            lucky.sizes, sentences(lucky), shares.places, widths.places, strict=True
        )
    ]
    legend = [
        entry(_sample(WRONG, "line"), "points to the wrong model"),
        entry(_sample(HONEST, "line dashed"), "its honest interval lies on the wrong side of 0"),
    ]
    panels = chart([shares.drawn, widths.drawn], legend, _note(lucky), kind="chart-lucky")
    mark_of = identity("lucky", *lucky.names, *sentences(lucky))
    slider = element(
        "div",
        element("label", f"Seeds {_slider(lucky, mark_of)}")
        + element("output", escape(rows[_first(lucky)][1]), aria_live="polite", for_=mark_of),
        class_="lucky-slider",
        hidden="hidden",
    )
    # JSON of places and sentences, none of which has a name in it.
    data = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
    return element("div", slider + panels + _table(lucky, metric), class_="lucky", data_lucky=data)


def sentences(lucky: LuckySeeds) -> list[str]:
    """What draws of each size would have said, in a sentence each.

    Returns:
        One a size, in their order.
    """
    metric, found = named(lucky.metric), []
    for size, wrong, width in zip(lucky.sizes, lucky.wrong, lucky.width, strict=True):
        ending = "no honest interval can then be given."
        if width is not None:
            ending = f"the honest interval is then {width_words(width, metric)} wide."
        found.append(
            f"With {_seeds(size)}, {wording.percent(wrong)} % of draws out of these very "
            f"{lucky.n_pairs} would have pointed to the wrong model; {ending}"
        )
    return found


def width_words(width: float, metric: Metric) -> str:
    """A width with its unit, to two digits.

    Example:
        >>> width_words(0.0234, named("accuracy")), width_words(0.00123, named("log_loss"))
        ('2.3 pp', '0.0012')
    """
    shown = 100 * width if metric.is_share else width
    decimals = 1 if shown == 0 else max(0, 1 - math.floor(math.log10(shown)))
    return wording.amount(width, decimals, metric) + (" pp" if metric.is_share else "")


class _Panel(NamedTuple):
    """A panel, and where its mark is at each size; empty where it is not shown."""

    drawn: str
    places: list[str]


def _seeds(size: int) -> str:
    return wording.plural(size, "seed")


def _first(lucky: LuckySeeds) -> int:
    return max((place for place, size in enumerate(lucky.sizes) if size <= FIRST_SHOWN), default=0)


def _slider(lucky: LuckySeeds, mark_of: str) -> str:
    return element(
        "input", type="range", id=mark_of, min=0, max=len(lucky.sizes) - 1, step=1,
        value=_first(lucky), aria_valuetext=_seeds(lucky.sizes[_first(lucky)]),
    )  # fmt: skip


def _sample(look: Look, kind: str) -> str:
    return element("path", d="M0 7H28", class_=f"{kind} {look.color}")


def _across(lucky: LuckySeeds, left: float) -> Scale:
    """Of seeds a draw: even where all sizes are there, else by ratios."""
    if lucky.sizes[-1] > len(lucky.sizes):
        return logarithmic(lucky.sizes, left, WIDTH - 12, room=0.02)
    return linear(lucky.sizes, left, WIDTH - 12, room=0.03, least=1.0)


def _shares_panel(lucky: LuckySeeds) -> _Panel:
    percents = [100 * share for share in lucky.wrong]
    misled = [100 * share for share in lucky.misled]
    top, bottom = LINE + 12, LINE + 12 + HEIGHT
    highest = max(*percents, *misled, 10.0)
    vertical = Scale(0, min(1.08 * highest, 100.0), bottom, top)
    frame = Frame(room_beside(vertical, HEIGHT), top, WIDTH - 12, bottom)
    across = _across(lucky, frame.left)
    points = [
        (across.place(size), vertical.place(value))
        for size, value in zip(lucky.sizes, percents, strict=True)
    ]
    dashed = [
        (across.place(size), vertical.place(value))
        for size, value in zip(lucky.sizes, misled, strict=True)
    ]
    area = path([(points[0][0], bottom), *points, (points[-1][0], bottom)]) + "z"
    body = [
        label(2, LINE - 2, "Draws that are wrong (%)", kind="bold"),
        beside(vertical, frame),
        below(across, frame, "seeds a draw", has_grid=False, is_whole=True),
        element("path", d=area, class_=f"area {WRONG.color}"),
        element("path", d=path(points), class_=f"line {WRONG.color}"),
        element("path", d=path(dashed), class_=f"line dashed {HONEST.color}"),
        _moving(WRONG),
    ]
    told = "; ".join(
        f"{_seeds(lucky.sizes[one])}: {wording.percent(lucky.wrong[one])} %"
        for one in _chosen(lucky)
    )
    title = "How often draws of few seeds point to the wrong model"
    drawn = svg(bottom + 2 * LINE + 6, title, f"{told}.", body)
    return _Panel(drawn, [_place(point) for point in points])


def _widths_panel(lucky: LuckySeeds, metric: Metric) -> _Panel:
    unit = 100 if metric.is_share else 1
    widths = [None if width is None else unit * width for width in lucky.width]
    difference = unit * abs(lucky.estimate)
    top, bottom = LINE + 12, LINE + 12 + HEIGHT
    there = [width for width in widths if width]
    vertical = logarithmic([*there, difference], bottom, top)
    frame = Frame(room_beside(vertical, HEIGHT), top, WIDTH - 12, bottom)
    across = _across(lucky, frame.left)
    points = [
        None if not width else (across.place(size), vertical.place(width))
        for size, width in zip(lucky.sizes, widths, strict=True)
    ]
    in_unit = " (pp)" if metric.is_share else ""
    body = [
        label(2, LINE - 2, f"Width of the honest interval{in_unit}", kind="bold"),
        beside(vertical, frame),
        below(across, frame, "seeds a draw", has_grid=False, is_whole=True),
    ]
    if difference > 0:
        y = vertical.place(difference)
        line = f"M{frame.left:.1f} {y:.1f}H{frame.right:.1f}"
        words = f"difference of all {lucky.n_pairs} seeds"
        # Where the falling line of widths is not.
        is_below = not there or difference < there[0]
        x, anchor = (frame.left + 6, "start") if is_below else (frame.right, "end")
        at = y - 6 if y - top > 24 else y + 15
        body.append(element("path", d=line, class_="zero"))
        body.append(label(x, at, words, anchor, "soft over"))
    drawn = [point for point in points if point is not None]
    if drawn:
        body.append(element("path", d=path(drawn), class_=f"line {HONEST.color}"))
    body.append(_moving(HONEST))
    told = "; ".join(
        f"{_seeds(lucky.sizes[one])}: {_width(lucky.width[one], metric)}" for one in _chosen(lucky)
    )
    estimate = width_words(abs(lucky.estimate), metric)
    title = "How wide the honest interval is with few seeds"
    described = f"{told}; the difference of all {lucky.n_pairs} seeds is {estimate}."
    panel = svg(bottom + 2 * LINE + 6, title, described, body)
    return _Panel(panel, ["" if point is None else _place(point) for point in points])


def _moving(look: Look) -> str:
    """The mark that the slider moves; hidden where no script runs."""
    return element("g", mark(look, 0, 0, 6), class_="lucky-mark", visibility="hidden")


def _place(point: tuple[float, float]) -> str:
    return f"{number(point[0])} {number(point[1])}"


def _width(width: float | None, metric: Metric) -> str:
    return "none" if width is None else width_words(width, metric)


def _chosen(lucky: LuckySeeds) -> list[int]:
    """Places of some sizes, each about twice the one before, and of the last."""
    found: list[int] = []
    for place, size in enumerate(lucky.sizes):
        if not found or size >= 2 * lucky.sizes[found[-1]]:
            found.append(place)
    last = len(lucky.sizes) - 1
    if len(found) > TABLE_ROWS:
        found = found[:TABLE_ROWS]
    return found if found[-1] == last else [*found, last]


def _table(lucky: LuckySeeds, metric: Metric) -> str:
    headings = ("seeds", "wrong model", "a tie", "interval on the wrong side",
                "interval holds 0", "interval's width")  # fmt: skip
    head = "".join(element("th", escape(words), scope="col") for words in headings)
    rows = []
    for one in _chosen(lucky):
        shares = (lucky.wrong[one], lucky.tied[one], lucky.misled[one], lucky.undecided[one])
        cells = [f"{wording.percent(share)} %" for share in shares]
        cells.append(_width(lucky.width[one], metric))
        row = element("th", str(lucky.sizes[one]), scope="row")
        rows.append(element("tr", row + "".join(element("td", escape(cell)) for cell in cells)))
    caption = element("caption", f"Of {lucky.repetitions} draws of so many seeds out of these")
    table = element(
        "table", caption + element("thead", element("tr", head)) + element("tbody", "".join(rows))
    )
    return element(
        "div", table, class_="lucky-table", tabindex=0, role="region",
        aria_label="What few seeds would have said",
    )  # fmt: skip


def _note(lucky: LuckySeeds) -> str:
    model, baseline = lucky.names
    metric = named(lucky.metric)
    estimate = width_words(abs(lucky.estimate), metric)
    ahead, behind = model, baseline
    if (lucky.estimate > 0) != metric.higher_is_better:
        ahead, behind = baseline, model
    if lucky.estimate == 0:
        return f"Over all {lucky.n_pairs} seeds {model} and {baseline} do not differ at all."
    told = f"Over all {lucky.n_pairs} seeds, {ahead} is ahead of {behind} by {estimate}"
    if lucky.verdict == "inconclusive":
        return (
            f"{told}, but the verdict is inconclusive: the study itself does not know which model "
            "is better, and a draw is called wrong where it disagrees with the study."
        )
    return f"{told}; a draw is wrong where its mean points to {behind}."
