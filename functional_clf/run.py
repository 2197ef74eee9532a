"""The command line of the main job: `python -m functional_clf.run --seeds 64`."""

import sys

from functional_clf.cli.interrupts import end_quietly, hold_back

if __name__ == "__main__":
    # Until the job takes over, while torch is still being imported, Ctrl-C ends it quietly. Before
    # NumPy is imported: its threads take on what is held back.
    end_quietly()
    hold_back()

from functional_clf.cli.run import main

if __name__ == "__main__":
    sys.exit(main())
