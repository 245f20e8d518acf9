import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { strftime } from '../util/strftime.js'
import { JinjaTemplate, TemplateError } from './index.js'

/** Templates and what Python's Jinja 3.1 writes for them in the environment of transformers; `error` where it raises. */
interface Fixture {
  readonly variables: Readonly<Record<string, unknown>>
  readonly cases: readonly (readonly [source: string, expected: string | { readonly error: string }])[]
}
const now = (format: string): string => strftime(new Date(2024, 6, 26, 13, 5, 9), format)
const read = (name: string): Fixture =>
  JSON.parse(readFileSync(new URL(`../../test/fixtures/jinja/${name}`, import.meta.url), 'utf8')) as Fixture

describe.each(['snippets.json'])('%s', (name) => {
  const { variables, cases } = read(name)

  it.each(cases)('%s', (source, expected) => {
    const render = (): string => new JinjaTemplate(source).render(variables, now)
    if (typeof expected === 'string') expect(render()).toBe(expected)
    else expect(render).toThrow(TemplateError)
  })
})
