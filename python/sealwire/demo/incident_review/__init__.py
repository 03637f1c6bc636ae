"""An ordinary CrewAI project: three agents review a report of an incident with personal data."""
