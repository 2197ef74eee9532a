"""The console script: `functional-clf run` is `python -m functional_clf.run`."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import functional_clf
from functional_clf.cli import main as main_command

ROOT = Path(__file__).parents[2]
SMALL = ["--samples", "80", "--epochs", "12", "--engine", "eager", "--seeds", "4", "--no-plots"]
IN_PYTHON = "import sys; from functional_clf.cli.main import main; sys.exit(main())"


def script():
    """The installed script, or where the package was installed without it what it does."""
    beside = shutil.which("functional-clf", path=str(Path(sys.executable).parent))
    return [beside] if beside else [sys.executable, "-c", IN_PYTHON]


def ended(command, *args, folder):
    return subprocess.run(
        [*command, *args],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_run_is_the_main_job_and_leaves_the_same_bytes(tmp_path):
    module = [sys.executable, "-m", "functional_clf.run"]
    there = ended(module, *SMALL, "--out", "there", folder=tmp_path)
    here = ended(script(), "run", *SMALL, "--out", "here", folder=tmp_path)
    assert there.returncode == here.returncode == 0, here.stderr
    assert here.stdout.replace("here/", "there/") == there.stdout
    found, wanted = ((tmp_path / name / "seeds.csv").read_bytes() for name in ("here", "there"))
    assert found == wanted
    assert found.count(b"\n") == 9
    # And one goes on with what the other began.
    again = ended(script(), "run", *SMALL, "--out", "there", folder=tmp_path)
    assert again.stdout == there.stdout


def test_the_script_is_declared():
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert told["project"]["scripts"] == {"functional-clf": "functional_clf.cli.main:main"}
    declared = importlib.metadata.entry_points(group="console_scripts", name="functional-clf")
    for one in declared:  # none, where the package was installed before it had a script
        assert one.load() is main_command.main


@pytest.mark.parametrize("args", [[], ["-h"], ["--help"]])
def test_help_names_every_command(args, capsys):
    assert main_command.main(args) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("usage: functional-clf COMMAND")
    for name in main_command.COMMANDS:
        assert f"\n  {name} " in captured.out
    assert not captured.err


def test_the_version_is_printed(capsys):
    assert main_command.main(["--version"]) == 0
    assert capsys.readouterr().out == f"{functional_clf.__version__}\n"


def test_help_of_a_command_calls_it_by_its_name(capsys):
    with pytest.raises(SystemExit) as stop:
        main_command.main(["run", "--help"])
    assert not stop.value.code
    assert capsys.readouterr().out.startswith("usage: functional-clf run ")


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (
            ["walk"],
            "error: command is 'walk'; it must be one of run, compare, check, plan, report\n",
        ),
        (
            ["--seeds", "4"],
            "error: command is '--seeds'; it must be one of run, compare, check, plan, report\n",
        ),
        (["run", "--seed", "4"], "error: Unrecognized options: --seed, 4\n"),
        (
            ["run", "--alpha", "2"],
            "error: alpha is 2.0; it must be at least 1e-09 and below 1, as in 0.05\n",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_one_line_and_exit_code_2(args, line, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main_command.main(args) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", line)
    assert not list(tmp_path.iterdir())


def test_arguments_come_from_the_process_where_none_are_given(tmp_path):
    done = ended(script(), "walk", folder=tmp_path)
    assert done.returncode == 2
    assert (
        done.stderr
        == "error: command is 'walk'; it must be one of run, compare, check, plan, report\n"
    )
