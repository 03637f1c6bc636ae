"""``python -m sealwire.demo``."""

from __future__ import annotations

import sys

from sealwire.demo import main

if __name__ == "__main__":
    sys.exit(main())
