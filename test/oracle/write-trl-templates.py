"""Writes what transformers makes of the dialogues of test/fixtures/jinja/trl.json under TRL's chat templates.

Usage: python test/oracle/write-trl-templates.py test/fixtures/jinja/trl.json

Every case is [template, dialogue, with generation prompt, text or null where Python raises, spans of {% generation %} in
code points]. Templates and dialogues of the file stay as they are; the clock stands at 2024-07-26 13:05:09.
"""
import datetime
import json
import sys

from transformers.utils import chat_template_utils


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26, 13, 5, 9)


chat_template_utils.datetime = Clock
path = sys.argv[1]
with open(path) as file:
    fixture = json.load(file)
cases = []
for name, source in fixture["templates"].items():
    template = chat_template_utils._cached_compile_jinja_template(source)
    for dialogue, given in fixture["dialogues"].items():
        for prompt in (False, True):
            values = {"tools": None, "documents": None, **fixture["variables"], **given, "add_generation_prompt": prompt}
            messages, tools, documents = (values.pop(key) for key in ("messages", "tools", "documents"))
            values.pop("add_generation_prompt")
            try:
                text, spans = chat_template_utils._render_with_assistant_indices(
                    template, messages, tools, documents, prompt, **values
                )
            except Exception:
                text, spans = None, []
            cases.append([name, dialogue, prompt, text, spans])
fixture["cases"] = cases
with open(path, "w") as file:
    json.dump(fixture, file, ensure_ascii=False, indent=1)
