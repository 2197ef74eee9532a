"""What charts show is what the values are: ticks tell the scale, and the scale the marks."""

import base64
import html
import json
import re
import zlib

import numpy as np
import pytest
from chart_reading import dots, of_kind, panels, parsed, points, words, x_scale, y_scale
from chart_samples import (
    boundaries_of,
    classes_of,
    compared,
    confusion_of,
    curves_of,
    data_of,
    findings_by_hand,
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
)
from functional_clf.reports.charts.matrices import percent_words
from functional_clf.reports.figures import difference_of
from functional_clf.reports.pictures import AccuraciesPicture
from functional_clf.stats import METRICS, Interval
from functional_clf.stats.data_sets import compare_on_data_sets


def close(found, wanted, value):
    """Equal to half a unit of the chart."""
    np.testing.assert_allclose(found, wanted, rtol=0, atol=value.tolerance)


def texts(root, kind):
    return [words(one) for one in of_kind(root, kind, "text")]


class TestIntervals:
    def test_marks_and_figures_are_the_values(self):
        findings = findings_of_models(["a", "b", "c"], margin=0.02)
        (panel,) = panels(intervals_chart(findings))
        value = x_scale(panel)
        circles = of_kind(panel, "estimate")
        lines = of_kind(panel, "interval")
        bands = of_kind(panel, "band")
        assert len(circles) == len(lines) == len(bands) == len(findings.comparisons) == 3
        for one, circle, line, band in zip(
            findings.comparisons, circles, lines, bands, strict=True
        ):
            close(value(float(circle.get("cx"))), 100 * one.estimate, value)
            ends = [value(x) for x, _ in points(line.get("d"))]
            close(ends, 100 * np.array(one.interval), value)
            left, wide = float(band.get("x")), float(band.get("width"))
            close([value(left), value(left + wide)], [-2, 2], value)
        figures = [difference_of(one, findings.metric) for one in findings.comparisons]
        assert texts(panel, "figures") == [f"{seen} ({ends})" for seen, ends in figures]
        assert texts(panel, "verdict") == [one.verdict for one in findings.comparisons]

    @pytest.mark.parametrize(
        ("metric", "sides"),
        [
            ("accuracy", ["← new worse", "new better →"]),
            ("log_loss", ["← new better", "new worse →"]),
        ],
    )
    def test_better_is_on_the_side_that_the_metric_says(self, metric, sides):
        one = compared([0.3, 0.4, 0.35], [0.5, 0.7, 0.6], metric=metric, margin=0.01)
        (panel,) = panels(intervals_chart(findings_by_hand([one], metric)))
        assert [text for text in texts(panel, "soft") if "new" in text] == sides
        assert texts(panel, "verdict") == [one.verdict]

    def test_one_model_has_none(self):
        assert intervals_chart(findings_by_hand([])) == ""

    def test_without_an_interval_the_figures_say_so(self):
        one = compared([0.7], [0.6], scope="split", n_train=80, n_test=20)
        assert one.interval is None
        drawn = intervals_chart(findings_by_hand([one]))
        (panel,) = panels(drawn)
        assert of_kind(panel, "interval") == []
        assert texts(panel, "figures") == ["+10.0, no interval"]
        value = x_scale(panel)
        close(value(float(of_kind(panel, "estimate")[0].get("cx"))), 10, value)

    def test_one_interval_far_wider_goes_on_beyond_the_axis(self):
        narrow = [compared(*(0.7 + scores_of(2, 9, seed) / 100)) for seed in range(4)]
        wide = compared([0.9, 0.1, 0.5], [0.1, 0.9, 0.5])
        drawn = intervals_chart(findings_by_hand([*narrow, wide]))
        (panel,) = panels(drawn)
        assert "goes on beyond the axis" in drawn
        value = x_scale(panel)
        shown = [value(x) for x, _ in points(of_kind(panel, "interval")[-1].get("d"))]
        ends = 100 * np.array(wide.interval)
        assert ends[0] < shown[0]
        assert shown[1] < ends[1]
        # The others are still wide enough to be seen.
        line = points(of_kind(panel, "interval")[0].get("d"))
        assert line[1][0] - line[0][0] > 1.5

    def test_one_wide_interval_alone_is_whole(self):
        wide = compared([0.9, 0.1], [0.1, 0.9])
        (panel,) = panels(intervals_chart(findings_by_hand([wide])))
        value = x_scale(panel)
        ends = [value(x) for x, _ in points(of_kind(panel, "interval")[0].get("d"))]
        close(ends, 100 * np.array(wide.interval), value)

    def test_a_margin_of_nothing_has_no_band(self):
        one = compared([0.7, 0.8, 0.9], [0.6, 0.8, 0.85], margin=0.0)
        drawn = intervals_chart(findings_by_hand([one], margin=0.0))
        assert of_kind(parsed(drawn), "band") == []
        assert "any difference matters" in drawn

    def test_no_difference_at_all(self):
        one = compared([0.5] * 4, [0.5] * 4)
        (panel,) = panels(intervals_chart(findings_by_hand([one])))
        value = x_scale(panel)
        close(value(float(of_kind(panel, "estimate")[0].get("cx"))), 0, value)

    def test_long_figures_have_a_line_of_their_own(self):
        a = np.array([0.5, 0.5 + 1e-11, 0.5])
        one = compared(a, [0.5] * 3, metric="log_loss", margin=1e-12)
        (panel,) = panels(intervals_chart(findings_by_hand([one], "log_loss", 1e-12)))
        seen, ends = difference_of(one, METRICS["log_loss"])
        assert " ".join(texts(panel, "figures")) == f"{seen} ({ends})"

    def test_data_sets_have_a_row_each_and_their_mean(self):
        pairs = {name: tuple(scores_of(2, 6, seed)) for seed, name in enumerate("uvw")}
        found = compare_on_data_sets(pairs, names=("new", "old"))
        findings = findings_by_hand(
            list(found.comparisons.values()), data_sets=tuple(found.comparisons), mean=found.mean
        )
        (panel,) = panels(intervals_chart(findings))
        value = x_scale(panel)
        *circles, diamond = of_kind(panel, "estimate")
        assert len(circles) == 3
        x = points(diamond.get("d"))[1][0]
        close(value(x), 100 * found.mean.estimate, value)
        rows = texts(panel, "bold")
        assert rows == ["new minus old", "u", "v", "w", "mean over 3 data sets"]

    def test_many_comparisons_stand_in_two_panels_of_one_scale(self):
        findings = findings_of_models([f"m{place}" for place in range(5)])
        first, second = panels(intervals_chart(findings))
        assert len(of_kind(first, "estimate")) + len(of_kind(second, "estimate")) == 10
        assert x_scale(first)(200.0) == pytest.approx(x_scale(second)(200.0))


class TestSeeds:
    def test_dots_means_and_intervals_are_the_values(self):
        scores = scores_of(3, 20)
        intervals = [Interval(0.6, 0.62), None, Interval(0.7, 0.71)]
        panel, _ = panels(seeds_chart(["a", "b", "c"], scores, intervals=intervals))
        value = x_scale(panel)
        for row, drawn in zip(scores, of_kind(panel, "dots", "path"), strict=True):
            close(value(dots(drawn)[:, 0]), 100 * np.sort(row), value)
        means = [value(points(one.get("d"))[0][0]) for one in of_kind(panel, "mean")]
        close(means, 100 * scores.mean(1), value)
        ends = [[value(x) for x, _ in points(one.get("d"))] for one in of_kind(panel, "interval")]
        close(ends, [[60, 62], [70, 71]], value)
        written = [f"mean {100 * mean:.2f}" for mean in scores.mean(1)]
        assert texts(panel, "figures") == written

    def test_lines_join_what_is_of_one_seed(self):
        scores = scores_of(3, 8)
        panel, _ = panels(seeds_chart(["a", "b", "c"], scores))
        value = x_scale(panel)
        (join,) = of_kind(panel, "join")
        lines = np.array(points(join.get("d"))).reshape(8, 3, 2)
        value.tolerance *= 1.6  # lines are drawn to a whole unit
        close(value(lines[:, :, 0]), 100 * scores.T, value)

    def test_unpaired_scores_are_joined_by_nothing(self):
        (panel,) = panels(seeds_chart(["a", "b"], scores_of(2, 8), is_paired=False))
        assert of_kind(panel, "join") == []

    def test_failed_and_diverged_runs_are_marked(self):
        scores = scores_of(2, 6)
        failed, diverged = np.zeros((2, 6), bool), np.zeros((2, 6), bool)
        failed[0, :3], diverged[0, 2], diverged[1, 4] = True, True, True
        drawn = seeds_chart(["a", "b"], scores, failed=failed, diverged=diverged)
        panel = panels(drawn)[0]
        value = x_scale(panel)
        paths = {one.get("id"): one for one in panel.iter("path") if one.get("id")}
        hollow = {}
        for kind in ("failed", "diverged"):
            used = [next(one.iter("use")).get("href")[1:] for one in of_kind(panel, kind, "g")]
            hollow[kind] = np.concatenate([dots(paths[name])[:, 0] for name in used])
        close(value(hollow["failed"]), 100 * np.sort(scores[0, :2]), value)
        close(value(hollow["diverged"]), 100 * scores[[0, 1], [2, 4]], value)
        assert "failed: 2 runs" in drawn
        assert "diverged: 2 runs" in drawn
        assert "3 failed, 1 diverged" in drawn

    def test_differences_are_counted(self):
        scores = np.array([[0.5, 0.5, 0.5, 0.5], [0.5, 0.6, 0.6, 0.4]])
        _, panel = panels(seeds_chart(["old", "new"], scores))
        value = x_scale(panel)
        (mean,) = of_kind(panel, "mean")
        close(value(points(mean.get("d"))[0][0]), 2.5, value)
        (bars,) = of_kind(panel, "bar")
        across, _ = np.array(points(bars.get("d"))).T
        close([value(across.min()), value(across.max())], [-10, 10], value)
        assert "better on 2, equal on 1, worse on 1 of 4" in words(panel[1])

    def test_less_is_better_of_a_loss(self):
        scores = np.array([[0.5, 0.5, 0.5], [0.4, 0.4, 0.6]])
        _, panel = panels(seeds_chart(["old", "new"], scores, METRICS["log_loss"]))
        assert "better on 2, equal on 0, worse on 1 of 3" in words(panel[1])

    @pytest.mark.parametrize("n_seeds", [500, 100_000])
    def test_of_many_seeds_500_are_drawn_in_60_kb(self, n_seeds):
        names = [f"{place}{'x' * 79}" for place in range(8)]
        scores = scores_of(8, n_seeds)
        drawn = seeds_chart(names, scores, failed=scores < 0.6, diverged=scores < 0.5)
        count = sum(
            len(dots(one))
            for one in panels(drawn)[0].iter("path")
            if re.match(r"M[\d.-]+ ?[\d.-]+h0", one.get("d"))
        )
        assert count == 8 * 500
        assert len(drawn) < 60_000
        assert ("500 of 100000 drawn" in drawn) == (n_seeds > 500)

    def test_scores_that_are_not_defined_are_counted(self):
        scores = scores_of(2, 6)
        scores[1, 2], scores[0, 1] = np.nan, np.inf
        drawn = seeds_chart(["a", "b"], scores, METRICS["log_loss"])
        panel, other = panels(drawn)
        assert [len(dots(one)) for one in of_kind(panel, "dots", "path")] == [5, 5]
        assert "2 scores not defined" in drawn
        assert "of 4." in words(other[1])
        nothing = seeds_chart(["a", "b"], [[0.5, 0.6], [np.nan, np.nan]])
        assert "not defined" in texts(panels(nothing)[0], "figures")

    @pytest.mark.parametrize("scores", [[[0.5], [0.7]], [[1.0] * 5] * 3, [[0.0]], [[0.3] * 9]])
    def test_constants_and_single_seeds(self, scores):
        names = [f"m{place}" for place in range(len(scores))]
        panel = panels(seeds_chart(names, scores))[0]
        value = x_scale(panel)
        for row, drawn in zip(scores, of_kind(panel, "dots", "path"), strict=True):
            close(value(dots(drawn)[:, 0]), 100 * np.array(row), value)

    @pytest.mark.parametrize("scores", [[0.5, 0.6], [[0.5], [0.6], [0.7]], [[], []]])
    def test_another_shape_is_refused(self, scores):
        with pytest.raises(ValueError, match="for 2 models it must be"):
            seeds_chart(["a", "b"], scores)

    def test_marks_of_another_shape_are_refused(self):
        with pytest.raises(ValueError, match="must have the shape of values"):
            seeds_chart(["a"], [[0.5, 0.6]], failed=[True])

    def test_accuracies_are_shares_of_the_samples_tested(self):
        picture = AccuraciesPicture("data", ("a", "b"), np.array([[10, 20], [30, 40]]), 40)
        panel = panels(chart_of(picture))[0]
        value = x_scale(panel)
        drawn = [value(dots(one)[:, 0]) for one in of_kind(panel, "dots", "path")]
        close(drawn, [[25, 50], [75, 100]], value)


class TestCurves:
    def test_lines_are_medians(self):
        picture = curves_of(["a", "b"])
        loss, accuracy = panels(chart_of(picture))
        for panel, kind, value in (
            (loss, "loss", y_scale(loss, is_log=True)), (accuracy, "accuracy", y_scale(accuracy)),
        ):  # fmt: skip
            epoch = x_scale(panel)
            lines = iter(of_kind(panel, "line"))
            for part in ("train", "test"):
                for one in picture.curves:
                    line = next(lines)
                    assert ("dashed" in line.get("class")) == (part == "train")
                    across, up = np.array(points(line.get("d"))).T
                    close(epoch(across), one.epochs, epoch)
                    median = getattr(one, f"{part}_{kind}")[1]
                    if kind == "loss":
                        np.testing.assert_allclose(value(up), median, rtol=0.01)
                    else:
                        close(value(up), median, value)

    def test_bands_go_from_low_to_high(self):
        picture = curves_of(["a"])
        _, panel = panels(chart_of(picture))
        value = y_scale(panel)
        for drawn, band in zip(
            of_kind(panel, "area"),
            (picture.curves[0].train_accuracy, picture.curves[0].test_accuracy),
            strict=True,
        ):
            _, up = np.array(points(drawn.get("d"))).T
            close(value(up), [*band[2], *band[0][::-1]], value)

    def test_what_is_not_finite_is_left_out(self):
        def spoil(one):
            one.test_loss[:, 2] = np.nan
            one.train_loss[2, 3] = np.inf
            one.train_loss[1, 0] = 0.0  # which a logarithm has no place for
            return one

        panel, _ = panels(chart_of(curves_of(["a"], spoil=spoil)))
        train, test = of_kind(panel, "line")
        assert "nan" not in train.get("d") + test.get("d")
        assert test.get("d").count("M") == 2
        assert len(points(test.get("d"))) == len(points(train.get("d"))) == 3

    def test_nothing_finite_at_all(self):
        def spoil(one):
            for name in ("train_loss", "test_loss"):
                getattr(one, name)[:] = np.nan
            return one

        panel, _ = panels(chart_of(curves_of(["a", "b"], spoil=spoil)))
        assert of_kind(panel, "line") == []
        assert "not finite" in words(panel[1])

    def test_losses_of_any_size_stay_on_the_axis(self):
        def spoil(one):
            one.test_loss[2] = 1e300
            one.train_loss[0] = 1e-300
            return one

        panel, _ = panels(chart_of(curves_of(["a"], spoil=spoil)))
        value = y_scale(panel, is_log=True)
        up = np.array(points(of_kind(panel, "line")[1].get("d")))[:, 1]
        np.testing.assert_allclose(value(up)[0], 1.2, rtol=0.2)

    def test_one_point_is_a_level(self):
        picture = curves_of(["a", "b"], epochs=(0,))
        _, panel = panels(chart_of(picture))
        value = y_scale(panel)
        levels = [points(one.get("d")) for one in of_kind(panel, "line")]
        assert len(levels) == 4
        for (left, right), wanted in zip(levels, [50, 50, 48, 48], strict=True):
            assert right[0] - left[0] > 200
            assert left[1] == right[1]
            close(value(left[1]), wanted, value)

    def test_two_points(self):
        _, panel = panels(chart_of(curves_of(["a"], epochs=(1, 2))))
        assert [len(points(one.get("d"))) for one in of_kind(panel, "line")] == [2, 2]
        assert texts(panel, "tick-x") == ["1", "2"]

    def test_constant_curves(self):
        def spoil(one):
            for name in ("train_accuracy", "test_accuracy", "train_loss", "test_loss"):
                getattr(one, name)[:] = 50.0
            return one

        loss, accuracy = panels(chart_of(curves_of(["a"], spoil=spoil)))
        value = y_scale(accuracy)
        close(value(points(of_kind(accuracy, "line")[0].get("d"))[0][1]), 50, value)
        value = y_scale(loss, is_log=True)
        found = value(points(of_kind(loss, "line")[0].get("d"))[0][1])
        assert found == pytest.approx(50, rel=0.02)

    def test_long_curves_are_thinned(self):
        drawn = chart_of(curves_of(["a", "b"], epochs=tuple(range(1, 20_001))))
        assert len(drawn) < 40_000
        _, panel = panels(drawn)
        epoch = x_scale(panel)
        across = np.array(points(of_kind(panel, "line")[0].get("d")))[:, 0]
        close([epoch(across[0]), epoch(across[-1])], [1, 20_000], epoch)


def png(image):
    """Numbers of colours by row from the top, and the colours with how opaque they are."""
    content = base64.b64decode(image.get("href").removeprefix("data:image/png;base64,"))
    chunks, place = {}, 8
    while place < len(content):
        size = int.from_bytes(content[place : place + 4], "big")
        name, data = content[place + 4 : place + 8], content[place + 8 : place + 8 + size]
        crc = int.from_bytes(content[place + 8 + size : place + 12 + size], "big")
        assert crc == zlib.crc32(name + data)
        chunks[name.decode()], place = data, place + 12 + size
    wide = int.from_bytes(chunks["IHDR"][:4], "big")
    lines = np.frombuffer(zlib.decompress(chunks["IDAT"]), np.uint8).reshape(-1, wide + 1)
    assert (lines[:, 0] == 0).all()
    colors = np.frombuffer(chunks["PLTE"], np.uint8).reshape(-1, 3)
    alphas = np.frombuffer(chunks["tRNS"], np.uint8)
    assert lines.max() < len(colors) == len(alphas) <= 256
    return colors[lines[:, 1:]], alphas[lines[:, 1:]]


BLUE, ORANGE = (0, 0x72, 0xB2), (0xE6, 0x9F, 0)


class TestPlanes:
    def test_regions_are_the_decisions(self):
        picture = boundaries_of(["a"])
        panel, votes = panels(chart_of(picture))
        (image,) = of_kind(panel, "decisions")
        colors, alphas = png(image)
        decided = picture.decisions[0].logits[::-1] > 0
        assert (colors[decided] == ORANGE).all()
        assert (colors[~decided] == BLUE).all()
        assert (alphas == alphas[0, 0]).all()
        (image,) = of_kind(votes, "votes")
        colors, alphas = png(image)
        share = picture.decisions[0].share[::-1]
        assert (colors[share > 0.5] == ORANGE).all()
        np.testing.assert_allclose(alphas / 255, 0.9 * abs(2 * share - 1), atol=0.035)

    def test_the_border_is_where_the_logit_is_zero(self):
        panel = panels(chart_of(boundaries_of(["a"])))[0]
        across, up = x_scale(panel), y_scale(panel)
        (border,) = of_kind(panel, "border")
        x, y = np.array(points(border.get("d"))).T
        close(np.hypot(across(x), up(y)), 1.0, across)

    def test_samples_lie_where_they_are(self):
        picture = boundaries_of(["a"], n_classes=3)
        panel = panels(chart_of(picture))[0]
        across, up = x_scale(panel), y_scale(panel)
        one = picture.decisions[0]
        found = [dots(drawn) for defs in panel.iter("defs") for drawn in defs]
        assert len(found) == 3
        for label, places in enumerate(found):
            wanted = one.x[one.y == label]
            wanted = wanted[np.argsort(wanted[:, 0])]
            close(np.sort(across(places[:, 0])), wanted[:, 0], across)
            close(np.sort(up(places[:, 1])), np.sort(wanted[:, 1]), up)

    def test_of_several_classes_each_point_has_the_color_of_its_class(self):
        picture = boundaries_of(["a"], n_classes=9)
        panel, votes = panels(chart_of(picture))
        colors, alphas = png(of_kind(panel, "decisions")[0])
        chosen = picture.decisions[0].logits.argmax(0)[::-1]
        assert len(np.unique(colors[chosen == 0], axis=0)) == 1
        np.testing.assert_array_equal(colors[chosen == 0][0], colors[chosen == 7][0])
        # The eighth class has the first one's colour, and is hatched.
        assert len(np.unique(alphas[chosen == 0])) == 1
        assert len(np.unique(alphas[chosen == 7])) == 2
        assert len(np.unique(png(of_kind(votes, "votes")[0])[1])) == 2

    def test_a_model_that_diverged_says_so(self):
        panel = panels(chart_of(boundaries_of(["a"], diverged=True)))[0]
        assert of_kind(panel, "decisions") == []
        assert "diverged: it predicts nothing" in [words(one) for one in panel.iter("text")]

    def test_samples_beyond_the_plane_are_counted(self):
        picture = boundaries_of(["a"])
        picture.decisions[0].x[:3] = 9.0
        drawn = chart_of(picture)
        assert "3 beyond the plane are not drawn" in drawn
        assert sum(len(dots(one)) for defs in panels(drawn)[0].iter("defs") for one in defs) == 57

    def test_each_panel_is_below_60_kb(self):
        for picture in (boundaries_of(["a"]), boundaries_of(["a"], n_classes=12)):
            drawn = chart_of(picture)
            assert len(drawn) < 2 * 60_000

    def test_data_are_where_they_are(self):
        picture = data_of(2)
        (panel,) = panels(chart_of(picture))
        across, up = x_scale(panel), y_scale(panel)
        places = np.concatenate(
            [dots(one) for one in panel.iter("path") if "h0" in one.get("d", "")]
        )
        assert len(places) == 80
        close(np.sort(across(places[:, 0])), np.sort(picture.x[:, 0]), across)
        close(np.sort(up(places[:, 1])), np.sort(picture.x[:, 1]), up)

    @pytest.mark.parametrize("n_features", [1, 2])
    def test_constant_features(self, n_features):
        picture = data_of(2, n_features=n_features)
        picture.x[:] = 3.0
        (panel,) = panels(chart_of(picture))
        across = x_scale(panel)
        places = np.concatenate(
            [dots(one) for one in panel.iter("path") if "h0" in one.get("d", "")]
        )
        close(across(places[:, 0]), 3.0, across)


class TestClasses:
    def test_cells_have_their_shares(self):
        picture = confusion_of(["a", "b"], ["x", "y", "z"], nothing=0.1)
        for panel, shares, lost in zip(
            panels(chart_of(picture)), picture.shares, picture.nothing, strict=True
        ):
            wanted = 100 * np.concatenate([shares, lost[:, None]], 1)
            assert texts(panel, "cell") == [percent_words(share) for share in wanted.ravel()]
            whole = [float(text) for text in texts(panel, "cell") if text != "<0.1"]
            np.testing.assert_allclose(whole, wanted[wanted >= 0.05], atol=0.051)
            opacity = [float(one.get("fill-opacity")) for one in of_kind(panel, "heat")]
            np.testing.assert_allclose(opacity, 0.45 * np.sqrt(wanted / 100).ravel(), atol=1e-3)
            assert texts(panel, "row-name") == ["x", "y", "z"]
            assert texts(panel, "column-name") == ["x", "y", "z", "(nothing)"]

    def test_a_class_that_no_seed_tests_is_crossed_out(self):
        drawn = chart_of(confusion_of(["a"], ["x", "y"], untested=[1]))
        (panel,) = panels(drawn)
        assert len(texts(panel, "cell")) == 2
        assert len(of_kind(panel, "edge")) == 1
        assert "no seed tests samples of it" in drawn

    def test_of_many_classes_the_cells_are_one_picture(self):
        picture = confusion_of(["a"], [str(place) for place in range(40)])
        (panel,) = panels(chart_of(picture))
        (image,) = panel.iter("image")
        _, alphas = png(image)
        np.testing.assert_allclose(alphas / 255, np.sqrt(picture.shares[0]), atol=0.003)

    def test_bars_are_shares_and_say_the_counts(self):
        picture = classes_of(["x", "y", "z"])
        for panel, counts in zip(panels(chart_of(picture)), picture.counts, strict=True):
            value = x_scale(panel)
            shares = 100 * counts / counts.sum()
            (bars,) = of_kind(panel, "bar")
            ends = np.array(points(bars.get("d"))).reshape(3, 4, 2)[:, 1, 0]
            close(value(ends), shares, value)
            told = [f"{n} ({share:.1f} %)" for n, share in zip(counts, shares, strict=True)]
            assert texts(panel, "figures") == told


class TestLucky:
    def data(self, lucky):
        root = parsed(lucky_chart(lucky))
        (box,) = (one for one in root.iter() if one.get("data-lucky"))
        return box, json.loads(box.get("data-lucky"))

    def test_the_slider_has_a_sentence_and_places_for_each_size(self):
        lucky = lucky_of()
        box, rows = self.data(lucky)
        assert len(rows) == len(lucky.sizes) == 10
        slider = next(box.iter("input"))
        assert (slider.get("type"), slider.get("min"), slider.get("max")) == ("range", "0", "9")
        assert rows[int(slider.get("value"))][1] == next(box.iter("output")).text
        assert rows[3][:2] == [
            "4 seeds",
            "With 4 seeds, 12.5 % of draws out of these very 20 would have pointed to the wrong "
            "model; the honest interval is then 10 pp wide.",
        ]
        assert rows[0][1].startswith("With 1 seed, 50.0 % of draws")
        assert rows[0][1].endswith("no honest interval can then be given.")
        shares, widths = panels(lucky_chart(lucky))
        across, up = x_scale(shares), y_scale(shares)
        places = np.array([row[2].split() for row in rows], float)
        close(across(places[:, 0]), lucky.sizes, across)
        close(up(places[:, 1]), 100 * np.array(lucky.wrong), up)
        across, up = x_scale(widths), y_scale(widths, is_log=True)
        assert rows[0][3] == ""
        places = np.array([row[3].split() for row in rows[1:]], float)
        close(across(places[:, 0]), lucky.sizes[1:], across)
        np.testing.assert_allclose(up(places[:, 1]), 100 * np.array(lucky.width[1:]), rtol=0.01)

    def test_without_script_a_table_tells_it(self):
        lucky = lucky_of()
        root = parsed(lucky_chart(lucky))
        rows = [[words(cell) for cell in row] for row in next(root.iter("tbody"))]
        assert [row[0] for row in rows] == ["1", "2", "4", "8", "10"]
        assert rows[1] == ["2", "25.0 %", "1 %", "0 %", "75.0 %", "20 pp"]
        assert rows[0][-1] == "none"
        (slider,) = (one for one in root.iter() if one.get("class") == "lucky-slider")
        assert slider.get("hidden")
        marks = [one for one in root.iter("g") if one.get("class") == "lucky-mark"]
        assert [one.get("visibility") for one in marks] == ["hidden", "hidden"]

    def test_no_name_is_in_the_script_or_its_data(self):
        before = script()
        names = ("zebra</script>", "aardvark")
        drawn = lucky_chart(lucky_of(names=names))
        assert script() == before
        data = html.unescape(re.search(r'data-lucky="([^"]*)"', drawn)[1])
        assert "zebra" not in data
        assert "</script>" not in drawn

    @pytest.mark.parametrize("n_pairs", [2, 3, 1000])
    def test_few_seeds_and_many(self, n_pairs):
        _, rows = self.data(lucky_of(n_pairs=n_pairs))
        assert len(rows) == n_pairs // 2

    def test_an_inconclusive_study_does_not_know_what_is_wrong(self):
        assert "inconclusive" in lucky_chart(lucky_of(verdict="inconclusive"))
        assert "inconclusive" not in lucky_chart(lucky_of())

    def test_who_is_ahead_heeds_the_metric(self):
        drawn = lucky_chart(lucky_of(metric="log_loss", estimate=-0.2))
        assert "new is ahead of old by 0.20" in drawn
        drawn = lucky_chart(lucky_of(estimate=-0.2))
        assert "old is ahead of new by 20 pp" in drawn
        assert "do not differ" in lucky_chart(lucky_of(estimate=0.0))

    def test_no_interval_at_any_size(self):
        lucky = lucky_of(width=(None,) * 10)
        _, rows = self.data(lucky)
        assert {row[3] for row in rows} == {""}
