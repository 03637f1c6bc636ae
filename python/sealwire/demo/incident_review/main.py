"""Starts the crew on the incident that ships with the project."""

from .crew import IncidentReview

INPUTS = {"incident": "2026-031"}


def run() -> None:
    """Reviews the incident and prints the notice."""
    print(IncidentReview().crew().kickoff(inputs=INPUTS))


if __name__ == "__main__":
    run()
