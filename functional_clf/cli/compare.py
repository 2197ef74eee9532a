"""`functional-clf compare scores.csv`: scores from anywhere, without torch."""

import json
import sys
from collections.abc import Sequence

from rich.console import Console

from functional_clf.cli import interrupts
from functional_clf.cli.compare_arguments import PROGRAM, CompareArguments, parse_compare
from functional_clf.cli.ending import ended
from functional_clf.cli.imports import uncollected
from functional_clf.cli.screen import consoles
from functional_clf.support.text import printable


def main(args: Sequence[str] | None = None, program: str = PROGRAM) -> int:
    """Read scores, compare them, print the conclusion and every doubt; the exit code.

    Args:
        args: command-line arguments; None takes them from the process.
        program: what the help calls the command.
    """
    return ended(lambda: _run(list(sys.argv[1:] if args is None else args), program))


def _run(args: list[str], program: str) -> int:
    stdout, _ = consoles()
    return _compare(parse_compare(args, program), stdout)


def _compare(arguments: CompareArguments, stdout: Console) -> int:
    # Not sooner: polars takes longer than a wrong argument should.
    with uncollected():
        from functional_clf.reports.score_tables import scores_table
        from functional_clf.score_tables.comparing import compare_scores
    interrupts.take_over_again()  # polars has a handler of its own
    with interrupts.raising():
        found = compare_scores(
            arguments.scores,
            model_column=arguments.model_column,
            seed_column=arguments.seed_column,
            score_column=arguments.score_column,
            dataset_column=arguments.dataset_column,
            baseline=arguments.baseline,
            metric=arguments.metric,
            common_seeds=arguments.common_seeds,
            **arguments.rules,
        )
        if arguments.json:
            print(json.dumps(found.to_dict(), indent=2, allow_nan=False))
            return 0
        stdout.print(scores_table(found))
        # One line where a program may read it; a terminal gets it wrapped at words.
        is_long = not stdout.is_terminal
        stdout.print(printable(found.conclusion, keep="\n"), soft_wrap=is_long)
        for doubt in found.doubts:
            stdout.print(printable(f"Doubt: {doubt}."), soft_wrap=is_long)
    return 0
