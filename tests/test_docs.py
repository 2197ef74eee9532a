"""The pages for contributors: their code runs as they say, and their paths are there.

A block that begins with the path of a file is put there, in a copy of the package; one that begins
with `registry.py, in NAME` is a line of that registry. All other blocks run on that copy.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import functional_clf

ROOT = Path(__file__).parents[1]
PAGES = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in ("ARCHITECTURE.md", "CONTRIBUTING.md")
}
BLOCKS = re.findall(r"```python\n(.*?)```", "".join(PAGES.values()), re.DOTALL)
FILES = {
    match[1]: block
    for block in BLOCKS
    if (match := re.match(r"# (functional_clf/\S+\.py)\n", block))
}
LINES = {
    match[1]: block.partition("\n")[2]
    for block in BLOCKS
    if (match := re.match(r"# functional_clf/registry\.py, in (\w+)\n", block))
}
SCRIPTS = [block for block in BLOCKS if not block.startswith("# functional_clf/")]


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A copy of the package with all that the pages add to it."""
    root = tmp_path_factory.mktemp("extended")
    package = root / "functional_clf"
    without_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(functional_clf.__file__).parent, package, ignore=without_caches)
    for path, text in FILES.items():
        assert not (root / path).exists()
        (root / path).write_text(text, encoding="utf-8")
    registry = (package / "registry.py").read_text(encoding="utf-8")
    for name, line in LINES.items():
        start = registry.index("    {\n", registry.index(f"\n{name}: ")) + len("    {\n")
        registry = registry[:start] + f"        {line}" + registry[start:]
    (package / "registry.py").write_text(registry, encoding="utf-8")
    return root


def run(root, folder, *args):
    done = subprocess.run(
        [sys.executable, "-W", "error", *args],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_pages_add_one_of_each():
    assert [path.split("/")[1] for path in FILES] == ["data", "contestants", "engines"]
    assert list(LINES) == ["DATASETS", "CONTESTANTS", "ENGINES"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda text: text.strip().splitlines()[-1][:40])
def test_every_block_prints_what_it_says(script, extended, tmp_path):
    said = re.findall(r"^print\(.*\)  # (.+)$", script, re.MULTILINE)
    assert said
    assert len(said) == len(re.findall(r"^\s*print\(", script, re.MULTILINE))
    assert run(extended, tmp_path, "-c", script).splitlines() == said


@pytest.mark.parametrize("code", FILES.values(), ids=FILES)
def test_a_skeleton_is_short_and_as_the_linter_wants_it(code):
    lines = [
        line for line in code.splitlines()[1:] if line and not line.startswith(("import", "from"))
    ]
    assert len(lines) <= 28
    ruff = pytest.importorskip("ruff", reason="the lint extra is not installed")
    settings = ["--config", str(ROOT / "pyproject.toml"), "--stdin-filename", "block.py"]
    for check in (["check", "--ignore", "D102,D103"], ["format", "--check"]):
        done = subprocess.run(
            [ruff.find_ruff_bin(), *check, *settings, "-"],
            input=code,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_command_line_offers_what_was_added(extended, tmp_path):
    small = ["--seeds", "3", "--samples", "90", "--epochs", "5", "--no-plots", "--out", "out"]
    models = ["--model-0.layer-sizes", "2", "3", "--model-1.layer-sizes", "2", "4", "3"]
    args = ["-m", "functional_clf.run", *small, *models, "--data", "wheel", "--engine", "looped"]
    assert "on wheel(90, noise 0.03, n_classes 3)" in run(extended, tmp_path, *args)
    replayed = run(extended, tmp_path, *args, "--replay", "2")
    assert replayed.count("identical") == 2


@pytest.mark.parametrize("name", PAGES)
def test_every_path_and_link_leads_somewhere(name):
    text = re.sub(r"```.*?```", "", PAGES[name], flags=re.DOTALL)
    for path in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (ROOT / path).is_file(), path
    paths = re.findall(r"`((?:[a-z_]+/)*[a-z_]+(?:\.py|\.h|/))`", text)
    assert paths
    for path in paths:
        assert (ROOT / path).exists() or (ROOT / "functional_clf" / path).exists(), path


def test_the_layers_are_those_that_the_linter_keeps():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    contracts = tomllib.loads(text)["tool"]["importlinter"]["contracts"]
    layers = next(one for one in contracts if one["containers"] == ["functional_clf"])["layers"]
    told = re.findall(r"^\| `(\w+)(?:/|\.py)` \|", PAGES["ARCHITECTURE.md"], re.MULTILINE)
    assert told == " | ".join(layers).split(" | ")


def test_modules_that_are_said_to_need_no_torch_load_none(tmp_path):
    told = re.search(r"No torch is needed by (.+?)\. ", PAGES["ARCHITECTURE.md"].replace("\n", " "))
    assert told
    paths = re.findall(r"`([a-z_/]+?)(?:/|\.py)`", told[1])
    assert len(paths) > 5
    names = [f"functional_clf.{path.replace('/', '.')}" for path in paths]
    code = f"import importlib, sys\nfor name in {names}: importlib.import_module(name)\n"
    assert run(ROOT, tmp_path, "-c", code + "print('torch' in sys.modules)") == "False\n"


def test_every_check_it_names_can_be_run():
    table = PAGES["CONTRIBUTING.md"].partition("| check |")[2].partition("\n\n")[0]
    named = re.findall(r"^\| [^|]+ \| `(.+?)` \|", table, re.MULTILINE)
    assert len(named) > 5
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for command in named:
        for part in command.split(" && "):
            known = part in ci or "-m pytest" in part or part == "bash .ci/run"
            bench = re.search(r"-m bench\.(\w+)$", part)
            assert known or (bench and (ROOT / "bench" / f"{bench[1]}.py").is_file()), part
