"""Names: what each agent of a crew is called on the wire.

An agent's name is the slug of its role as written, before inputs fill it in,
so the same crew uses the same identities in every run. `names={…}` decides
otherwise, by role or by agent.
"""

from __future__ import annotations

import hashlib
import re
import threading
import unicodedata
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from sealwire.exceptions import InvalidName

__all__ = ["Names", "require_name", "role_of", "slug"]

#: What the wire format accepts as the name of an agent.
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LONGEST = 64
#: Room for a hyphen and eight hexadecimal digits, or for a number.
_STEM = _LONGEST - 9


class Names:
    """Who is called what, for one sealed crew.

    Copies of an agent share its name. So do the agents that are made during a
    run (CrewAI's planner, guardrail, evaluator and manager): a new object each
    time, but one party for each role.
    """

    def __init__(self, orchestrator: str, chosen: Mapping[Any, str] | None = None) -> None:
        self._chosen = dict(chosen or {})
        for name in self._chosen.values():
            require_name(name)
        self._lock = threading.RLock()
        self._by_agent: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        self._by_role: dict[str, str] = {}
        self._owner: dict[str, str] = {}
        self.orchestrator = self._claim(orchestrator, "the crew itself")

    def declare(self, agent: Any) -> str:
        """Name `agent`, a member of the crew; two of one slug become ``x`` and ``x-2``."""
        with self._lock:
            known = self._by_agent.get(agent)
            if known is not None:
                return known
            name = self._new_name(agent)
            self._by_role.setdefault(role_of(agent), name)
            return self._remember(agent, name)

    def unused(self) -> list[str]:
        """Roles that were given a name and that no agent met so far has."""
        with self._lock:
            roles = {role_of(agent) for agent in self._by_agent}
        return sorted(key for key in self._chosen if isinstance(key, str) and key not in roles)

    def of(self, agent: Any) -> str:
        """The name of `agent`; one that is met for the first time shares its role's name."""
        with self._lock:
            known = self._by_agent.get(agent)
            if known is not None:
                return known
            role = role_of(agent)
            if role not in self._by_role:
                self._by_role[role] = self._new_name(agent)
            return self._remember(agent, self._by_role[role])

    def carry(self, agent: Any, copy: Any) -> None:
        """Give `copy` the name of `agent`."""
        with self._lock:
            self._by_agent[copy] = self.of(agent)

    def _remember(self, agent: Any, name: str) -> str:
        self._by_agent[agent] = name
        return name

    def _new_name(self, agent: Any) -> str:
        role = role_of(agent)
        for key, name in self._chosen.items():
            if key is agent or (isinstance(key, str) and key == role):
                return self._claim(name, role)
        return self._claim_next(slug(role), role)

    def _claim(self, name: str, owner: str) -> str:
        require_name(name)
        if name in self._owner:
            raise InvalidName(f"the name {name!r} is taken by {self._owner[name]!r}, so {owner!r} cannot have it")
        self._owner[name] = owner
        return name

    def _claim_next(self, stem: str, owner: str) -> str:
        taken = self._owner.keys() | set(self._chosen.values())
        name, number = stem, 1
        while name in taken:
            number += 1
            name = f"{stem[: _LONGEST - 1 - len(str(number))]}-{number}"
        return self._claim(name, owner)


def role_of(agent: Any) -> str:
    """The role of `agent` as it was written, before inputs were filled in."""
    return str(getattr(agent, "_original_role", None) or agent.role)


def slug(text: str) -> str:
    """A name made of `text`: ``Senior Researcher`` becomes ``senior-researcher``.

    When letters or digits have no ASCII form, or the text is too long, eight
    digits of its hash keep different texts apart.
    """
    folded = unicodedata.normalize("NFKD", text.strip().casefold())
    kept = "".join(c for c in folded if not unicodedata.combining(c))
    stem = re.sub(r"[^a-z0-9]+", "-", kept).strip("-")
    lost = any(c.isalnum() and not c.isascii() for c in kept)
    if not lost and 0 < len(stem) <= _LONGEST:
        return stem
    digest = hashlib.sha256(text.strip().casefold().encode("utf-8", "surrogatepass"))
    return f"{stem[:_STEM].strip('-') or 'agent'}-{digest.hexdigest()[:8]}"


def require_name(name: str) -> None:
    """Raise :class:`~sealwire.InvalidName` unless the wire format accepts it."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidName(f"{name!r} is not a name: 1 to 64 of a-z, 0-9, '.', '_', '-', starting with a letter or digit")
