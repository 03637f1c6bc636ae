"""Endpoints: one for each home in a process, shared by all crews that use it.

A home has one journal and one set of receive keys, so it can have one endpoint
only. Each crew keeps a policy and an audit of its own: an endpoint asks those
of the crew in whose thread (one kickoff) the message stands.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sealwire._sealwire import Endpoint, Entry, Node, Request
from sealwire.forking import renew_in_child
from sealwire.settings import node_settings

__all__ = ["Rules", "SharedEndpoint", "endpoint_for"]

#: Kickoffs whose rules are remembered after they ended, for messages that
#: arrive late. Older ones are refused.
_REMEMBERED = 4096

#: Kinds a node makes by itself; no agent is given them, and they belong to no kickoff.
_ABOUT_MESSAGES = frozenset({"ack", "cancel"})

_endpoints: dict[str, SharedEndpoint] = {}
_lock = threading.Lock()
renew_in_child(sys.modules[__name__])


@dataclass(frozen=True)
class Rules:
    """What one sealed crew lets pass, and where it writes that down."""

    policy: Callable[[Request], object] | None = None
    audit: Callable[[Entry], object] | None = None


class SharedEndpoint:
    """An endpoint and the rules of the kickoffs that run on it."""

    def __init__(self, home: str | None) -> None:
        self._book = _RuleBook()
        self._home = home
        self.endpoint = Endpoint(home, policy=self._book.allows, audit=self._book.record)
        self._nodes: dict[int, Node] = {}
        self._lock = threading.Lock()
        renew_in_child(self)

    def node(self) -> Node:
        """The node that reaches agents on other hosts as `sealwire.toml` says, started when it is needed first. It takes no connections."""
        with self._lock:
            process = os.getpid()  # a child made by fork makes its own, and leaves its parent's as it is
            if process not in self._nodes:
                self._nodes[process] = node_settings(self._home).start(self.endpoint, listening=False)
            return self._nodes[process]

    def register(self, thread: bytes, rules: Rules) -> None:
        """Let `rules` decide about the messages of `thread`, a kickoff that begins."""
        self._book.add(thread, rules)

    def retire(self, thread: bytes) -> None:
        """The kickoff has ended."""
        self._book.end(thread)


class _RuleBook:
    """Whose rules are asked about which message.

    It does not know the endpoint that asks, so an endpoint that nobody uses
    any more is dropped, and its keys with it.
    """

    def __init__(self) -> None:
        self._under_way: dict[bytes, Rules] = {}
        self._ended: OrderedDict[bytes, Rules] = OrderedDict()
        self._lock = threading.Lock()
        renew_in_child(self)

    def add(self, thread: bytes, rules: Rules) -> None:
        with self._lock:
            self._ended.pop(thread, None)
            self._under_way[thread] = rules

    def end(self, thread: bytes) -> None:
        with self._lock:
            self._ended[thread] = self._under_way.pop(thread)
            while len(self._ended) > _REMEMBERED:
                self._ended.popitem(last=False)

    def allows(self, request: Request) -> object:
        if request.kind in _ABOUT_MESSAGES:
            return True
        with self._lock:
            rules = self._rules_of(request.header.thread)
        if rules is None:
            return "its thread is not a kickoff of this process"
        if rules.policy is None:
            return True
        try:
            return rules.policy(request)
        except Exception as error:  # noqa: BLE001 -- whatever it raises is a no
            return f"the policy raised {type(error).__name__}{_line_of(error)}"

    def record(self, entry: Entry) -> None:
        with self._lock:
            own = self._rules_of(entry.header.thread) if entry.header is not None else None
            concerned = [own] if own is not None else list((self._under_way or self._ended).values())
        if own is None:  # nobody can tell whose it is, so all kickoffs under way are told, each audit once
            concerned = list({id(rules.audit): rules for rules in concerned}.values())
        for rules in concerned:
            if rules.audit is not None:
                rules.audit(entry)

    def _rules_of(self, thread: bytes) -> Rules | None:
        return self._under_way.get(thread) or self._ended.get(thread)


def _line_of(error: Exception) -> str:
    """Where in the policy it was raised; its text may quote what the policy looked at."""
    own = traceback.extract_tb(error.__traceback__)[1:2]
    return f" in line {own[0].lineno} of {os.path.basename(own[0].filename)}" if own else " when it was called"


def endpoint_for(home: str | os.PathLike[str] | None) -> SharedEndpoint:
    """The endpoint of `home`, which is made if there is none; ``None`` keeps all in memory."""
    if home is None:
        return SharedEndpoint(None)
    path = str(Path(home).expanduser().resolve())
    with _lock:
        if path not in _endpoints:
            _endpoints[path] = _open(path)
        return _endpoints[path]


def _open(path: str) -> SharedEndpoint:
    shared = SharedEndpoint(path)
    if shared.endpoint.created:
        print(f"sealwire: made a home for the keys of your agents: {path}", file=sys.stderr)
    return shared
