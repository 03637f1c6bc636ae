"""The seal: what a sealed crew and its agents share.

``crew.sealwire`` is one of these. It knows the identities of the agents, the
transport between them, the rules, and what passed.
"""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sealwire.crewai import swap
from sealwire.crewai.births import watch as watch_births
from sealwire.crewai.coworkers import watch as watch_coworkers
from sealwire.crewai.endpoints import Rules, SharedEndpoint, endpoint_for
from sealwire.crewai.entries import watch as watch_entries
from sealwire.crewai.log import Log, Record
from sealwire.crewai.names import Names, slug
from sealwire.crewai.post import Post, post_for
from sealwire.crewai.prompts import watch as watch_prompts
from sealwire.crewai.release import BaseAgent, Crew
from sealwire.crewai.remote_agent import is_remote
from sealwire.crewai.threads import watch as watch_threads
from sealwire.exceptions import HomeError, SealwireError
from sealwire.transport import MemoryTransport, Transport

if TYPE_CHECKING:
    from sealwire._sealwire import Endpoint, Entry, Request

__all__ = ["HOME", "Options", "Seal", "seal"]

_Sealable = TypeVar("_Sealable")

#: Where keys are kept unless something else is said: in the folder the program runs in.
HOME = "./.sealwire"

#: Who calls an agent that is in no crew, as a Flow does.
_NO_CREW = "flow"


def seal(
    crew_or_agent: _Sealable,
    *,
    home: str | os.PathLike[str] | None = HOME,
    transport: Transport | None = None,
    policy: Callable[[Request], object] | None = None,
    audit: Callable[[Entry], object] | None = None,
    names: Mapping[Any, str] | None = None,
) -> _Sealable:
    """Seal every hand-off of a crew, or every kickoff of an agent; returns the same object.

    Args:
        crew_or_agent: a ``Crew``, or an ``Agent`` that is kicked off by itself.
        home: the folder that keeps the agents' keys; it is made when it does
            not exist. ``None`` keeps all in memory, for this call alone.
        transport: what carries the envelopes; in memory unless given.
        policy: a function that sees each message's header, when it is sealed
            and again when it is opened, and allows it by returning ``True``.
            Anything else is the reason why not.
        audit: a function that gets an entry for each decision, such as
            :class:`sealwire.JsonLines`. If it raises, the message is not released.
        names: names of agents, by role or by agent, in place of their roles' slugs.

    A crew that is sealed already stays as it is; other options than it was
    sealed with are an error.

    Raises:
        TypeError: the object is neither a crew nor an agent, or a policy or audit is not a function.
        UnsupportedCrewAI: the installed CrewAI cannot be sealed.
        InvalidName: a name is not valid, or two agents have one name.
        HomeError: the home cannot be made or read.

    """
    options = Options(home, transport, policy, audit, names)
    if not isinstance(crew_or_agent, (Crew, BaseAgent)):
        raise TypeError(f"seal() takes a crew or an agent, not {type(crew_or_agent).__name__}")
    present = swap.seal_of(crew_or_agent)
    if present is not None:
        present.require(options)
    else:
        made = Seal(options, orchestrator_of(crew_or_agent))
        made.cover(crew_or_agent)
        for role in made.names.unused():
            # Not an error: CrewAI may make an agent of that role later, a manager for one.
            warnings.warn(f"names: no agent of this crew has the role {role!r}; a rule about its name matches nobody", stacklevel=2)
    return crew_or_agent


def prepare() -> None:
    """Follow runs from now on, into threads, nested crews, and the agents they make or meet."""
    watch_coworkers()
    watch_births()
    watch_entries()
    watch_prompts()
    watch_threads()


class Options:
    """What :func:`seal` was asked for."""

    def __init__(
        self,
        home: str | os.PathLike[str] | None = HOME,
        transport: Transport | None = None,
        policy: Callable[[Request], object] | None = None,
        audit: Callable[[Entry], object] | None = None,
        names: Mapping[Any, str] | None = None,
    ) -> None:
        _require_function("policy", policy)
        _require_function("audit", audit)
        self.home = home
        self.transport = transport
        self.policy = policy
        self.audit = audit
        self.names = names

    def differ(self, asked: Options) -> list[str]:
        """Which options `asked` gives otherwise; what it leaves open differs from nothing."""
        default = Options()
        return [name for name, value in vars(asked).items() if value is not getattr(default, name) and value != getattr(self, name)]


class Seal:
    """What a sealed crew and its agents share; ``crew.sealwire``."""

    orchestrator: str
    """The address of the party that calls the agents."""
    post: Post
    log: Log

    def __init__(
        self,
        options: Options,
        orchestrator: str,
        shared: SharedEndpoint | None = None,
        outer: Seal | None = None,
        log: Log | None = None,
    ) -> None:
        self._options = options
        self.shared = shared or endpoint_for(options.home)
        self.rules = Rules(options.policy, options.audit)
        self.post = outer.post if outer else post_for(options.transport or MemoryTransport())
        self.log = outer.log if outer else log or Log()
        self.names = Names(orchestrator, options.names)
        self._addresses: dict[str, str] = {}
        self.orchestrator = self.endpoint.host(self.names.orchestrator)

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint that hosts the crew's agents."""
        return self.shared.endpoint

    @property
    def home(self) -> Path | None:
        """The folder with the agents' keys; ``None`` when they are in memory only."""
        home = self.endpoint.home
        return None if home is None else Path(home)

    @property
    def domain(self) -> bytes:
        """The domain all of them belong to, 32 bytes."""
        return self.endpoint.domain

    @property
    def transport(self) -> Transport:
        """What carries the envelopes."""
        return self.post.transport

    @property
    def messages(self) -> list[Record]:
        """What passed, oldest first; copies of a crew share the list."""
        return self.log.records()

    def address_of(self, agent: Any) -> str:
        """The address of `agent`, which gets an identity if it has none yet; on another host it has its own (or is given as it)."""
        if isinstance(agent, str):
            return agent
        if is_remote(agent):
            return self._reached(agent)
        name = self.names.of(agent)
        address = self._addresses.get(name)
        if address is None:
            address = self._addresses[name] = self.endpoint.host(name)
        return address

    def _reached(self, agent: Any) -> str:
        """The address of an agent on another host, which only the node that knows that host can reach."""
        present = swap.seal_of(agent)
        if present is not None and present.shared is not self.shared:
            raise HomeError(
                f"`{agent.sealwire_address}` is reached from the home {present.home}, and its crew has the home {self.home}: "
                "give seal() and remote() the same `home`"
            )
        return str(agent.sealwire_address)

    def cover(self, crew_or_agent: Any) -> None:
        """Seal a crew and all its agents, or one agent."""
        prepare()
        if not isinstance(crew_or_agent, Crew):
            self.adopt(crew_or_agent)
            return
        for agent in _members(crew_or_agent):
            if not is_remote(agent):
                self.names.declare(agent)
        for agent in _members(crew_or_agent):
            self.adopt(agent)
        swap.seal_crew(crew_or_agent, self)

    def cover_nested(self, crew_or_agent: Any) -> None:
        """Seal what is met during a run; a crew speaks for itself, over the same transport."""
        if isinstance(crew_or_agent, Crew):
            Seal(self._options, orchestrator_of(crew_or_agent), self.shared, self).cover(crew_or_agent)
        else:
            self.adopt(crew_or_agent)

    def restore(self, crew_or_agent: Any) -> None:
        """Seal what CrewAI restored from a checkpoint; its agents are who they were."""
        if isinstance(crew_or_agent, Crew):
            for agent in _members(crew_or_agent):
                self.adopt(agent)
            swap.seal_crew(crew_or_agent, self)
        else:
            self.adopt(crew_or_agent)

    def adopt(self, agent: Any) -> None:
        """Seal `agent`; one that several crews share keeps its first seal for calls outside them."""
        if swap.seal_of(agent) is self:
            return
        self.address_of(agent)
        swap.seal_agent(agent, self)

    def carry(self, agent: Any, copy: Any) -> None:
        """Seal `copy` under the name of `agent`."""
        if not is_remote(agent):
            self.names.carry(agent, copy)
        self.adopt(copy)

    def require(self, asked: Options) -> None:
        """Raise unless `asked` is what this seal was made with."""
        differ = self._options.differ(asked)
        if differ:
            raise SealwireError(f"it is sealed already, with another {' and '.join(differ)}; give all options where it is sealed first")

    def __deepcopy__(self, memo: dict[int, Any]) -> Seal:
        return self

    def __copy__(self) -> Seal:
        return self

    def __repr__(self) -> str:
        return f"<Seal of {self.orchestrator} in {self.home or 'memory'}>"


def _require_function(what: str, hook: object) -> None:
    """Raise unless `hook` can be asked. Nobody would await what an ``async`` one returns, so nothing would be decided or written."""
    if hook is not None and not callable(hook):
        raise TypeError(f"`{what}` is a function, not {type(hook).__name__}")
    if inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(getattr(hook, "__call__", None)):  # noqa: B004
        raise TypeError(f"`{what}` is an ordinary function, not an `async` one")


def orchestrator_of(crew_or_agent: Any) -> str:
    """The name of the party that calls the agents."""
    if not isinstance(crew_or_agent, Crew):
        return _NO_CREW
    return slug(crew_or_agent.name or "crew")


def _members(crew: Any) -> Iterable[Any]:
    """Every agent of `crew`: listed, managing, named by a task, or reached through a tool."""
    listed = [*crew.agents, crew.manager_agent, *(task.agent for task in crew.tasks)]
    tools = [tool for owner in (*listed, *crew.tasks) for tool in getattr(owner, "tools", None) or []]
    reached = [agent for tool in tools for agent in getattr(tool, "agents", None) or []]
    return [agent for agent in [*listed, *reached] if isinstance(agent, BaseAgent)]
