"""The agents that the serving process of the tests serves. Their model does what the prompt says:

``SAY x`` is answered with x, ``FAIL x`` fails, ``SLEEP n`` takes that many seconds, ``USE tool {…}`` uses a tool and answers with
what that says.
"""

from __future__ import annotations

import os
import re
import time
from typing import Any

import conftest  # noqa: F401 - keeps CrewAI quiet
from crewai import Agent, Crew, Task
from crewai.tools import tool
from crewai_parts import uses
from scenarios import ScriptedModel, final

from sealwire.crewai import incoming

_BACK = re.compile(r"Observation:\s*(.*)")


def script(said: str) -> str:
    """The model of all agents here."""
    if "GUARDRAIL" in said:
        return final('{"valid": true, "feedback": null}')
    if found := re.search(r'\{"valid": true[^}]*\}', said):
        return found[0]
    if "convert" in said.lower() and "JSON" in said and "SAY" not in said:
        return said
    if found := re.search(r"FAIL (\w+)", said):
        raise ValueError(f"the model is {found[1]}")
    if found := re.search(r"SLEEP ([\d.]+)", said):
        time.sleep(float(found[1]))
    if (back := _BACK.findall(said)) and "USE " in said:
        return final(f"it said: {back[-1]}")
    if found := re.search(r"USE (\w+) (\{.*?\})", said):
        return uses(found[1], found[2])
    if found := re.search(r"SAY (.*)", said):
        return final(found[1])
    return final("done in process " + str(os.getpid()))


@tool("own_secret")
def own_secret() -> str:
    """Tells what only this host knows."""
    request = incoming()
    return f"pid {os.getpid()} message {request.message.header.id.hex() if request else None}"


def _agent(role: str, **fields: Any) -> Agent:
    return Agent(role=role, goal=f"be {role}", backstory=f"{role} since ever", llm=ScriptedModel(script), **fields)


researcher = _agent("Researcher", tools=[own_secret])
boss = _agent("Boss")
several = [researcher, boss]


def made() -> Crew:
    """A crew, to be served agent by agent."""
    clerk = _agent("Clerk")
    return Crew(agents=[clerk], tasks=[Task(description="x", expected_output="y", agent=clerk)])
