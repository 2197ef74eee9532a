import pytest

from functional_clf import Study, circles, mlp_recipe


def study(names=("a", "b"), **settings):
    recipes = [mlp_recipe(name, (2, 1), None, "sgd", 0.1, epochs=2) for name in names]
    return Study(circles(20), recipes, engine="eager", **settings)


def test_results_are_shown_in_a_few_lines_with_their_verdict():
    results = study(seeds=range(3, 7)).run()
    assert repr(results) == (
        "Results of a, b\n"
        "on circles(20, noise 0.03, factor 0.8), seeds 3 to 6, vary data, engine eager\n"
        f"b - a: {results.comparisons()[0].verdict}"
    )


@pytest.mark.parametrize(
    ("names", "settings", "lines", "words"),
    [
        (["only"], {"seeds": 1}, 2, "Results of only"),
        ([f"m{i}" for i in range(5)], {"seeds": 2}, 6, "... and 7 more comparisons"),
        (["a", "b"], {"design": "crossed", "data_seeds": 2, "init_seeds": 3}, 3, "3 init seeds"),
        (["x" * 60 + str(i) for i in range(4)], {"seeds": 2}, 6, "…"),
    ],
    ids=["one model", "five models", "crossed", "long names"],
)
def test_no_study_fills_the_screen(names, settings, lines, words):
    shown = repr(study(names, **settings).run()).splitlines()
    assert len(shown) == lines
    assert max(map(len, shown)) <= 120
    assert words in "\n".join(shown)
