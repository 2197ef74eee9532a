"""What holds of every chart: it parses, stays inside, overlaps nothing, and is the same."""

import re
from collections import Counter

import numpy as np
import pytest
from chart_reading import drawn_points, panels, parsed, texts_that_overlap, words
from chart_samples import (
    HOSTILE,
    LONG,
    boundaries_of,
    classes_of,
    confusion_of,
    curves_of,
    data_of,
    findings_of_models,
    lucky_of,
    scores_of,
)

from functional_clf.reports.charts import (
    chart_of,
    intervals_chart,
    lucky_chart,
    script,
    seeds_chart,
    style,
)
from functional_clf.reports.colors import CLASS_COLORS, MODEL_COLORS
from functional_clf.reports.pictures import AccuraciesPicture, Picture

# By kind, a chart of models or classes of any names.
KINDS = {
    "intervals": lambda names: intervals_chart(findings_of_models(names)),
    "seeds": lambda names: seeds_chart(names, scores_of(len(names), 30)),
    "accuracies": lambda names: chart_of(
        AccuraciesPicture(names[0], tuple(names), np.arange(3 * len(names)).reshape(-1, 3), 40)
    ),
    "curves": lambda names: chart_of(curves_of(names)),
    "levels": lambda names: chart_of(curves_of(names, epochs=(0,))),
    "boundaries": lambda names: chart_of(boundaries_of(names)),
    "boundaries of 9 classes": lambda names: chart_of(boundaries_of(names, n_classes=9)),
    "confusion of models": lambda names: chart_of(confusion_of(names, ("yes", "no"))),
    "confusion of classes": lambda names: chart_of(
        confusion_of(("one", "other"), names, nothing=0.1, untested=(0,))
    ),
    "data": lambda names: chart_of(data_of(len(names), names=names, labels=names[:2])),
    "data of one feature": lambda names: chart_of(
        data_of(len(names), n_features=1, names=names, labels=names[:2])
    ),
    "classes": lambda names: chart_of(classes_of(names)),
    "lucky": lambda names: lucky_chart(lucky_of(names[:2])),
}
PLAIN = tuple(f"model_{place}" for place in range(8))
SHORT = tuple("abcdefgh")


def assert_sound(drawn):
    for panel in panels(drawn):
        assert texts_that_overlap(panel) == []
        left, top, wide, high = map(float, panel.get("viewBox").split())
        found = drawn_points(panel)
        assert len(found) > 4
        assert np.isfinite(found).all()
        assert (found >= (left - 0.5, top - 0.5)).all(), words(panel[0])
        assert (found <= (left + wide + 0.5, top + high + 0.5)).all(), words(panel[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("names", [SHORT, PLAIN, LONG, HOSTILE], ids=["a", "plain", "long", "odd"])
@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_nothing_overlaps_or_stands_out(kind, names, count):
    assert_sound(KINDS[kind](names[:count]))


def test_one_model_has_charts_too():
    assert_sound(seeds_chart(LONG[:1], scores_of(1, 5)))
    assert_sound(chart_of(curves_of(LONG[:1])))
    assert_sound(chart_of(boundaries_of(LONG[:1])))


@pytest.mark.parametrize("n_classes", [26, 60, 130])
def test_many_classes_have_room(n_classes):
    names = tuple(f"class number {place}" for place in range(n_classes))
    for picture in (
        confusion_of(("model",), names),
        classes_of(names),
        data_of(n_classes, names=names),
        data_of(n_classes, n_features=1, names=names),
    ):
        drawn = chart_of(picture)
        assert_sound(drawn)
        assert len(drawn) < 60_000


@pytest.mark.parametrize("kind", KINDS)
def test_each_panel_tells_itself_in_words(kind):
    root = parsed(KINDS[kind](PLAIN[:3]))
    ids = {one.get("id"): one for one in root.iter() if one.get("id")}
    found = [one for one in root.iter("svg") if one.get("role") == "img"]
    assert found
    for panel in found:
        title, described = panel[0], panel[1]
        assert (title.tag, described.tag) == ("title", "desc")
        assert ids[panel.get("aria-labelledby")] is title
        assert ids[panel.get("aria-describedby")] is described
        assert len(words(title)) > 10
        assert len(words(described)) > 10
    others = [one for one in root.iter("svg") if one.get("role") != "img"]
    assert all(one.get("aria-hidden") == "true" for one in others)


def test_ids_are_unique_on_a_page_of_all():
    page = "".join(draw(PLAIN[:3]) for kind, draw in KINDS.items() if kind != "accuracies")
    page += seeds_chart(PLAIN[:2], scores_of(2, 9), diverged=np.eye(2, 9), failed=np.eye(2, 9, 1))
    root = parsed(page)
    ids = Counter(one.get("id") for one in root.iter() if one.get("id"))
    assert len(ids) > 40
    assert set(ids.values()) == {1}
    used = {one.get("href")[1:] for one in root.iter("use")}
    assert used
    assert used <= set(ids)


@pytest.mark.parametrize("kind", KINDS)
def test_a_chart_is_the_same_every_time(kind):
    assert KINDS[kind](PLAIN[:3]) == KINDS[kind](PLAIN[:3])


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_text_alone(kind):
    drawn = KINDS[kind](HOSTILE)
    root = parsed(drawn)  # no comment, no element and no end of one has come of a name
    assert {one.tag for one in root.iter()} <= {
        *("page", "div", "svg", "title", "desc", "path", "text", "rect", "circle", "g", "defs"),
        *("use", "image", "ul", "li", "span", "p"),
        *("label", "input", "output", "table", "caption", "thead", "tbody", "tr", "th", "td"),
    }
    names = {name for one in root.iter() for name in one.attrib}
    assert not [name for name in names if name.startswith("on") or name == "style"]
    assert "<!--" not in drawn
    assert not re.search(r"[\x00-\x1f\u202e]", drawn)
    told = "".join(root.itertext())
    assert "<script>alert(1)</script>" in told


def test_what_is_cut_is_told_whole():
    root = parsed(intervals_chart(findings_of_models(LONG[:2])))
    told = [words(one) for text in root.iter("text") for one in text.iter("title")]
    assert f"{LONG[1]} minus {LONG[0]}" in told


def test_another_kind_of_picture_is_refused():
    with pytest.raises(KeyError):
        chart_of(Picture("data", ("a",)))


def test_charts_and_the_script_allow_a_strict_policy():
    drawn = "".join(draw(PLAIN[:3]) for draw in KINDS.values())
    assert "style=" not in drawn
    assert "http" not in drawn
    assert "</" not in script()
    assert "innerHTML" not in script()
    assert "</" not in style()
    assert "http" not in style()


def properties(rules):
    return dict(re.findall(r"--chart-([\w-]+):(#\w{6});", rules))


def modes():
    light, dark, print_ = (properties(rules) for rules in re.findall(r":root\{([^}]*)\}", style()))
    return light, dark, print_


def luminance(color):
    parts = np.array([int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def mixed(color, ground, opacity):
    parts = [
        round(opacity * int(color[i : i + 2], 16) + (1 - opacity) * int(ground[i : i + 2], 16))
        for i in (1, 3, 5)
    ]
    return "#" + "".join(f"{part:02x}" for part in parts)


@pytest.mark.parametrize("mode", [0, 1, 2], ids=["light", "dark", "print"])
def test_letters_and_marks_are_seen_on_their_ground(mode):
    # WCAG 2.2: 4.5 to 1 of letters (1.4.3), 3 to 1 of graphics (1.4.11).
    colors = modes()[mode]
    for name in ("ink", "soft"):
        assert contrast(colors[name], colors["paper"]) >= 4.5
    assert contrast(colors["ink"], mixed(colors["heat"], colors["paper"], 0.45)) >= 4.5
    for name in (key for key in colors if key.startswith(("model", "class", "others", "axis"))):
        assert contrast(colors[name], colors["paper"]) >= 3, name


def test_print_is_as_light_whatever_the_screen():
    light, dark, print_ = modes()
    assert print_ == light
    assert dark["paper"] != light["paper"]
    assert style().index("prefers-color-scheme") < style().index("@media print")


# Machado, Oliveira and Fernandes (2009), IEEE TVCG 15, 1291-1298: severity 1, in linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
               [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


@pytest.mark.parametrize("kind", BLINDNESS)
@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("of", ["model", "class"])
def test_colors_stay_apart(kind, mode, of):
    def seen(color):
        parts = np.array([int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        red, green, blue = np.clip(np.array(BLINDNESS[kind]) @ linear, 0, 1)
        # Oklab: Ottosson (2020), "A perceptual color space for image processing".
        cones = np.cbrt(
            [
                0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue,
                0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue,
                0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue,
            ]
        )
        return (
            np.array(
                [
                    [0.2104542553, 0.7936177850, -0.0040720468],
                    [1.9779984951, -2.4285922050, 0.4505937099],
                    [0.0259040371, 0.7827717662, -0.8086757660],
                ]
            )
            @ cones
        )

    colors = [color for name, color in modes()[mode].items() if name.startswith(of)]
    assert len(colors) == len({"model": MODEL_COLORS, "class": CLASS_COLORS}[of])
    apart = [
        float(np.linalg.norm(seen(one) - seen(other)))
        for place, one in enumerate(colors)
        for other in colors[:place]
    ]
    # Okabe and Ito's own are 0.076 apart at least.
    assert min(apart) > 0.07


def test_letters_are_eleven_pixels_on_a_phone():
    sizes = {float(panel.get("viewBox").split()[2]) for draw in KINDS.values()
             for panel in panels(draw(PLAIN[:3]))}  # fmt: skip
    on_a_phone = 390 - 2 * 16  # between the page's edges
    letters = float(re.search(r"svg text\{font-size:(\d+)px", style())[1])
    assert letters * on_a_phone / max(sizes) >= 11
