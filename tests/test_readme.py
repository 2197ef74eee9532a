import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from functional_clf import Study, circles, model_0, model_1, run
from functional_clf.cli import check, compare, main, plan

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {
    path: path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
}
ALL = "".join(PAGES.values())
SNIPPETS = [
    one for page in PAGES.values() for one in re.findall(r"```python\n(.*?)```", page, re.S)
]
COMMANDS = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
LINES = [
    line.strip()
    for page in PAGES.values()
    for line in page.replace(" \\\n", " ").splitlines()
    if line.startswith("    python -m functional_clf.")
]
"""The indented commands, each of one line."""


def test_the_readme_is_short():
    assert len(README.splitlines()) < 220


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda text: text.strip().splitlines()[-1][:40])
def test_every_snippet_runs_as_it_stands(snippet, tmp_path):
    args = [sys.executable, "-W", "error", "-c", snippet]
    done = subprocess.run(
        args, cwd=tmp_path, env=_environment(), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


EXAMPLES = {
    "lesson.py": (["6", "60"], ["model_1: ", "Verdict: better", "6 of 6 seeds failed"]),
    "own_network.py": (["6", "20"], ["skip", "model_1", "Over 6 paired seeds", "moons(500"]),
    "own_table.py": (["6", "30"], ["breast_cancer", "balanced", "ROC AUC", "6 paired seeds"]),
    "statistics_alone.py": ([], ["better\n", "wider", "no torch was imported"]),
}


def test_every_example_is_tried():
    assert sorted(path.name for path in (ROOT / "examples").glob("*.py")) == sorted(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short_and_runs_as_it_says(name, tmp_path):
    path, (args, wanted) = ROOT / "examples" / name, EXAMPLES[name]
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 40
    assert f"Run it with `python examples/{name}`" in text.partition('"""\n\n')[0]
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path), *args],
        cwd=tmp_path,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    for words in wanted:
        assert words in done.stdout


def test_the_functional_core_is_25_lines_or_so():
    core = next(snippet for snippet in SNIPPETS if "def train_step" in snippet)
    assert len([line for line in core.splitlines() if line.strip()]) <= 25


def test_continuous_integration_runs_the_two_commands_as_they_stand():
    assert len(COMMANDS) == 2
    assert all(command.count("\n") == 1 for command in COMMANDS)
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "readme_command 1" in script
    assert "readme_command 2" in script


NETWORKS = """
from torch import nn

def plain(n_features, n_classes):
    return nn.Sequential(nn.Linear(n_features, 16), nn.ReLU(), nn.Linear(16, n_classes))

def normed(n_features, n_classes):
    return nn.Sequential(nn.Linear(n_features, 16), nn.BatchNorm1d(16), nn.Linear(16, n_classes))

net = normed
"""


@pytest.fixture
def somebodys_folder(tmp_path, monkeypatch):
    """All that the commands of the pages speak of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_models", raising=False)  # that of an earlier folder
    rows = [
        f"{model},{seed},0.{5 + (seed + k) % 4}\n"
        for k, model in enumerate("ab")
        for seed in range(8)
    ]
    Path("scores.csv").write_text("model,seed,accuracy\n" + "".join(rows))
    for name, target in (("patients", "diagnosis"), ("churn", "churned")):
        cells = [f"{20 + k * 7 % 50},{'fm'[k % 2]},{k * 7 % 50 > 24}\n" for k in range(480)]
        Path(f"{name}.csv").write_text(f"age,sex,{target}\n" + "".join(cells))
    Path("my_models.py").write_text(NETWORKS)
    for name, epochs in (("old", 3), ("new", 40)):
        models = model_0(epochs=3), model_1(epochs=epochs)
        Study(circles(60), models, seeds=6, engine="eager", threads=1).run(f"runs/{name}")
    yield
    sys.modules.pop("my_models", None)


def test_all_commands_are_tried():
    assert {line.split()[2].rpartition(".")[2] for line in LINES} == {
        "run", "compare", "check", "plan",
    }  # fmt: skip


@pytest.mark.parametrize("line", sorted(set(LINES)), ids=lambda line: line[28:75])
@pytest.mark.usefixtures("somebodys_folder")
def test_a_command_runs_as_it_stands(line, capsys):
    _, _, module, *args = shlex.split(line)
    name = module.rpartition(".")[2]
    # Fewer seeds, and no minutes of torch.compile for them.
    run_fewer = ["--seeds", "3", "--threads", "1", "--engine", "eager"]
    fewer = {"run": run_fewer, "plan": ["--pilot-seeds", "4"]}
    assert main.main([name, *args, *fewer.get(name, [])]) in (
        (0, 1, 3) if name == "check" else (0,)
    )
    if name in ("compare", "check"):  # the others tell of their progress
        assert capsys.readouterr().err == ""
    assert Path("gate.xml").exists() == ("--junit" in args)


def test_every_option_it_names_exists(capsys):
    for command in (run.main, compare.main, check.main, plan.main):
        with pytest.raises(SystemExit):
            command(["--help"])
    known = set(re.findall(r"--[a-z][-a-z0-9.]*", capsys.readouterr().out))
    of_ours = ALL.replace(COMMANDS[1], "").replace("--nproc-per-node", "")  # torchrun's own
    assert set(re.findall(r"(?<![-\w])--[a-z][-a-z0-9]*(?:\.[a-z-]+)?", of_ours)) <= known


def test_every_file_it_shows_is_there():
    for page, text in PAGES.items():
        for link in re.findall(r"\]\((?!http)([^)]+)\)", text):
            name, _, anchor = link.partition("#")
            path = page.parent / name
            assert path.is_file()
            if anchor:
                headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
                assert anchor in [heading.lower().replace(" ", "-") for heading in headings]


def _environment():
    return os.environ | {"PYTHONPATH": str(ROOT)}
