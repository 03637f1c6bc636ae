"""``python -m sealwire``, and the command ``sealwire`` that comes with this package.

The command line is read by the same native code as that of the binary. What
needs Python is called here, with nothing between the interpreter and the user's
program.
"""

from __future__ import annotations

import importlib
import sys

from sealwire._sealwire import command

__all__ = ["main"]


def main() -> None:
    """Do what ``sys.argv`` says, and exit."""
    outcome = command(["sealwire", *sys.argv[1:]])
    if isinstance(outcome, int):
        sys.exit(outcome)
    module, arguments = outcome
    sys.exit(importlib.import_module(module).main(arguments))


if __name__ == "__main__":
    main()
