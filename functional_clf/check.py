"""The command line of the gate: `python -m functional_clf.check RUN --against BASELINE`."""

import sys

from functional_clf.cli.check import main

if __name__ == "__main__":
    sys.exit(main())
