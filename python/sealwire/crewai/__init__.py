"""Sealed CrewAI: every hand-off between agents travels as a sealed, signed envelope.

    from sealwire.crewai import seal

    crew = seal(Crew(agents=[…], tasks=[…]))
    crew.kickoff()
    for message in crew.sealwire.messages:
        print(message.sender, message.reader, message.kind, message.size)

:func:`seal` returns the object it was given; everything CrewAI does with it
works as before. If an envelope was altered, replayed, expired, misdirected or
is not allowed, the kickoff raises a :class:`sealwire.SealwireError`.
"""

from __future__ import annotations

from sealwire.crewai.block import Block, sealed
from sealwire.crewai.log import Record
from sealwire.crewai.remote import remote
from sealwire.crewai.seal import Seal, seal
from sealwire.crewai.serve import serve
from sealwire.crewai.served import incoming
from sealwire.crewai.task_labels import label

__all__ = ["Block", "Record", "Seal", "incoming", "label", "remote", "seal", "sealed", "serve"]
