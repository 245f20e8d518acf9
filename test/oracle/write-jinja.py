"""Writes what Python's Jinja, as transformers sets it up, makes of every template in a fixture of test/fixtures/jinja.

Usage: python test/oracle/write-jinja.py test/fixtures/jinja/cases.json

A fixture holds {"variables": {...}, "cases": [[source, expected], ...]}; sources and variables stay, the expected values
are made anew: a text, {"error": ...} where Python raises, or {"refused": ...} where it writes what is refused on purpose
(such a case keeps its mark). The clock stands at 2024-07-26 13:05:09.
"""
import datetime
import json
import re
import sys

from transformers.utils import chat_template_utils


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26, 13, 5, 9)


chat_template_utils.datetime = Clock
ADDRESS = re.compile(r"0x[0-9a-f]{8,}")


def render(source, variables):
    try:
        text = chat_template_utils._cached_compile_jinja_template(source).render(**variables)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {ADDRESS.sub('0x', str(error))}"}
    return {"error": "prints an address in memory"} if ADDRESS.search(text) else text


path = sys.argv[1]
with open(path) as file:
    fixture = json.load(file)
cases = []
for source, expected in fixture["cases"]:
    result = render(source, fixture["variables"])
    cases.append([source, {"refused": result} if isinstance(expected, dict) and "refused" in expected else result])
with open(path, "w") as file:
    lines = ",\n".join("  " + json.dumps(case, ensure_ascii=False) for case in cases)
    file.write(f'{{\n "variables": {json.dumps(fixture["variables"], ensure_ascii=False)},\n "cases": [\n{lines}\n ]\n}}\n')
