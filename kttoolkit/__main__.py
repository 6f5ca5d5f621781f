"""`python -m kttoolkit`: the command line where no script is on the path."""

import sys

from kttoolkit.cli import main

if __name__ == "__main__":
    sys.exit(main())
