"""The command line of scores from anywhere: `python -m functional_clf.compare scores.csv`.

`functional_clf.compare` itself is and stays the function (see `functional_clf/__init__.py`).
"""

import sys

from functional_clf.cli.compare import main

if __name__ == "__main__":
    sys.exit(main())
