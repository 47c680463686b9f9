"""Run the command line: ``python -m benchmarks [EXPERIMENT] [options]``."""

import sys

from benchmarks.command_line.main import main

if __name__ == "__main__":
    sys.exit(main())
