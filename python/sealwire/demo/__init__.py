"""The demo: a crew nobody edited runs sealed, and three attacks on its wire are refused.

``sealwire demo`` calls :func:`main`. The crew itself, in :mod:`sealwire.demo.incident_review`, is an ordinary CrewAI project.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo and print what happened; `argv` as on the command line, without the program's name.

    Returns 0 if everything went as it must, 1 if an attack passed or a text was seen on the wire, 2 if CrewAI is
    missing.
    """
    from sealwire.demo.show import show

    return show(argv)
