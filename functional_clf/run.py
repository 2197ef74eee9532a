"""The command line of the main job: `python -m functional_clf.run --seeds 64`."""

import signal
import sys

if __name__ == "__main__":
    # Until the job takes over, while torch is still being imported, Ctrl-C ends it quietly.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from functional_clf.cli.run import main

if __name__ == "__main__":
    sys.exit(main())
