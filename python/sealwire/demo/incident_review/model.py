"""The model of the crew: the one your environment names, or a scripted one that needs no network and no key."""

import os
from typing import Any

from crewai import BaseLLM

ENVIRONMENT = ("MODEL", "MODEL_NAME", "OPENAI_MODEL_NAME", "OPENAI_API_KEY")
"""The variables from which CrewAI takes a model when a project names none."""


def model() -> BaseLLM | None:
    """None, which lets CrewAI take the model from the environment, or the scripted model if none is set there."""
    if any(os.environ.get(name) for name in ENVIRONMENT):
        return None
    return ScriptedModel(model="scripted")


class ScriptedModel(BaseLLM):
    """Answers each prompt of this crew with a text written beforehand."""

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        return answer(conversation(messages))

    async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        return answer(conversation(messages))

    def supports_function_calling(self) -> bool:
        return False

    def get_context_window_size(self) -> int:
        return 32_768

    def get_input_tokens_count(self, messages: Any, *args: Any, **kwargs: Any) -> int:
        return len(conversation(messages)) // 4


def conversation(messages: Any) -> str:
    """What was said since the current task was given, as one text: some releases of CrewAI send earlier tasks too."""
    if isinstance(messages, str):
        return messages
    said = [str(message.get("content") or "") for message in messages]
    starts = [place for place, text in enumerate(said) if "Current Task:" in text]
    return "\n".join(said[starts[-1] if starts else 0 :])


def answer(said: str) -> str:
    """The reply to a conversation: the first of the script that fits it."""
    for needles, reply in SCRIPT:
        if all(needle in said for needle in needles):
            return reply
    raise LookupError("the scripted model has no reply to this prompt; set MODEL and a key to use a real one")


def _final(text: str) -> str:
    return f"Thought: I now know the final answer\nFinal Answer: {text.strip()}"


READ_REPORT = """Thought: I have to read the report.
Action: read_incident_report
Action Input: {"incident": "2026-031"}"""

FACTS = _final("""
- Incident 2026-031, Harbour Lane Medical Centre. 27 letters were folded into wrong address sheets on 10 March 2026.
- 7 letters reached a stranger, 20 were stopped at the sorting office and shredded.
- Known since 11 March 2026, 09:20, when Chidi Okonkwo called about the letter of Astrid Lindqvist.
- Concerned: Astrid Lindqvist, Chidi Okonkwo, Maria Teixeira, Owen Pritchard, Farah Siddiqui, Tomasz Wilk, Grace Adeyemi.
- In the letters: name, address, date of birth, patient number, clinic, appointment. HL-20417 and HL-19270 also name a
  medicine and a laboratory value.
- Done: all seven recipients called, letters folded by hand and checked by a second person since 12 March.
""")

ASK_TO_COUNT = """Thought: The table has to be counted; that is work for the Case Reader.
Action: delegate_work_to_coworker
Action Input: {"task": "Count in the report of incident 2026-031 the letters that were opened, and name those that are \
still missing and what is in them.", "context": "The risk depends on what strangers have read and still hold.", \
"coworker": "Case Reader"}"""

COUNTS = _final("""
Opened: 3 of 7 (Astrid Lindqvist, Owen Pritchard, Tomasz Wilk). Missing: 2 of 7. The letter of Owen Pritchard (HL-19270)
was opened, names a medicine and a laboratory value, and is said to be in the paper bin. The letter of Grace Adeyemi
(HL-21566) went to a former flat and was not opened as far as is known.
""")

RISK = _final("""
High risk for Owen Pritchard: a stranger has read his medicine and laboratory value, and the letter is gone.
Moderate for Grace Adeyemi (letter lost) and Astrid Lindqvist (health data read, returned); low for the other four.
The authority must be told within 72 hours of 11 March 2026, 09:20: by Saturday 14 March, 09:20. Mr Pritchard must be
told without delay, through his daughter (01632 960952).
""")

NOTICE = _final("""
Notice of a personal data breach, Harbour Lane Medical Centre, incident 2026-031.
On 10 March 2026 seven appointment letters reached the wrong patients; 20 more were stopped.
We became aware on 11 March at 09:20. Cause: a folding machine, restarted with a sheet in it.
Data: name, address, date of birth, appointment; in two letters a medicine and a laboratory value.
Three letters were opened, five are back, two are missing. One patient is at high risk and told.
The machine is out of service; a second person checks every letter.
""")

SCRIPT = (
    (("list what happened, when it became known", "Reported by:"), FACTS),
    (("list what happened, when it became known",), READ_REPORT),
    (("Write the notice of incident",), NOTICE),
    (("Assess the risk of incident", "Opened: 3 of 7"), RISK),
    (("Assess the risk of incident",), ASK_TO_COUNT),
    (("Count in the report of incident", "Reported by:"), COUNTS),
    (("Count in the report of incident",), READ_REPORT),
)
"""What must stand in the conversation, and the reply to it; the first line that fits counts."""
