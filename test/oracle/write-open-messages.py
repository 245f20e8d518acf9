"""What transformers' continue_final_message makes of the templates and dialogues of write-chat-spans.py.

Usage: python test/oracle/write-open-messages.py test/fixtures/chat/spans.json > test/fixtures/chat/open-messages.json

A case is [template's name, dialogue's name, text], the text null where transformers refuses.
"""
import json
import sys

import transformers.utils.chat_template_utils as utils


class Clock(utils.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26)


utils.datetime = Clock

fixture = json.load(open(sys.argv[1]))
extra = {
    "parts": {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [{"type": "text", "text": "Hel "}]}]},
    "no text": {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None}]},
}
parts = "{% for m in messages %}<{{ m.role }}>{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content or [] %}{{ p.text | trim }}{% endfor %}{% endif %}</{{ m.role }}>\n{% endfor %}"
templates = {case["name"]: case["template"] for case in fixture["cases"]}
cases = []
for name, template in [*templates.items(), ("parts", parts)]:
    for dialogue, row in {**(extra if name == "parts" else {}), **fixture["dialogues"]}.items():
        try:
            texts, _ = utils.render_jinja_template(
                [row["messages"]], tools=row.get("tools"), chat_template=template, continue_final_message=True, **fixture["variables"]
            )
            text = texts[0]
        except Exception:
            text = None
        cases.append([name, dialogue, text])
json.dump({"parts": parts, "dialogues": extra, "cases": cases}, sys.stdout, ensure_ascii=False, indent=None)
print()
