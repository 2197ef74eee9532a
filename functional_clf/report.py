"""The command line of reports: `python -m functional_clf.report runs/mine`."""

import sys

from functional_clf.cli.report import main

if __name__ == "__main__":
    sys.exit(main())
