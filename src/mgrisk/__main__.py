"""`python -m mgrisk` is the command `mgrisk`."""

from __future__ import annotations

import sys

from mgrisk.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
