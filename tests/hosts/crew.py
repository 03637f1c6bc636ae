"""A crew on one host whose agents are on two others."""

import os

from crewai import Crew, Task

from sealwire.crewai import remote, seal

reader, writer = remote("reader@pi2"), remote("writer@pi3")
tasks = [
    Task(description=os.environ["QUESTION"], expected_output="text", agent=reader),
    Task(description="Put it into a letter.", expected_output="text", agent=writer),
]
print(seal(Crew(agents=[reader, writer], tasks=tasks)).kickoff().raw)
