"""Reads charts back: scales out of the ticks, marks, and the boxes of all that is drawn."""

import re
import xml.etree.ElementTree as ET
from itertools import combinations

import numpy as np

from functional_clf.reports.charts.svg import text_width

BOLD = 1.08
"""How much wider bold letters are."""
NUMBER = r"-?(?:\d+\.?\d*|\.\d+)(?:e-?\d+)?"


def parsed(fragment):
    return ET.fromstring(f"<page>{fragment}</page>")


def panels(fragment):
    return [one for one in parsed(fragment).iter("svg") if one.get("role") == "img"]


def of_kind(root, kind, tag=None):
    return [one for one in root.iter(tag) if kind in (one.get("class") or "").split()]


def words(one):
    """What is seen of a text, without the title that tells the whole."""
    return "".join(part for part in [one.text, *(child.tail for child in one)] if part)


def x_scale(panel):
    return _scale(panel, "tick-x", 0)


def y_scale(panel, is_log=False):
    return _scale(panel, "tick-y", 1, is_log)


def _scale(panel, kind, axis, is_log=False):
    """From places to values, out of grid lines and the labels that follow them."""
    found, before = [], None
    for one in panel.iter():
        if one.tag == "path" and one.get("class") == "grid":
            before = points(one.get("d"))[0][axis]
        elif one.tag == "text" and kind in (one.get("class") or "").split():
            found.append((before, float(words(one))))
    places, values = np.array(found).T
    if is_log:
        values = np.log10(values)
    slope, start = np.polyfit(places, values, 1)

    def value(place):
        there = slope * place + start
        return 10**there if is_log else there

    value.tolerance = 0.5 * abs(slope)  # half a unit of the chart
    return value


def points(d):
    """All points that a path passes, in its own units."""
    x = y = 0.0
    start, found = (0.0, 0.0), []
    for letter, written in re.findall(r"([MLHVZmlhvza])([^MLHVZmlhvza]*)", d.replace("e-", "~")):
        numbers = [float(one.replace("~", "e-")) for one in re.findall(r"-?\d*\.?\d+", written)]
        if letter in "zZ":
            x, y = start
            continue
        is_relative, kind = letter.islower(), letter.upper()
        size = {"M": 2, "L": 2, "H": 1, "V": 1, "A": 7}[kind]
        for place in range(0, len(numbers), size):
            step = numbers[place : place + size]
            dx, dy = x * is_relative, y * is_relative
            if kind == "H":
                x = step[0] + dx
            elif kind == "V":
                y = step[0] + dy
            else:
                x, y = step[-2] + dx, step[-1] + dy
            if kind == "M" and place == 0:
                start = (x, y)
            found.append((x, y))
    return found


def dots(one):
    """Where dots are, in units of the chart."""
    found = re.findall(rf"[Mm]\s*({NUMBER})\s*({NUMBER})h0", one.get("d"))
    moves = np.array([[float(x), float(y)] for x, y in found])
    return np.cumsum(moves, 0) / 2


def text_box(one):
    size = text_width(words(one)) * (BOLD if "bold" in (one.get("class") or "") else 1)
    left = {"middle": -size / 2, "end": -size}.get(one.get("text-anchor"), 0.0)
    x, y = float(one.get("x")), float(one.get("y"))
    box = np.array([[x + left, y - 10], [x + left + size, y + 3]])
    if turned := re.fullmatch(
        rf"translate\(({NUMBER}) ({NUMBER})\)rotate\(-90\)", one.get("transform") or ""
    ):
        across, down = map(float, turned.groups())
        (x0, y0), (x1, y1) = box
        box = np.array([[across + y0, down - x1], [across + y1, down - x0]])
    return box


def texts_that_overlap(panel):
    boxes = [(words(one), text_box(one)) for one in panel.iter("text")]
    return [
        (one, other)
        for (one, a), (other, b) in combinations(boxes, 2)
        if (np.minimum(a[1], b[1]) - np.maximum(a[0], b[0]) > 0.5).all()
    ]


def drawn_points(panel):
    """All that is drawn, as points, in units of the chart."""
    found = []

    def walk(one, scale):
        if "lucky-mark" in (one.get("class") or ""):  # around the origin, until it is moved
            return
        if told := re.fullmatch(rf"scale\(({NUMBER})\)", one.get("transform") or ""):
            scale = scale * float(told[1])
        if one.tag == "path":
            found.extend((scale * x, scale * y) for x, y in points(one.get("d")))
        elif one.tag in ("rect", "image"):
            x, y, wide, high = (float(one.get(name, 0)) for name in ("x", "y", "width", "height"))
            found.extend([(x, y), (x + wide, y + high)])
        elif one.tag == "circle":
            x, y, r = (float(one.get(name)) for name in ("cx", "cy", "r"))
            found.extend([(x - r, y - r), (x + r, y + r)])
        elif one.tag == "text":
            found.extend(map(tuple, text_box(one)))
        for child in one:
            walk(child, scale)

    walk(panel, 1.0)
    return np.array(found)
