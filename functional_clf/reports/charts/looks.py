"""How charts look: colours by CSS custom properties, in light, in dark and in print."""

import math
from typing import NamedTuple

from functional_clf.reports.charts.svg import SIZE, element
from functional_clf.reports.colors import CLASS_COLORS, MODEL_COLORS, OTHERS_COLOR

# On white, these need more ink to be seen: 3 to 1 is what WCAG 2.2 asks of graphics (1.4.11).
_ON_WHITE = {"#E69F00": "#C48A00", "#56B4E9": "#3D9BD1", "#A8A8A8": "#8C8C8C"}
_ON_BLACK = {"#000000": "#F2F2F2"}
_LIGHT = {
    "paper": "#FFFFFF", "ink": "#1B1F24", "soft": "#555B62", "grid": "#E3E6EA", "axis": "#7A828B",
    "band": "#E4E9EF", "heat": "#08306B",
}  # fmt: skip
_DARK = {
    "paper": "#15181C", "ink": "#EEF1F4", "soft": "#B3BAC2", "grid": "#2C323A", "axis": "#89929C",
    "band": "#2B333D", "heat": "#9BD3FF",
}  # fmt: skip
MARKS = ("circle", "square", "triangle", "diamond", "nabla", "plus", "cross", "ring")
"""One a model, so that no two of eight look alike whatever their colours."""


class Look(NamedTuple):
    """How one of the models, or a class, is drawn.

    color: name of a CSS class, which sets the colour.
    mark: of `MARKS`.
    """

    color: str
    mark: str


def model_look(place: int) -> Look:
    """How one of the models is drawn, in their order.

    Example:
        >>> model_look(6)
        Look(color='m1', mark='cross')
    """
    return Look(f"m{place % len(MODEL_COLORS)}", MARKS[place % len(MARKS)])


def class_looks(n_classes: int, shown: tuple[int, ...]) -> list[Look]:
    """How each class is drawn: those that are told apart, and all the others alike.

    Example:
        >>> [look.color for look in class_looks(3, shown=(0, 2))]
        ['k0', 'ko', 'k1']
    """
    found = [Look("ko", "circle")] * n_classes
    for place, one in enumerate(shown):
        again, color = divmod(place, len(CLASS_COLORS))
        found[one] = Look(f"k{color}", MARKS[again % 2])
    return found


def mark_path(mark: str, x: float, y: float, radius: float = 3.5) -> str:
    """The outline of a mark around a point, as the `d` of a path."""
    r = radius
    wide, thin = 1.15 * r, 0.4 * r

    def polygon(*corners: tuple[float, float]) -> str:
        return "M" + "L".join(f"{x + dx:.1f} {y + dy:.1f}" for dx, dy in corners) + "z"

    if mark in ("circle", "ring"):
        outer = f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0z"
        hole = r - 1.6
        inner = f"M{x - hole:.1f} {y:.1f}a{hole:.1f} {hole:.1f} 0 1 1 {2 * hole:.1f} 0"
        inner += f"a{hole:.1f} {hole:.1f} 0 1 1 {-2 * hole:.1f} 0z"
        return outer + (inner if mark == "ring" else "")
    if mark == "square":
        s = 0.88 * r
        return polygon((-s, -s), (s, -s), (s, s), (-s, s))
    if mark == "triangle":
        return polygon((0, -wide), (wide, 0.85 * r), (-wide, 0.85 * r))
    if mark == "nabla":
        return polygon((0, wide), (wide, -0.85 * r), (-wide, -0.85 * r))
    if mark == "diamond":
        return polygon((0, -wide), (wide, 0), (0, wide), (-wide, 0))
    arms = [
        (-wide, -thin), (-thin, -thin), (-thin, -wide), (thin, -wide), (thin, -thin),
        (wide, -thin), (wide, thin), (thin, thin), (thin, wide), (-thin, wide), (-thin, thin),
        (-wide, thin),
    ]  # fmt: skip
    if mark == "cross":
        turn = math.sqrt(0.5)
        arms = [((dx - dy) * turn, (dx + dy) * turn) for dx, dy in arms]
    return polygon(*arms)


def mark(look: Look, x: float, y: float, radius: float = 3.5) -> str:
    """A mark around a point."""
    return element("path", d=mark_path(look.mark, x, y, radius), class_=f"mark {look.color}")


def style() -> str:
    """The CSS that charts need, in all that they are shown on; the same for every page.

    `--chart-paper` is the ground that all colours are made for: white, or nearly black.

    Example:
        >>> "prefers-color-scheme: dark" in style()
        True
    """
    light = _properties(_LIGHT, _ON_WHITE)
    dark = _properties(_DARK, _ON_BLACK)
    models = "".join(
        f".chart .m{place}{{--c:var(--chart-model-{place})}}" for place in range(len(MODEL_COLORS))
    )
    classes = "".join(
        f".chart .k{place}{{--c:var(--chart-class-{place})}}" for place in range(len(CLASS_COLORS))
    )
    others = ".chart .ko{--c:var(--chart-others)}.chart .ki{--c:var(--chart-ink)}"
    return (
        f":root{{{light}}}\n"
        f"@media (prefers-color-scheme: dark){{:root{{{dark}}}}}\n"
        f"@media print{{:root{{{light}}}}}\n"
        f"{models}{classes}{others}\n{_RULES}"
    )


def _properties(grounds: dict[str, str], instead: dict[str, str]) -> str:
    named = dict(grounds)
    named |= {f"model-{i}": instead.get(one, one) for i, one in enumerate(MODEL_COLORS)}
    named |= {f"class-{i}": instead.get(one, one) for i, one in enumerate(CLASS_COLORS)}
    named["others"] = instead.get(OTHERS_COLOR, OTHERS_COLOR)
    return "".join(f"--chart-{name}:{color};" for name, color in named.items())


_RULES = f"""\
.chart{{margin:1rem 0;color:var(--chart-ink)}}
.chart-panels{{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,22rem),1fr));\
gap:1rem 1.5rem;align-items:start}}
.chart-panels>svg{{width:100%;max-width:32rem;height:auto;display:block;overflow:hidden}}
.chart svg text{{font-size:{SIZE}px;font-family:system-ui,-apple-system,"Segoe UI",Roboto,\
"Noto Sans","DejaVu Sans",sans-serif;fill:var(--chart-ink);font-variant-numeric:tabular-nums}}
.chart svg text.soft{{fill:var(--chart-soft)}}
.chart svg text.over{{paint-order:stroke;stroke:var(--chart-paper);stroke-width:4px;\
stroke-linejoin:round}}
.chart svg text.bold{{font-weight:600}}
.chart .grid{{stroke:var(--chart-grid);fill:none}}
.chart .axis{{stroke:var(--chart-axis);fill:none}}
.chart .zero{{stroke:var(--chart-ink);fill:none;stroke-dasharray:2 3}}
.chart .band{{fill:var(--chart-band)}}
.chart .edge{{stroke:var(--chart-axis);fill:none;stroke-dasharray:1 2}}
.chart .whisker{{stroke:var(--chart-ink);stroke-width:2;fill:none}}
.chart .ink{{fill:var(--chart-ink)}}
.chart .ghost{{fill:var(--chart-ink);fill-opacity:.001}}
.chart .mark{{fill:var(--c);stroke:var(--chart-paper);stroke-width:.5}}
.chart .line{{stroke:var(--c);stroke-width:1.8;fill:none;stroke-linejoin:round}}
.chart .dashed{{stroke-dasharray:5 3}}
.chart .area{{fill:var(--c);fill-opacity:.18}}
.chart .crowded .area{{fill-opacity:.07}}
.chart .bar{{fill:var(--c);fill-opacity:.8}}
.chart .join{{stroke:var(--chart-soft);stroke-width:.6;fill:none}}
.chart .dots{{stroke:var(--c);stroke-width:10;stroke-linecap:round;fill:none}}
.chart .many{{stroke-width:7;opacity:.75}}
.chart .train{{stroke-width:8;opacity:.6}}
.chart .test,.chart .halo{{stroke-width:9}}
.chart .test.under{{stroke:var(--chart-ink);stroke-width:13}}
.chart .halo.under{{stroke:var(--chart-paper);stroke-width:13}}
.chart .odd{{stroke-width:13}}
.chart .square{{stroke-linecap:square}}
.chart .hole{{stroke:var(--chart-paper);stroke-width:6}}
.chart .border{{stroke:var(--chart-ink);stroke-width:1.2;fill:none}}
.chart .heat{{fill:var(--chart-heat)}}
.chart .frame{{stroke:var(--chart-axis);fill:none}}
.chart-legend{{list-style:none;margin:.5rem 0 0;padding:0;display:flex;flex-wrap:wrap;\
gap:.25rem 1.25rem;font-size:.9rem}}
.chart-legend li{{display:flex;align-items:center;gap:.4rem;min-width:0;overflow-wrap:anywhere}}
.chart-legend svg{{width:28px;height:14px;flex:none}}
.chart-note{{margin:.4rem 0 0;font-size:.9rem;color:var(--chart-soft);max-width:60rem}}
.lucky-slider{{margin:.75rem 0}}
.lucky-slider label{{display:flex;align-items:center;gap:.75rem}}
.lucky-slider input{{flex:1;max-width:32rem;min-width:0;accent-color:var(--chart-model-3)}}
.lucky-slider output{{display:block;margin-top:.4rem;min-height:3em;font-weight:600}}
.lucky-table{{overflow-x:auto}}
.lucky-table table{{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}}
.lucky-table caption{{text-align:left;color:var(--chart-soft);padding:.25rem 0}}
.lucky-table th,.lucky-table td{{text-align:right;font-weight:400;padding:.2rem .75rem .2rem 0;\
vertical-align:bottom}}
.lucky-table thead th{{border-bottom:1px solid var(--chart-axis);color:var(--chart-soft)}}
@media print{{.lucky-slider{{display:none}}}}
@media print{{.chart-panels>svg{{break-inside:avoid}}.chart{{print-color-adjust:exact;\
-webkit-print-color-adjust:exact}}}}
"""
