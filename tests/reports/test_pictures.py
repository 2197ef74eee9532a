import pickle
from pathlib import Path

import numpy as np
import pytest

from functional_clf.reports import pictures
from functional_clf.reports.outputs import plot_files


def test_the_files_of_pictures_are_named_after_them():
    wanted = {path.name for path in plot_files(Path("out"))}
    assert {f"{name}.png" for name in pictures.NAMES} == wanted


def test_values_travel_as_they_are():
    band = np.array([[0.1, np.nan], [1.0, np.inf], [2.0, -0.0]], np.float32)
    curves = pictures.ModelCurves(np.array([1, 2]), band, band.T, band[:0], band[:, :0])
    sent = pictures.CurvesPicture("ré\ud800", ("a", "模"), 3, "loss", (curves, curves))
    content = pictures.packed(pictures.Commission("curves", sent))
    assert b"pickle" not in content
    got = pictures.unpacked(content).picture
    assert (got.dataset, got.models, got.n_seeds) == (sent.dataset, sent.models, 3)
    for before, after in zip(sent.curves, got.curves, strict=True):
        for name, values in vars(before).items():
            np.testing.assert_array_equal(getattr(after, name), values, strict=True)


def test_answers_travel_as_they_are():
    said = pictures.Said(True, "file.py", "UserWarning", 3, "a\nb")
    for one in (
        pictures.Drawn("data", bytes(range(256)), said=(said,)),
        pictures.Drawn("data", None, "why"),
    ):
        assert pictures.unpacked(pictures.packed(one)) == one


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x" * 40,
        pictures.packed(pictures.Drawn("data", b"png"))[:-1],
        pictures.packed(pictures.Drawn("data", b"png"))[:20],
        pictures.packed({"class": "Popen", "fields": {}}),
        pictures.packed({"class": "Drawn", "fields": {"nonsense": 3}}),
        pictures.packed({"array": 3}),
    ],
)
def test_what_is_no_message_is_refused(content):
    with pytest.raises(ValueError):  # noqa: PT011 - numpy's and json's own, too
        pictures.unpacked(content)


def test_objects_are_not_unpickled():
    whole = pictures.packed(pictures.Drawn("data", b""))
    size = int.from_bytes(whole[:8], "big")
    forged = whole[: 8 + size] + pickle.dumps(print)
    with pytest.raises(ValueError, match="these are no values of a picture"):
        pictures.unpacked(forged)
