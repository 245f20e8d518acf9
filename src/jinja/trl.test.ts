/**
 * @file The chat templates that TRL brings against what transformers renders of them (test/oracle/write-trl-templates.py),
 * generation tags too.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseExactJson } from '../util/exact-json.js'
import { strftime } from '../util/strftime.js'
import { JinjaTemplate, TemplateError } from './index.js'

/** Templates of TRL and what transformers makes of dialogues with them (test/oracle/write-trl-templates.py); places in code points. */
interface Fixture {
  readonly templates: Readonly<Record<string, string>>
  readonly variables: Readonly<Record<string, unknown>>
  readonly dialogues: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly cases: readonly (readonly [
    template: string,
    dialogue: string,
    prompt: boolean,
    text: string | null,
    spans: readonly (readonly [number, number])[],
  ])[]
}

const file = new URL('../../test/fixtures/jinja/trl.json', import.meta.url)
const { templates, variables, dialogues, cases } = parseExactJson(readFileSync(file, 'utf8')) as Fixture
const now = (format: string): string => strftime(new Date(2024, 6, 26, 13, 5, 9), format)

describe.each(Object.keys(templates))('the chat template %s', (name) => {
  const template = new JinjaTemplate(templates[name] as string)

  it.each(cases.filter(([of]) => of === name).map(([, ...rest]) => rest))(
    'writes %s (prompt: %s)',
    (dialogue, prompt, text, spans) => {
      const values = { tools: null, documents: null, ...variables, ...dialogues[dialogue], add_generation_prompt: prompt }
      if (text === null) {
        expect(() => template.render(values, now)).toThrow(TemplateError)
        return
      }
      expect(template.render(values, now)).toBe(text)
      const rendered = template.renderWithGenerations(values, now)
      const points = (unit: number): number => Array.from(text.slice(0, unit)).length
      expect(rendered.text).toBe(text)
      expect(rendered.spans.map(({ start, end }) => [points(start), points(end)])).toEqual(spans)
    },
  )
})

describe('generation tags', () => {
  const learned = (source: string, values: Readonly<Record<string, unknown>> = {}): readonly string[] => {
    const { text, spans } = new JinjaTemplate(source).renderWithGenerations(values, now)
    return spans.map(({ start, end }) => text.slice(start, end))
  }

  it('are found inside of macros and blocks that keep the text', () => {
    expect(learned('{% macro m(x) %}<{% generation %}{{ x }}{% endgeneration %}>{% endmacro %}{{ m(1) }}{{ m("é") }}')).toEqual([
      '1',
      'é',
    ])
    expect(learned('a{% set x %}b{% generation %}c{% endgeneration %}{% endset %}{{ x }}{{ x }}')).toEqual(['c', 'c'])
  })

  it('count once where they are nested', () => {
    expect(learned('{% generation %}a{% generation %}b{% endgeneration %}c{% endgeneration %}d')).toEqual(['abc'])
  })

  it('are refused where their text is changed later', () => {
    const changed =
      '{% filter upper %}a{% generation %}b{% endgeneration %}{% endfilter %}{% set x %}{% generation %} y {% endgeneration %}{% endset %}'
    expect(learned(changed)).toEqual(['B'])
    expect(() => learned(changed + '{{ x | trim | length }}')).toThrow(
      'the text inside the generation tags is changed after them',
    )
    expect(() => learned('{% set x %}{% generation %}{{ c }}{% endgeneration %}{% endset %}{{ x }}', { c: '\ufdd0' })).toThrow(
      'the text holds a Unicode noncharacter',
    )
  })
})
