"""The crew: who works on an incident, and in which order."""

from typing import Any

from crewai import Agent, Crew, Process, Task
from crewai.project import CrewBase, agent, crew, task

from .model import model
from .tools import ReadIncidentReport


@CrewBase
class IncidentReview:
    """Reads the report of an incident, assesses the risk, writes the notice to the authority."""

    agents_config: Any = "config/agents.yaml"
    tasks_config: Any = "config/tasks.yaml"
    agents: list[Any]
    tasks: list[Any]

    @agent
    def case_reader(self) -> Agent:
        return Agent(config=self.agents_config["case_reader"], llm=model(), tools=[ReadIncidentReport()])

    @agent
    def privacy_analyst(self) -> Agent:
        return Agent(config=self.agents_config["privacy_analyst"], llm=model(), allow_delegation=True)

    @agent
    def notice_writer(self) -> Agent:
        return Agent(config=self.agents_config["notice_writer"], llm=model())

    # CrewAI takes description and expected_output out of the configuration; to mypy they are missing.
    @task
    def read_report(self) -> Task:
        return Task(config=self.tasks_config["read_report"])  # type: ignore[call-arg]

    @task
    def assess_risk(self) -> Task:
        return Task(config=self.tasks_config["assess_risk"])  # type: ignore[call-arg]

    @task
    def write_notice(self) -> Task:
        return Task(config=self.tasks_config["write_notice"])  # type: ignore[call-arg]

    @crew
    def crew(self) -> Crew:
        return Crew(agents=self.agents, tasks=self.tasks, process=Process.sequential)
