"""Labels of a task: they stand on everything that is handed over for it.

A task's labels are on its prompt, on what is delegated while it is worked on,
on its result, and on every later envelope that carries that result.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

from pydantic import PrivateAttr

from sealwire.crewai.release import Task
from sealwire.labels import checked

__all__ = ["label", "labels_of"]

_Task = TypeVar("_Task")


def label(task: _Task, *words: str) -> _Task:
    """Put `words` on what is handed over for `task`; returns the same task.

    Labels survive ``task.copy()``, and with it ``kickoff_for_each``, ``train``
    and ``test``.

    Raises:
        TypeError: `task` is not a task. Agents and crews have no labels of their own.
        ValueError: there is no word, or one that cannot stand in a header.

    """
    if not isinstance(task, Task):
        raise TypeError(
            f"label() takes a task, not {type(task).__name__}; to label all that a crew hands over, use `with sealwire.label(…):`"
        )
    if not words:
        raise ValueError("label(task, …) needs at least one word")
    _mark(task, labels_of(task) | checked(words))
    return task


def labels_of(task: Any) -> frozenset[str]:
    """The labels of `task`."""
    return getattr(task, "_sealwire_labels", None) or frozenset()


def _mark(task: Any, labels: frozenset[str]) -> None:
    cls: Any = type(task)
    if not hasattr(cls, "_sealwire_is_labelled"):
        task.__class__ = _labelled(cls)
    task.__pydantic_private__["_sealwire_labels"] = labels


@cache
def _labelled(base: Any) -> Any:
    """A subclass of `base` whose copies keep their labels."""

    def copy(self: Any, *args: Any, **kwargs: Any) -> Any:
        twin = super(cls, self).copy(*args, **kwargs)
        _mark(twin, labels_of(self))
        return twin

    def __reduce__(self: Any) -> Any:
        return _blank, (base,), self.__getstate__()

    cls = type(base)(
        base.__name__,
        (base,),
        {
            "__module__": base.__module__,
            "__qualname__": base.__qualname__,
            "__doc__": base.__doc__,
            "_sealwire_labels": PrivateAttr(default=None),
        },
    )
    cls.copy, cls.__reduce__ = copy, __reduce__
    cls._sealwire_is_labelled = True
    return cls


def _blank(base: Any) -> Any:
    """An unfinished labelled task, to be filled by unpickling."""
    cls = _labelled(base)
    return cls.__new__(cls)
