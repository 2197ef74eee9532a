import re
import subprocess
import sys
from pathlib import Path

import pytest

from functional_clf import run

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


def test_the_functional_core_is_25_lines_or_so():
    core = next(snippet for snippet in SNIPPETS if "def train_step" in snippet)
    assert len([line for line in core.splitlines() if line.strip()]) <= 25


def test_continuous_integration_runs_the_two_commands_as_they_stand():
    assert len(COMMANDS) == 2
    assert all(command.count("\n") == 1 for command in COMMANDS)
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "readme_command 1" in script
    assert "readme_command 2" in script


def test_every_option_it_names_exists(capsys):
    with pytest.raises(SystemExit):
        run.main(["--help"])
    known = set(re.findall(r"--[a-z][-a-z0-9.]*", capsys.readouterr().out))
    of_ours = README.replace(COMMANDS[1], "").replace("--nproc-per-node", "")  # torchrun's own
    assert set(re.findall(r"(?<![-\w])--[a-z][-a-z0-9]*", of_ours)) <= known


def test_every_file_it_shows_is_there():
    for path in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / path).is_file()


def _environment():
    import os

    return os.environ | {"PYTHONPATH": str(ROOT)}
