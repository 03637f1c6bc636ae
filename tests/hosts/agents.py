"""An agent to be served, whose model answers with words that must not be seen on the wire."""

import os
from typing import Any

from crewai import Agent, BaseLLM


class Scripted(BaseLLM):
    """Answers with one text, whatever it is asked."""

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        """Answer."""
        return f"Thought: done\nFinal Answer: {os.environ['ANSWER']}"

    def supports_function_calling(self) -> bool:
        """Whether tools may be given natively."""
        return False


worker = Agent(role=os.environ["ROLE"], goal="work", backstory="works", llm=Scripted(model="scripted"))
