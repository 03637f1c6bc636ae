"""The one tool of the crew: it reads a report from the folder `documents`."""

from pathlib import Path

from crewai.tools import BaseTool
from pydantic import BaseModel, Field

DOCUMENTS = Path(__file__).parent / "documents"


class IncidentNumber(BaseModel):
    incident: str = Field(..., description="The number of the incident, for example 2026-031")


class ReadIncidentReport(BaseTool):
    name: str = "read_incident_report"
    description: str = "Gives the full text of the report of an incident."
    args_schema: type[BaseModel] = IncidentNumber

    def _run(self, incident: str) -> str:
        reports = {path.stem: path for path in DOCUMENTS.glob("incident-*.md")}
        report = reports.get(f"incident-{incident}")
        if report is None:
            return f"There is no report of incident {incident}."
        return report.read_text(encoding="utf-8")
