"""What transformers makes of chat templates of many shapes: the text, and what in it the assistant wrote.

Run by hand where Python has transformers:
    python test/oracle/write-chat-spans.py > test/fixtures/chat/spans.json
Each template stands here once, with marks [[ and ]] where training templates put {% generation %}: behind the opening of
the assistant's turn, and behind its closing. Without the marks it is the template to be searched.
"""
import json
import sys

import transformers.utils.chat_template_utils as utils


class Clock(utils.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26)


utils.datetime = Clock

LOOP = "{% for m in messages %}"
TEMPLATES = {
    "plain": LOOP + "<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}[[{% endif %}{{ m.content }}<|im_end|>\n{% if m.role == 'assistant' %}]]{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    "end token after the last turn": "{% for message in messages %}{% if message['role'] == 'user' %}{{ '<|user|>\n' + message['content'] + '<|end|>\n' }}{% elif message['role'] == 'assistant' %}{{ '<|assistant|>\n' }}[[{{ message['content'] + '<|end|>\n' }}]]{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% elif messages[-1]['role'] == 'assistant' %}[[{{ eos_token }}]]{% else %}{{ eos_token }}{% endif %}",
    "thinking in the generation prompt, not in the turns": "{{ bos_token }}" + LOOP + "{% if m.role == 'user' %}<|User|>{{ m.content }}{% elif m.role != 'assistant' %}{{ m.content }}{% else %}<|Assistant|>[[{{ m.content.split('</think>')[-1] }}{{ eos_token }}]]{% endif %}{% endfor %}{% if add_generation_prompt %}<|Assistant|><think>\n{% endif %}",
    "thinking in the generation prompt and in the last turn": "{% set ns = namespace(last=-1) %}" + LOOP + "{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}" + LOOP + "<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}{% if loop.index0 > ns.last %}<think>\n[[{{ m.reasoning_content | default('', true) }}\n</think>\n\n{{ m.content }}<|im_end|>\n]]{% else %}[[{{ m.content }}<|im_end|>\n]]{% endif %}{% else %}{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}",
    "an empty block of thinking where the prompt opens one": LOOP + "<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}[[<think></think>{{ m.content | trim }}<|im_end|>\n]]{% else %}{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}",
    "thinking in the last turn alone": "{% set ns = namespace(last=-1) %}" + LOOP + "{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}" + LOOP + "<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}[[{% if loop.index0 > ns.last %}<think>\n{{ m.reasoning_content | default('', true) }}\n</think>\n\n{% endif %}{{ m.content }}<|im_end|>\n]]{% else %}{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    "calls of tools beside empty content": "{% if tools %}<|im_start|>system\n{{ tools | tojson }}<|im_end|>\n{% endif %}" + LOOP + "{% if m.role == 'tool' %}{% if loop.index0 == 0 or messages[loop.index0 - 1].role != 'tool' %}<|im_start|>user{% endif %}\n<tool_response>\n{{ m.content }}\n</tool_response>{% if loop.last or messages[loop.index0 + 1].role != 'tool' %}<|im_end|>\n{% endif %}{% elif m.role == 'assistant' %}<|im_start|>assistant\n[[{% if m.content %}{{ m.content }}{% endif %}{% for c in m.tool_calls or [] %}{% if not loop.first or m.content %}\n{% endif %}<tool_call>\n{{ c.function | tojson }}\n</tool_call>{% endfor %}<|im_end|>\n]]{% else %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    "answers of tools inside of the turn": "{% macro answer(text) %}<|response>{{ text }}<response|>{% endmacro %}" + LOOP + "{% if m.role != 'tool' %}{% set before = messages[loop.index0 - 1].role if loop.index0 > 0 else '' %}{% if not (m.role == 'assistant' and before == 'tool') %}<|turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{% endif %}{% if m.role == 'assistant' %}[[{% for c in m.tool_calls or [] %}<|call>{{ c.function.name }}<call|>{% endfor %}]]{% set ns = namespace(stop=false) %}{% for k in range(loop.index0 + 1, messages | length) %}{% if messages[k].role != 'tool' %}{% set ns.stop = true %}{% elif not ns.stop %}{{ answer(messages[k].content) }}{% endif %}{% endfor %}[[{{ m.content or '' }}]]{% if not m.tool_calls %}[[<turn|>\n]]{% endif %}{% else %}{{ m.content }}<turn|>\n{% endif %}{% endif %}{% endfor %}{% if add_generation_prompt and messages[-1].role != 'tool' %}<|turn>model\n{% endif %}",
    "channels": "{% macro calls(m) %}{% for c in m.tool_calls or [] %} to={{ c.function.name }}<|channel|>commentary<|message|>{{ c.function.arguments | tojson }}<|call|>{% endfor %}{% endmacro %}" + LOOP + "{% if m.role == 'assistant' %}<|start|>assistant[[{% if m.tool_calls %}{{ calls(m) }}{% else %}<|channel|>final<|message|>{{ m.content }}{{ '<|return|>' if loop.last else '<|end|>' }}{% endif %}]]{% else %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endif %}{% endfor %}{% if add_generation_prompt %}<|start|>assistant{% endif %}",
    "system in the first question, no generation prompt": "{% if messages[0].role == 'system' %}{% set system = '<<SYS>>\n' + messages[0].content + '\n<</SYS>>\n\n' %}{% set rest = messages[1:] %}{% else %}{% set system = '' %}{% set rest = messages %}{% endif %}{% for m in rest %}{% if m.role == 'user' %}{{ bos_token }}[INST] {{ (system if loop.index0 == 0 else '') + m.content.strip() }} [/INST]{% elif m.role == 'assistant' %}[[ {{ m.content.strip() }} {{ eos_token }}]]{% endif %}{% endfor %}",
    "system and tools in the last question": "{{ bos_token }}{% set system = messages[0].content if messages[0].role == 'system' else '' %}{% set rest = messages[1:] if messages[0].role == 'system' else messages %}{% for m in rest %}{% if m.role == 'user' %}{% if tools and loop.last or (tools and loop.index == (rest | length) - 1) %}[AVAILABLE_TOOLS] {{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif %}[INST]{% if loop.last or loop.index == (rest | length) - 1 %}{{ system }}\n\n{% endif %}{{ m.content }}[/INST]{% elif m.tool_calls %}[[[TOOL_CALLS] {{ m.tool_calls[0].function | tojson }}{{ eos_token }}]]{% elif m.role == 'assistant' %}[[ {{ m.content | trim }}{{ eos_token }}]]{% elif m.role == 'tool' %}[TOOL_RESULTS] {{ m.content }}[/TOOL_RESULTS]{% endif %}{% endfor %}",
    "the date, trimmed contents": "{{ bos_token }}<|h|>system<|/h|>\n\nToday: {{ strftime_now('%d %b %Y') }}\n\n{% if messages[0].role == 'system' %}{{ messages[0].content | trim }}{% set messages = messages[1:] %}{% endif %}<|eot|>{% for m in messages %}<|h|>{{ m.role }}<|/h|>\n\n{% if m.role == 'assistant' %}[[{% endif %}{{ (m.content or '') | trim }}<|eot|>{% if m.role == 'assistant' %}]]{% endif %}{% endfor %}{% if add_generation_prompt %}<|h|>assistant<|/h|>\n\n{% endif %}",
    "the generation prompt inside of the loop": LOOP + "\n{% if m['role'] == 'user' %}\n{{ '<|user|>\n' + m['content'] + eos_token }}\n{% elif m['role'] == 'system' %}\n{{ '<|system|>\n' + m['content'] + eos_token }}\n{% elif m['role'] == 'assistant' %}\n{{ '<|assistant|>\n' }}[[{{ m['content'] + eos_token }}\n]]{% endif %}\n{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}",
    "headers in words": "{% for message in messages %}{% if message.role == 'user' %}USER: {{ message.content }} {% elif message.role == 'assistant' %}ASSISTANT: [[{{ message.content }}{{ eos_token }}]]{% else %}{{ message.content }} {% endif %}{% endfor %}{% if add_generation_prompt %}ASSISTANT: {% endif %}",
    "the opening in the question": LOOP + "{% if m.role == 'user' %}Human: {{ m.content }}\n\nAssistant: {% elif m.role == 'assistant' %}[[{{ m.content }}{{ eos_token }}]]{% else %}{{ m.content }}\n\n{% endif %}{% endfor %}",
    "a newline that parts the turns": LOOP + "{% if not loop.first %}{{ '\n' }}{% endif %}### {{ m.role }}:{% if m.role == 'assistant' %}[[{% endif %}{{ m.content }}{{ eos_token }}{% if m.role == 'assistant' %}]]{% endif %}{% endfor %}{% if add_generation_prompt %}\n### assistant:{% endif %}",
    "messages by number": "{% for i in range(messages | length) %}<|im_start|>{{ messages[i].role }}\n{% if messages[i].role == 'assistant' %}[[{% endif %}{{ messages[i].content }}<|im_end|>\n{% if messages[i].role == 'assistant' %}]]{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    "messages by number, an end token after the last turn": "{% for i in range(messages | length) %}<|im_start|>{{ messages[i].role }}\n{% if messages[i].role == 'assistant' %}[[{% endif %}{{ messages[i].content }}<|im_end|>\n{% if messages[i].role == 'assistant' %}]]{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% elif messages[-1].role == 'assistant' %}[[{{ eos_token }}]]{% else %}{{ eos_token }}{% endif %}",
    "messages by number, thinking in the last": "{% for i in range(messages | length) %}<|im_start|>{{ messages[i].role }}\n{% if messages[i].role == 'assistant' %}[[{% if loop.last %}<think>\n\n</think>\n\n{% endif %}{% endif %}{{ messages[i].content }}<|im_end|>\n{% if messages[i].role == 'assistant' %}]]{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
}

call = lambda name, **arguments: {"id": name, "type": "function", "function": {"name": name, "arguments": arguments}}
user = lambda text: {"role": "user", "content": text}
assistant = lambda text, **more: {"role": "assistant", "content": text, **more}
tool = lambda text, name: {"role": "tool", "content": text, "name": name, "tool_call_id": name}
system = {"role": "system", "content": "Be brief."}
tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"x": {"type": "number"}}}}}]
DIALOGUES = {
    "one": ([user("Hi"), assistant("Hello.")], None),
    "three": ([user("a"), assistant("b"), user("c"), assistant("d"), user("e"), assistant("f")], None),
    "system": ([system, user("Hi"), assistant("Hello."), user("1+1?"), assistant("2")], None),
    "a question last": ([user("Hi"), assistant("Hello."), user("more?")], None),
    "white space": ([user(" Hi "), assistant("  Hello. \n"), user("x"), assistant("\n\n  y")], None),
    "an empty answer": ([user("Hi"), assistant(""), user("x"), assistant("y")], None),
    "markers and repetition": ([user("<|im_end|>"), assistant("<|im_start|>assistant\nx"), user("assistant"), assistant("x")], None),
    "an answer that begins as the prompt ends": ([user("x"), assistant("<thinking aloud>"), user("x"), assistant("<think>\ny")], None),
    "emoji": ([user("👍"), assistant("👨‍👩‍👧 é"), user("नमस्ते"), assistant("👍")], None),
    "thoughts": ([user("x"), assistant("y", reasoning_content="so"), user("x"), assistant("z", reasoning_content="then")], None),
    "tools": ([user("x?"), assistant("", tool_calls=[call("f", x=1.0)]), tool("3", "f"), assistant("It is 3.")], tools),
    "tools twice": ([system, user("x?"), assistant("Wait.", tool_calls=[call("f", x=1), call("g")]), tool("3", "f"), tool("4", "g"), assistant("It is."), user("so?"), assistant("yes")], tools),
}
VARIABLES = {"bos_token": "<s>", "eos_token": "</s>"}


OPEN, CLOSE = "\ue000", "\ue001"


def render(source, messages, tools):
    texts, _ = utils.render_jinja_template([messages], tools=tools, chat_template=source, **VARIABLES)
    return texts[0]


def stretches(marked):
    """The text without marks, and what stands between them; neighbours are one."""
    text, found, start = "", [], None
    for c in marked:
        if c == OPEN:
            start = len(text)
        elif c == CLOSE:
            if start < len(text):
                if found and found[-1][1] == start:
                    found[-1][1] = len(text)
                else:
                    found.append([start, len(text)])
        else:
            text += c
    return text, [text[a:b] for a, b in found]


cases = []
for name, marked in TEMPLATES.items():
    plain = marked.replace("[[", "").replace("]]", "") if "[[[" not in marked else marked.replace("[[[", "[").replace("[[", "").replace("]]", "")
    shown = marked.replace("[[", "{{ '%s' }}" % OPEN).replace("]]", "{{ '%s' }}" % CLOSE)
    rows = []
    for which, (messages, with_tools) in DIALOGUES.items():
        # Where a whole generation prompt stands before the answer by chance, it is not learned: the marks cannot say so.
        if which == "an answer that begins as the prompt ends" and name == "thinking in the generation prompt, not in the turns":
            continue
        try:
            text = render(plain, messages, with_tools)
        except Exception:
            continue
        same, learned = stretches(render(shown, messages, with_tools))
        assert same == text, (name, which, text, same)
        rows.append({"dialogue": which, "text": text, "learned": learned})
    cases.append({"name": name, "template": plain, "rows": rows})
dialogues = {name: {"messages": messages, **({"tools": with_tools} if with_tools else {})} for name, (messages, with_tools) in DIALOGUES.items()}
json.dump({"variables": VARIABLES, "dialogues": dialogues, "cases": cases}, sys.stdout, ensure_ascii=True, indent=1)
print()
