"""The swap: an agent or a crew becomes an instance of a sealed subclass of its own class.

The object stays the same object: identity, ``isinstance``, equality, dumps and
callbacks do not change. The sealed methods of an agent are data descriptors,
so that methods set on the instance (CrewAI's A2A layer does that) run inside
the seal instead of replacing it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from functools import cache
from types import MethodType
from typing import TYPE_CHECKING, Any

from pydantic import PrivateAttr

from sealwire.crewai import waist
from sealwire.crewai.kickoff import akickoff_sealed, carry_note, kickoff_sealed
from sealwire.crewai.release import require
from sealwire.crewai.run import current_run
from sealwire.exceptions import NotSealed

if TYPE_CHECKING:
    from sealwire.crewai.seal import Seal

__all__ = ["is_sealed", "seal_agent", "seal_crew", "seal_of"]

_SEAL = "_sealwire_seal"
_OUTER = "_sealwire_outer"

#: The methods through which anything reaches an agent. Not every agent has the
#: kickoffs; without the first two nothing could be sealed.
_AGENT_METHODS: dict[str, Callable[[waist.Call], Any]] = {
    "execute_task": waist.execute_task,
    "aexecute_task": waist.aexecute_task,
    "kickoff": waist.kickoff,
    "kickoff_async": waist.akickoff,
    "akickoff": waist.akickoff,
}


def seal_agent(agent: Any, seal: Seal) -> None:
    """Make `agent` an instance of the sealed subclass of its class."""
    _swap(agent, seal, _sealed_agent_class)


def seal_crew(crew: Any, seal: Seal) -> None:
    """Make `crew` an instance of the sealed subclass of its class."""
    _swap(crew, seal, _sealed_crew_class)


def seal_of(crew_or_agent: Any) -> Seal | None:
    """The seal of an object, if it has one."""
    seal: Seal | None = (crew_or_agent.__pydantic_private__ or {}).get(_SEAL)
    return seal


def is_sealed(crew_or_agent: Any) -> bool:
    """Whether an object is of a sealed class."""
    return issubclass(type(crew_or_agent), _Sealed)


class _Sealed:
    """What all sealed classes have in common."""

    __slots__ = ()

    @property
    def sealwire(self) -> Seal:
        """The seal: identities, transport, and the messages that passed."""
        return _required_seal(self)

    def __reduce__(self) -> Any:
        """Pickle without the seal, which is this process's; what is unpickled must be sealed to run."""
        # The base is pydantic's model; it comes by the subclass that is made of both, which mypy cannot see from here.
        state: dict[str, Any] = super().__getstate__()  # type: ignore[misc]
        private = state.get("__pydantic_private__") or {}
        kept = {name: value for name, value in private.items() if name != _SEAL}
        return _blank, (_base_of(type(self)),), {**state, "__pydantic_private__": kept}


def _swap(thing: Any, seal: Seal, sealed_class: Callable[[Any], Any]) -> None:
    if not is_sealed(thing):
        thing.__class__ = sealed_class(type(thing))
    if thing.__pydantic_private__ is None:
        object.__setattr__(thing, "__pydantic_private__", {})
    if seal_of(thing) is None:
        thing.__pydantic_private__[_SEAL] = seal


def _required_seal(thing: Any) -> Seal:
    seal = seal_of(thing)
    if seal is not None:
        return seal
    error = NotSealed(f"this {type(thing).__name__} is of a sealed class but has no seal: seal() it first")
    run = current_run()
    if run is not None:
        run.refuse(error)
    raise error


@cache
def _sealed_agent_class(base: Any) -> Any:
    require(base, "execute_task", "aexecute_task", "copy")
    cls = _subclass(base)
    for name, sealed in _AGENT_METHODS.items():
        if callable(getattr(base, name, None)):
            setattr(cls, name, _SealedMethod(cls, name, sealed))

    def copy(self: Any, *args: Any, **kwargs: Any) -> Any:
        twin = super(cls, self).copy(*args, **kwargs)
        _required_seal(self).carry(self, twin)
        return twin

    def from_checkpoint(_: type, *args: Any, **kwargs: Any) -> Any:
        return _adopted(base.from_checkpoint(*args, **kwargs))

    _override(cls, base, copy)
    _override(cls, base, from_checkpoint, classmethod)
    return cls


@cache
def _sealed_crew_class(base: Any) -> Any:
    require(base, "kickoff", "akickoff", "kickoff_async", "replay", "copy")
    cls = _subclass(base)

    def kickoff(self: Any, *args: Any, **kwargs: Any) -> Any:
        forward = functools.partial(super(cls, self).kickoff, *args, **kwargs)
        return kickoff_sealed(self, _required_seal(self), forward)

    def replay(self: Any, *args: Any, **kwargs: Any) -> Any:
        forward = functools.partial(super(cls, self).replay, *args, **kwargs)
        return kickoff_sealed(self, _required_seal(self), forward)

    async def akickoff(self: Any, *args: Any, **kwargs: Any) -> Any:
        forward = functools.partial(super(cls, self).akickoff, *args, **kwargs)
        return await akickoff_sealed(self, _required_seal(self), forward)

    def _get_agent_to_use(self: Any, *args: Any, **kwargs: Any) -> Any:
        agent = super(cls, self)._get_agent_to_use(*args, **kwargs)
        if agent is not None:
            _required_seal(self).adopt(agent)
        return agent

    def copy(self: Any, *args: Any, **kwargs: Any) -> Any:
        twin = super(cls, self).copy(*args, **kwargs)
        _required_seal(self).cover(twin)
        carry_note(self, twin)
        return twin

    def from_checkpoint(_: type, *args: Any, **kwargs: Any) -> Any:
        return _adopted(base.from_checkpoint(*args, **kwargs))

    def __setattr__(self: Any, name: str, value: Any) -> None:
        super(cls, self).__setattr__(name, value)
        if name == "manager_agent" and value is not None:
            _required_seal(self).adopt(value)

    for method in (kickoff, replay, akickoff, copy, _get_agent_to_use, __setattr__):
        _override(cls, base, method)
    _override(cls, base, from_checkpoint, classmethod)
    return cls


def _subclass(base: Any) -> Any:
    """A subclass that goes by the name of its base."""
    return type(base)(
        base.__name__,
        (_Sealed, base),
        {
            "__module__": base.__module__,
            "__qualname__": base.__qualname__,
            "__doc__": base.__doc__,
            _SEAL: PrivateAttr(default=None),
            _OUTER: PrivateAttr(default_factory=dict),
        },
    )


def _override(cls: Any, base: Any, method: Any, kind: Callable[[Any], Any] = lambda method: method) -> None:
    """Put `method` in place of the one of `base` that has its name, if there is one."""
    original = getattr(base, method.__name__, None)
    if original is not None:
        setattr(cls, method.__name__, kind(functools.wraps(original)(method)))


def _base_of(cls: type) -> Any:
    """The class that was sealed to make `cls`."""
    return next(base for base in cls.__mro__ if not issubclass(base, _Sealed))


def _blank(base: Any) -> Any:
    """An unfinished instance of the sealed subclass of `base`, to be filled by unpickling."""
    from sealwire.crewai.release import Crew

    cls: Any = _sealed_crew_class(base) if issubclass(base, Crew) else _sealed_agent_class(base)
    return cls.__new__(cls)


def _adopted(restored: Any) -> Any:
    """A crew or an agent that CrewAI restored during a run is a part of that run."""
    run = current_run()
    if run is not None:
        run.seal.restore(restored)
    return restored


class _SealedMethod:
    """A method of an agent that always runs sealed.

    What is set on an instance under its name runs inside the seal. A method
    that is set on a sealed agent may have been made of the sealed one, so a
    retry inside it goes to what was there before.
    """

    def __init__(self, cls: type, name: str, sealed: Callable[[waist.Call], Any]) -> None:
        self._cls = cls
        self._name = name
        self._entry = self._method(lambda *call: sealed(self._call(*call)))
        self._plain = self._method(lambda *call: self._call(*call).run_inner())

    def __get__(self, agent: Any, owner: type | None = None) -> Any:
        if agent is None:
            return self._entry
        return MethodType(self._plain if seal_of(agent) is None else self._entry, agent)

    def __set__(self, agent: Any, value: Any) -> None:
        if seal_of(agent) is None:
            agent.__dict__[self._name] = value
        else:
            agent.__pydantic_private__[_OUTER] = {**self._outer(agent), self._name: value}

    def __delete__(self, agent: Any) -> None:
        agent.__dict__.pop(self._name, None)
        self._outer(agent).pop(self._name, None)

    def _call(self, agent: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> waist.Call:
        seal = _required_seal(agent)
        own = getattr(super(self._cls, agent), self._name)
        inner = agent.__dict__.get(self._name, own)
        return waist.Call(agent, seal, self._outer(agent).get(self._name, inner), inner, args, kwargs)

    def _outer(self, agent: Any) -> dict[str, Any]:
        return agent.__pydantic_private__.get(_OUTER) or {}

    def _method(self, run: Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]) -> Callable[..., Any]:
        """A function that looks like the base's method and does `run`."""
        original = getattr(super(self._cls, self._cls), self._name)

        async def asynchronous(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            return await run(self, args, kwargs)

        def synchronous(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            return run(self, args, kwargs)

        method = asynchronous if inspect.iscoroutinefunction(original) else synchronous
        return functools.wraps(original)(method)
