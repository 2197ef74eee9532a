"""The command line of planning: `python -m functional_clf.plan runs/pilot`.

`functional_clf.plan` itself is and stays the function (see `functional_clf/__init__.py`).
"""

import sys

from functional_clf.cli.plan import main

if __name__ == "__main__":
    sys.exit(main())
