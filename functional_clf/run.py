"""The command line of the main job: `python -m functional_clf.run --seeds 64`."""

import sys

from functional_clf.cli.run import main

if __name__ == "__main__":
    sys.exit(main())
