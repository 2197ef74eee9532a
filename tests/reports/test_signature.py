import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from functional_clf.reports import signature
from functional_clf.reports.signature import Signature, sign, signature_of, standing, up_to_date


def png(shade=0):
    content = io.BytesIO()
    Image.fromarray(np.full((8, 8), shade, np.uint8)).save(content, format="png")
    return content.getvalue()


def fill(folder, of="these", drawn=("data", "curves"), absent=None):
    one = Signature(signature.mark(of), drawn, absent or {})
    for shade, name in enumerate(drawn):
        (folder / f"{name}.png").write_bytes(sign(png(shade), one))
    return one


def test_it_needs_neither_torch_nor_matplotlib_nor_polars():
    code = (
        "import sys; from functional_clf.reports.signature import mark, up_to_date; mark('x');"
        "print({'torch', 'matplotlib', 'polars', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_signed_picture_is_the_same_picture():
    one = Signature("mark", ("data",), {"boundaries": "ré\0"})
    signed = sign(png(7), one)
    assert signature_of(signed) == one
    image = Image.open(io.BytesIO(signed))
    image.verify()  # the checksums of all chunks
    image = Image.open(io.BytesIO(signed))
    assert (np.asarray(image) == 7).all()
    assert '"mark": "mark"' in image.text["functional_clf"]


def test_a_signature_is_of_one_picture_as_it_was():
    signed = sign(png(7), Signature("mark", ("data",), {}))
    assert signature_of(png(7)) is None
    assert signature_of(b"") is None
    assert signature_of(b"\x89PNG\r\n\x1a\n") is None
    for end in range(0, len(signed), 5):
        assert signature_of(signed[:end]) is None
    changed = bytearray(signed)
    changed[-20] ^= 1
    assert signature_of(bytes(changed)) is None
    for text in (b"[]", b"null", b'{"rest": 1}', b"\xff", b"{"):
        chunk = b"tEXt" + signature.KEYWORD + b"\0" + text
        framed = len(chunk[4:]).to_bytes(4, "big") + chunk + bytes(4)
        assert signature_of(png()[:33] + framed + png()[33:]) is None


def test_pictures_are_up_to_date_where_all_are_there_and_of_these_results(tmp_path):
    assert not up_to_date(tmp_path, "these")
    one = fill(tmp_path, absent={"accuracies": "why", "boundaries": "why not"})
    assert standing(tmp_path, "these") == one
    assert not up_to_date(tmp_path, "others")

    (tmp_path / "boundaries.png").write_bytes(sign(png(), one))  # there should be none
    assert not up_to_date(tmp_path, "these")
    (tmp_path / "boundaries.png").unlink()
    assert up_to_date(tmp_path, "these")

    content = (tmp_path / "curves.png").read_bytes()
    for other in (None, b"", png(), sign(png(), one._replace(mark="other"))):
        (tmp_path / "curves.png").unlink()
        if other is not None:
            (tmp_path / "curves.png").write_bytes(other)
        else:
            (tmp_path / "curves.png").mkdir()
        assert not up_to_date(tmp_path, "these")
        if other is None:
            (tmp_path / "curves.png").rmdir()
            assert not up_to_date(tmp_path, "these")
            (tmp_path / "curves.png").touch()
    (tmp_path / "curves.png").write_bytes(content)
    assert up_to_date(tmp_path, "these")


@pytest.mark.parametrize(
    ("variable", "path"),
    [
        (None, "matplotlibrc"),
        ("MATPLOTLIBRC", "other"),
        ("MATPLOTLIBRC", "folder/matplotlibrc"),
        ("MPLCONFIGDIR", "folder/matplotlibrc"),
        ("XDG_CONFIG_HOME", "matplotlib/matplotlibrc"),
        ("HOME", ".config/matplotlib/matplotlibrc"),
    ],
)
def test_other_settings_of_matplotlib_are_another_mark(variable, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if variable is not None:
        values = {"other": "other", "folder/matplotlibrc": "folder"}
        monkeypatch.setenv(variable, str(tmp_path / values.get(path, "")))
    before = signature.mark("these")
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text("axes.grid: True\n")
    with_settings = signature.mark("these")
    (tmp_path / path).write_text("axes.grid: False\n")
    assert len({before, with_settings, signature.mark("these")}) == 3


def test_another_matplotlib_is_another_mark(monkeypatch):
    before = signature.mark("these")
    monkeypatch.setattr("importlib.metadata.version", lambda package: "0.0")
    assert signature.mark("these") != before
