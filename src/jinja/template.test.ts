/**
 * @file Templates against what Python's Jinja 3.1 writes (test/oracle/write-jinja.py), and templates of strangers kept within
 * bounds.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseExactJson } from '../util/exact-json.js'
import { strftime } from '../util/strftime.js'
import { JinjaTemplate, TemplateError } from './index.js'

/**
 * Templates and what Python's Jinja 3.1 writes for them in the environment of transformers (test/oracle/write-jinja.py);
 * `error` where it raises, `refused` where it writes what we refuse by name.
 */
interface Fixture {
  readonly variables: Readonly<Record<string, unknown>>
  readonly cases: readonly (readonly [
    source: string,
    expected: string | { readonly error?: string; readonly refused?: string },
  ])[]
}
const now = (format: string): string => strftime(new Date(2024, 6, 26, 13, 5, 9), format)
const read = (name: string): Fixture =>
  parseExactJson(readFileSync(new URL(`../../test/fixtures/jinja/${name}`, import.meta.url), 'utf8')) as Fixture
const render = (source: string, variables: Readonly<Record<string, unknown>> = {}): string =>
  new JinjaTemplate(source).render(variables, now)

describe.each(['snippets.json', 'cases.json', 'expressions.json', 'statements.json'])('%s', (name) => {
  const { variables, cases } = read(name)

  it.each(cases)('%s', (source, expected) => {
    if (typeof expected === 'string') expect(render(source, variables)).toBe(expected)
    else {
      expect(() => render(source, variables)).toThrow(TemplateError)
      if (expected.refused !== undefined)
        expect(() => render(source, variables)).toThrow('is not supported in chat templates here')
    }
  })
})

describe('a template that wants too much', () => {
  const bombs = [
    ['{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}', 'steps'],
    ["{{ 'x' * 10 ** 9 }}", 'a text of more than'],
    ["{{ ('x' * 10 ** 6) * 10 ** 6 }}", 'a text of more than'],
    [
      "{% set ns = namespace(x='xxxxxxxx') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
      'a text of more than',
    ],
    [
      "{% set ns = namespace(x='xxxxxxxx') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
      'a text of more than',
    ],
    ["{% set ns = namespace(x='aa') %}{% for i in range(99) %}{% set ns.x = ns.x.replace('a', ns.x) %}{% endfor %}", 'more than'],
    ['{{ [0] * 10 ** 9 }}', 'a list of more than'],
    ['{% set ns = namespace(x=[0]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}', 'more than'],
    ['{{ 10 ** (10 ** 9) }}', 'an integer of more than'],
    ['{{ 2 ** (10 ** 9) }}', 'an integer of more than'],
    ['{% set ns = namespace(x=9) %}{% for i in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}', 'an integer of more than'],
    ["{{ '%999999999d' % 1 }}", 'more than'],
    ["{{ '%.999999999f' % 1 }}", 'more than'],
    ["{{ '%*d' % (999999999, 1) }}", 'more than'],
    ["{{ '{:999999999}'.format(1) }}", 'more than'],
    ["{{ '{:.999999999f}'.format(1.0) }}", 'more than'],
    ["{{ '{:{}}'.format(1, 999999999) }}", 'more than'],
    ["{{ 'x'.center(999999999) }}{{ 'x'.ljust(999999999) }}", 'more than'],
    ["{{ 'x'.zfill(999999999) }}", 'more than'],
    ["{{ ('\t' * 99).expandtabs(99999999) }}", 'more than'],
    ["{{ ('a' * 999999)|list|join('b' * 9999) }}", 'more than'],
    ["{{ 'a'|indent(999999999) }}{{ ('a\n' * 99999)|indent(99999) }}", 'more than'],
    ['{{ [1]|tojson(indent=99999999) }}', 'an indent of more than'],
    ['{{ [1]|batch(99999999, 0)|list }}', 'more than'],
    ['{{ [1]|slice(99999999)|list }}', 'steps'],
    ['{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}', 'levels deep'],
    ['{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}', 'levels deep'],
    ['{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}', 'levels deep'],
    [
      '{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x|tojson }}',
      'levels deep',
    ],
    [
      '{% set ns = namespace(x=[], y=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% set ns.y = [ns.y] %}{% endfor %}{{ ns.x == ns.y }}',
      'recursion',
    ],
    [
      '{% set n = namespace(x=[1], y=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% set n.y = [n.y, n.y] %}{% endfor %}{{ n.x == n.y }}',
      'steps',
    ],
    [
      '{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ [n.x, n.x]|sort }}',
      'steps',
    ],
    ['{% set n = namespace(x=(1,)) %}{% for i in range(60) %}{% set n.x = (n.x, n.x) %}{% endfor %}{{ {n.x: 1} }}', 'steps'],
    ['{% set n = namespace(x=(1,)) %}{% for i in range(60) %}{% set n.x = (n.x, n.x) %}{% endfor %}{{ {}[n.x] }}', 'steps'],
    [
      '{% set n = namespace(r=range(9)) %}{% for i in range(999) %}{% set n.r = n.r[::2 ** 40] %}{% endfor %}',
      'an integer of more than',
    ],
    ["{{ ('f' * 9999)|int(0, 16) }}", 'an integer of more than'],
    ["{{ ('\n' * 9999999).splitlines() }}", 'steps'],
    ["{{ ('\n' * 9999999)|indent }}", 'steps'],
    ['{{ ' + '('.repeat(9999) + '1' + ')'.repeat(9999) + ' }}', 'levels deep'],
    ['{{ ' + '-'.repeat(9999) + '1 }}', 'levels deep'],
    ['{{ ' + 'not '.repeat(9999) + '1 }}', 'levels deep'],
    ['{{ ' + '1 if 1 else '.repeat(9999) + '1 }}', 'levels deep'],
    ['{{ 1' + ' + 1'.repeat(9999) + ' }}', 'levels deep'],
    ['{{ x' + '.a'.repeat(9999) + ' }}', 'levels deep'],
    ["{{ 'x'" + '|upper'.repeat(9999) + ' }}', 'levels deep'],
    ['{% if 1 %}'.repeat(9999) + '{% endif %}'.repeat(9999), 'levels deep'],
    ['{{ range(100001) }}', 'range(100001) is longer than 100000'],
  ] as const
  it.each(bombs.map(([source, message]) => [source.slice(0, 80), message, source] as const))(
    'is stopped: %s',
    (_shown, message, source) => {
      expect(() => render(source)).toThrow(TemplateError)
      expect(() => render(source)).toThrow(message)
    },
  )

  it('is stopped by data that is nested without end', () => {
    const deep = JSON.parse('['.repeat(5000) + ']'.repeat(5000)) as unknown
    expect(() => render('{{ x }}', { x: deep })).toThrow('levels deep')
  })
})

describe('the world outside', () => {
  it.each(['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '__defineGetter__'])('knows no %s', (name) => {
    for (const value of ['x', 'd', 'l', 'f', 's', 'none', 'range', 'namespace()', 'd.items()', '(1, 2)', '1.5', 'loop']) {
      const source = `{% for i in [1] %}{{ ${value}.${name} is defined }}{{ ${value}['${name}'] is defined }}{{ loop.index }}{% endfor %}`
      const variables = { x: 1, d: {}, l: [], f: 1.5, s: 's' }
      expect(render(source, variables)).toBe('FalseFalse1')
    }
    expect(render(`{{ ${name} is defined }}`)).toBe('False')
    expect(() => render(`{{ 1 | ${name} }}`)).toThrow(`No filter named '${name}'`)
    expect(() => render(`{{ 1 is ${name} }}`)).toThrow(`No test named '${name}'`)
  })

  it('keeps keys that JavaScript treats apart', () => {
    const variables = parseExactJson('{"d": {"__proto__": 1, "2": "b", "1": "a", "constructor": 3}}') as Record<string, unknown>
    expect(render("{{ d }} {{ d['__proto__'] }} {{ d.constructor }}", variables)).toBe(
      "{'__proto__': 1, '2': 'b', '1': 'a', 'constructor': 3} 1 3",
    )
  })

  it('refuses what is no data, with its place', () => {
    expect(() => render('', { tools: [{ run: () => 1 }] })).toThrow('tools[0].run is a function; expected data as JSON has it')
    expect(() => render('', { when: new Date(0) })).toThrow('when is a Date; expected data')
  })
})
