/** @file What a chat template may cost: work is charged by the size of what it touches, whatever writes it. */
import { describe, expect, it } from 'vitest'
import { Activation } from './activation.js'
import { Dict } from './dict.js'
import { Executor } from './execute.js'
import { globals } from './globals.js'
import { Output } from './output.js'
import { parseTemplate } from './parse.js'
import { resolveNames } from './resolve.js'
import { TemplateRuntime } from './runtime.js'
import { stringMethods } from './string-methods.js'
import { Tuple, type Value } from './values.js'

type Variables = Readonly<Record<string, Value>>

/** Steps that a template is charged. */
function charged(source: string, variables: Variables = {}): number {
  const runtime = new TemplateRuntime((format) => format)
  const { body, scope } = resolveNames(parseTemplate(source))
  const activation = new Activation(new Map([...globals, ...Object.entries(variables)]), 0, undefined)
  activation.enter(scope)
  new Executor(runtime, false).run(body, activation, new Output(runtime.meter, true))
  return runtime.meter.charged
}

const SMALL = 1000
const LARGE = 9000

/** How many steps more a template is charged for each unit of a size. */
const slope = (work: (size: number) => number): number => (work(LARGE) - work(SMALL)) / (LARGE - SMALL)

const slopeOf = (expression: string, variables: (size: number) => Variables): number =>
  slope((size) => charged(`{% set result = ${expression} %}`, variables(size)))

describe('a text is charged', () => {
  const texts = (size: number): Variables => ({
    s: 'x'.repeat(size),
    same: 'x'.repeat(size),
    other: 'x'.repeat(size - 1) + 'y',
    spaces: ' '.repeat(size) + 'x',
    wide: '\u{1f600}'.repeat(size),
  })

  const args: Readonly<Record<string, string>> = {
    ...{ find: "'y'", rfind: "'y'", index: "'x'", rindex: "'x'", count: "'y'", startswith: "'y'", endswith: "'y'" },
    ...{ removeprefix: "'y'", removesuffix: "'y'", partition: "'y'", rpartition: "'y'", replace: "'y', 'z'" },
    ...{ join: "['a', 'b']", center: '3', ljust: '3', rjust: '3', zfill: '3', format_map: '{}' },
  }
  it.each(Object.keys(stringMethods))('for every character by str.%s', (name) => {
    expect(slopeOf(`s.${name}(${args[name] ?? ''})`, texts)).toBeGreaterThanOrEqual(1 / 32)
  })

  it.each([
    ...["'x'.strip(s)", "'x'.startswith(s)", "'x'.startswith(('y', s))", "'x'.removeprefix(s)", "'x'.count(s)", "s.format('x')"],
    ...[
      "'x' in s",
      's in other',
      's|upper',
      's|title',
      's|capitalize',
      's|trim',
      's|center(3)',
      's|wordcount',
      's|int',
      's|float',
    ],
    ...[
      's|e',
      's|forceescape',
      's|urlencode',
      's|tojson',
      '{s: s}|xmlattr',
      's|indent',
      's|replace(1, 2)',
      's|safe',
      's|reverse',
    ],
    ...['s is lower', 's is upper', '[s, other]|min', "[s, 'y']|sort", "{s: 1, 'y': 2}|dictsort", '[s]|unique|list'],
    ...['s % ()', "'%r' % s", "'%a' % s", "'{}'.format(s)", "'{:>3}'.format(s)", 's < other', 's <= same', 'strftime_now(s)'],
    ...['[1]|map(attribute=s, default=0)|list', 'spaces.strip()', 'spaces.split()', 'wide[::2]', 's.splitlines()'],
  ])('for every character by %s', (expression) => {
    expect(slopeOf(expression, texts)).toBeGreaterThanOrEqual(1 / 32)
  })

  it.each([
    ...['s == other', 's != same', 's|length', 's[3]', 's[-1]', 's[3:5]', 'wide[3]', 's|last', 's is eq other', 's|truncate(3)'],
    ...[
      '{s: 1}',
      "s in {'a': 1}",
      "{'a': 1}[s]",
      "{'a': 1}.get(s)",
      '1|attr(s)',
      '1[s]',
      's is filter',
      's is test',
      '(s,) in {}',
    ],
    ...["s ~ 'x'", "s + 'x'", '[s] == [other]', 's in [other]', '[other].count(s)', '[s] < [other]', '{1: s} == {1: other}'],
  ])('as a whole by %s', (expression) => {
    expect(slopeOf(expression, texts)).toBeGreaterThanOrEqual(1 / 2048)
  })

  it.each([
    '{{ s }}',
    '{% set y %}{{ s }}{% endset %}',
    '{% filter length %}{{ s }}{% endfilter %}',
    '{% macro m() %}{{ s }}{% endmacro %}{% set y = m() %}',
    '{% for x in [1] recursive %}{{ s }}{% endfor %}',
  ])('where it is written by %s', (source) => {
    expect(slope((size) => charged(source, texts(size)))).toBeGreaterThanOrEqual(1 / 1024)
  })

  it('more where it is too long to be found by its characters', () => {
    expect(charged('{{ {}[s] }}', { s: 'x'.repeat(20_000) })).toBeGreaterThan(5000)
  })
})

describe('a list, a tuple or a dict is charged for every item', () => {
  const containers = (size: number): Variables => {
    const items = Array.from({ length: size }, (_, i) => BigInt(i))
    const entries = items.map((item) => [String(item), item] as const)
    return {
      ...{ l: items, same: [...items], t: new Tuple(items), u: new Tuple([...items]) },
      ...{ d: Dict.named(entries), e: Dict.named(entries), zeros: items.map(() => '0') },
      path: items.map(() => '0').join('.'),
    }
  }

  it.each([
    ...['l == same', 'l != same', 'l < same', 'l <= same', 't == u', 't < u', 'd == e', 'd.keys() == e.keys()'],
    ...['-1 in l', '-1 in t', '-1 in d.values()', 'l in [same]', '[l].count(same)', '[same].index(l)', 'l.count(1)'],
    ...['l|list', 'l|reverse|first', 't|reverse|first', 'd|last', 'd.items()|last', 'l|join', 'l|sum', 'l|max', 'l|sort'],
    ...['[l]|sort', '[t, u]|sort', '{t: 1}', 't in {}', '{}[t]', '{}.get(t)', 't is filter', 'dict(d)', 'dict(**d)', 'd.copy()'],
    ...[
      'l.copy()',
      '{}.fromkeys(l)',
      'zeros|groupby(0)',
      'd|dictsort',
      'd|items|list',
      'd|xmlattr',
      'd|urlencode',
      'l|unique|list',
    ],
    ...[
      'l|tojson',
      'd|tojson',
      'l|string',
      'd|string',
      'l * 2',
      'l + same',
      'l[1:]',
      'l[::-1]',
      't[1:]',
      'd.items() == e.items()',
    ],
    ...["['0']|map(attribute=path)|list", "['0']|sort(attribute=path)", "'%s' % l"],
  ])('by %s', (expression) => {
    expect(slopeOf(expression, containers)).toBeGreaterThanOrEqual(1 / 32)
  })

  it('that a loop looks ahead at to know its length', () => {
    const source = '{% for x in d|items %}{{ loop.length }}{% break %}{% endfor %}'
    expect(slope((size) => charged(source, containers(size)))).toBeGreaterThanOrEqual(1 / 4)
  })
})

describe('the variables of a scope are charged', () => {
  const names = (size: number): readonly string[] => Array.from({ length: size }, (_, i) => `v${i}`)

  it('whenever it is entered', () => {
    const body = (size: number): string =>
      names(size)
        .map((name) => `{{ ${name} }}`)
        .join('')
    const source = (size: number): string => `{% for i in [1, 2] %}{% if i == 0 %}${body(size)}{% endif %}{% endfor %}`
    expect(slope((size) => charged(source(size)))).toBeGreaterThanOrEqual(2 / 4)
  })

  it('whenever a macro is called', () => {
    const source = (size: number): string => `{% macro m(${names(size).join()}) %}{% endmacro %}{% set x = m() %}`
    expect(slope((size) => charged(source(size)))).toBeGreaterThanOrEqual(1 / 4)
  })
})

it.each([
  ...['n + n', 'n - 1', 'n * 3', 'n // 7', 'n % 7', 'n / n', 'n ** 1', '7 ** (n.bit_length() // 3)', 'n in range(n, n + 9)'],
  ...['n|string', 'n|tojson', "'%d' % n", "'%x' % n", "'{:x}'.format(n)", "'{:,}'.format(n)", 'n.bit_count()', 'range(n, n + 9)'],
])('integers are charged for their bits by %s', (expression) => {
  expect(slopeOf(expression, (size) => ({ n: 2n ** BigInt(size) }))).toBeGreaterThanOrEqual(1 / 128)
})

it('floats are charged for the bits of their powers', () => {
  expect(slope((size) => charged(`{{ 5e-324 ** ${size / 10} }}`))).toBeGreaterThanOrEqual(1 / 2)
})

it.each([
  ["('aΣ' * 30000).title()", "('aΣ' * 30000).swapcase()"],
  ["'x'.split('a' * 30000)", "('a' * 30000).split('a' * 100)"],
])('long texts are no reason to refuse %s', (...expressions) => {
  for (const expression of expressions) expect(charged(`{% set x = ${expression} %}`)).toBeLessThan(100_000)
})
