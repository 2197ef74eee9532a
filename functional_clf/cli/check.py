"""`functional-clf check RUN --against BASELINE`: a gate, whose exit code tells."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from functional_clf.cli import interrupts
from functional_clf.cli.check_arguments import PROGRAM, CheckArguments, parse_check
from functional_clf.cli.ending import ended
from functional_clf.cli.imports import uncollected
from functional_clf.cli.screen import consoles
from functional_clf.support.files import write_whole
from functional_clf.support.text import printable


def main(args: Sequence[str] | None = None, program: str = PROGRAM) -> int:
    """Hold a run against a baseline, and say what came of it in a line; the exit code.

    Args:
        args: command-line arguments; None takes them from the process.
        program: what the help calls the command.
    """
    return ended(lambda: _run(list(sys.argv[1:] if args is None else args), program))


def _run(args: list[str], program: str) -> int:
    stdout, _ = consoles()
    return _check(parse_check(args, program), stdout)


def _check(arguments: CheckArguments, stdout: Console) -> int:
    # Not sooner: polars takes longer than a wrong argument should.
    with uncollected():
        from functional_clf.reports.gate_files import junit_xml, markdown
        from functional_clf.score_tables.gate import gate, side_of
        from functional_clf.score_tables.reading import Names, Reading, read_scores
    interrupts.take_over_again()  # polars has a handler of its own
    with interrupts.raising():
        tables = []
        for path in (arguments.run, arguments.against):
            names = Names(arguments.model_column, arguments.seed_column, arguments.score_column)
            reading = Reading(Names() if path.is_dir() else names, arguments.metric, at_least=1)
            tables.append(read_scores(path, reading))
        run = side_of(tables[0], arguments.model, "--model")
        asked = arguments.against_model
        if asked is None and len(tables[1].models) > 1 and run.model in tables[1].models:
            asked = run.model
        baseline = side_of(tables[1], asked, "--against-model")
        result = gate(run, baseline, **arguments.rules)
        files: list[tuple[Path, bytes]] = []
        if arguments.junit is not None:
            files.append((arguments.junit, junit_xml(result)))
        if arguments.markdown is not None:
            files.append((arguments.markdown, markdown(result).encode()))
        for path, content in files:
            write_whole(path, content)
        if arguments.json:
            print(json.dumps(result.to_dict(), indent=2, allow_nan=False))
            return result.code
        # One line where a program may read it; a terminal gets it wrapped at words.
        is_long = not stdout.is_terminal
        stdout.print(printable(result.line), soft_wrap=is_long)
        for doubt in result.doubts:
            stdout.print(printable(f"Doubt: {doubt}."), soft_wrap=is_long)
    return result.code
