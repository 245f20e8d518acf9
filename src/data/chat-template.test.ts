/** @file Dialogues as templates render them, and the turns found in them, against texts that transformers gives and by hand. */
import { describe, expect, it } from 'vitest'
import { InvalidDataError } from '../errors.js'
import { ChatTemplate } from './chat-template.js'

const CHATML =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

const LLAMA3 = `{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = strftime_now("%d %b %Y") %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
`

/** As Qwen3: only the turn after the last question shows a thinking block. */
const THINKING = `{%- set ns = namespace(last=-1) %}
{%- for message in messages %}
    {%- if message.role == 'user' %}{%- set ns.last = loop.index0 %}{%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.role == 'assistant' and loop.index0 > ns.last %}
        {{- '<a>\\n<think>\\n\\n</think>\\n\\n' + message.content + '</a>\\n' }}
    {%- elif message.role == 'assistant' %}
        {{- '<a>\\n' + message.content + '</a>\\n' }}
    {%- else %}
        {{- '<u>\\n' + message.content + '</u>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<a>\\n' }}{%- endif %}`

const GENERATION = `{% for message in messages %}
    {% if message.role == 'assistant' %}
<a>{% generation %}{{ message.content }}</a>{% endgeneration %}

    {% else %}
<u>{{ message.content }}</u>
    {% endif %}
{% endfor %}
{% if add_generation_prompt %}<a>{% endif %}`

const user = (content: string) => ({ role: 'user', content })
const assistant = (content: string) => ({ role: 'assistant', content })
const dialogue = [user('Hi'), assistant(' Hello. '), user('1+1?'), assistant('2')]
const template = (source: string): ChatTemplate =>
  new ChatTemplate(source, 'tokenizer_config.json', { bos_token: '<s>' }, () => new Date(2024, 6, 26))
const learned = (source: string, messages = dialogue): string[] => {
  const { text, spans } = template(source).renderAssistant(messages)
  return spans.map(({ start, end }) => text.slice(start, end))
}

describe('ChatTemplate', () => {
  it('renders ChatML', () => {
    expect(template(CHATML).render(dialogue.slice(0, 1), true)).toBe('<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n')
    expect(learned(CHATML)).toEqual([' Hello. <|im_end|>\n', '2<|im_end|>\n'])
  })

  it('renders a template as Llama 3.1 has it, at the date of the clock', () => {
    const messages = [{ role: 'system', content: ' Be brief. ' }, ...dialogue.slice(0, 2)]
    expect(template(LLAMA3).render(messages, false)).toBe(
      '<s><|start_header_id|>system<|end_header_id|>\n\nToday Date: 26 Jul 2024\n\nBe brief.<|eot_id|>' +
        '<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nHello.<|eot_id|>',
    )
    expect(learned(LLAMA3)).toEqual(['Hello.<|eot_id|>', '2<|eot_id|>'])
  })

  it('finds the turns of a template that writes the last one differently', () => {
    expect(learned(THINKING)).toEqual([' Hello. </a>\n', '<think>\n\n</think>\n\n2</a>\n'])
  })

  it('goes by generation tags, as transformers does', () => {
    const { text } = template(GENERATION).renderAssistant(dialogue)
    // Text and stretches as transformers 5.18 gives them.
    expect(text).toBe('<u>Hi</u>\n<a> Hello. </a>\n<u>1+1?</u>\n<a>2</a>\n')
    expect(learned(GENERATION)).toEqual([' Hello. </a>', '2</a>'])
    const dashes =
      '{%- for m in messages -%} {{ m.role }}: {%- generation -%} {{ m.content }} {%- endgeneration -%} ; {%- endfor -%}'
    expect(learned(dashes)).toEqual(['Hi', ' Hello. ', '1+1?', '2'])
  })

  it('takes all that a completion adds', () => {
    const { text, spans } = template(CHATML).renderCompletion(dialogue.slice(0, 3), dialogue.slice(3))
    expect(spans.map(({ start, end }) => text.slice(start, end))).toEqual(['2<|im_end|>\n'])
  })

  it('passes on what the template objects to, and a template that is none', () => {
    const strict = "{% if messages[0].role != 'system' %}{{ raise_exception('A system message is needed') }}{% endif %}"
    expect(() => template(strict).render(dialogue, false)).toThrow(InvalidDataError)
    expect(() => template(strict).render(dialogue, false)).toThrow('refuses the dialogue (A system message is needed)')
    expect(() => template('{% for %}')).toThrow('tokenizer_config.json: the chat template cannot be parsed')
  })
})

describe('a template of a stranger', () => {
  const render = (source: string): string =>
    new ChatTemplate(source, 'x/tokenizer_config.json', {}, () => new Date(0)).render([{ role: 'user', content: 'a' }], false)

  it('may count', () => {
    expect(render('{% for i in range(3) %}{{ i }}{% endfor %}')).toBe('012')
  })

  it.each([
    ['{{ range(1000000000) }}', 'range(1000000000) is longer than 100000'],
    ['{{ range(0, 9, 0) }}', 'range() arg 3 must not be zero'],
    ['{% for i in range(9999) %}{% for j in range(9999) %}{{ j }}{% endfor %}{% endfor %}', 'it takes more than 2000000 steps'],
  ])('is stopped: %s', (source, message) => {
    expect(() => render(source)).toThrow(
      new InvalidDataError(`x/tokenizer_config.json: the chat template refuses the dialogue (${message}).`),
    )
  })
})
