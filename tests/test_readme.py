import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from functional_clf import Study, circles, model_0, model_1, run
from functional_clf.cli import check, compare, main, plan

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)


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


def test_the_commands_for_scores_run_as_they_stand(tmp_path, monkeypatch, capsys):
    commands = [line.split() for line in README.splitlines() if "-m functional_clf.c" in line]
    monkeypatch.chdir(tmp_path)
    rows = [
        f"{model},{seed},0.{5 + (seed + k) % 4}\n"
        for k, model in enumerate("ab")
        for seed in range(8)
    ]
    Path("scores.csv").write_text("model,seed,accuracy\n" + "".join(rows))
    for name, epochs in (("old", 3), ("new", 40)):
        models = model_0(epochs=3), model_1(epochs=epochs)
        Study(circles(60), models, seeds=6, engine="eager", threads=1).run(f"runs/{name}")
    names = []
    for _, _, module, *args in commands:
        names.append(module.rpartition(".")[2])
        assert main.main([names[-1], *args]) in (0, 1, 3)
        assert capsys.readouterr().err == ""
    assert names == ["compare", "check"]
    assert Path("gate.xml").exists()


def test_every_option_it_names_exists(capsys):
    for command in (run.main, compare.main, check.main, plan.main):
        with pytest.raises(SystemExit):
            command(["--help"])
    known = set(re.findall(r"--[a-z][-a-z0-9.]*", capsys.readouterr().out))
    of_ours = README.replace(COMMANDS[1], "").replace("--nproc-per-node", "")  # torchrun's own
    assert set(re.findall(r"(?<![-\w])--[a-z][-a-z0-9]*(?:\.[a-z-]+)?", of_ours)) <= known


def test_every_file_it_shows_is_there():
    for link in re.findall(r"\]\((?!http)([^)]+)\)", README):
        path, _, anchor = link.partition("#")
        assert (ROOT / path).is_file()
        if anchor:
            headings = re.findall(r"^#+ (.+)$", (ROOT / path).read_text(encoding="utf-8"), re.M)
            assert anchor in [heading.lower().replace(" ", "-") for heading in headings]


def _environment():
    return os.environ | {"PYTHONPATH": str(ROOT)}
