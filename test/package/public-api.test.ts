/** @file What the entries export: every type of a public signature can be imported, and everything says what it is. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { declarationEntries, readPublicApi } from './public-api.js'

const folder = mkdtempSync(join(tmpdir(), 'lowrank-api-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A package of two entries; names that begin with `Bare` or `bare` lack what a public one has. */
const files = {
  'package.json': JSON.stringify({ exports: { '.': { types: './main.d.ts' }, './more': { node: { types: './more.d.ts' } } } }),
  'main.d.ts': `
    import type { BareHidden } from './hidden.js'
    import type { Elsewhere } from './more.js'
    /** A box. */
    export interface Box<T> {
      /** What is in it. */
      readonly content: T
      bareMember: string
    }
    /** Opens. @example open() */
    export declare function open(a: Elsewhere, b: BareHidden): Box<number>
    /** Shuts. */
    export declare function bareExample(box: Box<string>): void
    export declare const bareConstant: number
    /** A class. */
    export declare class Lid extends BareBase {
      private secret
      constructor(of: Box<number>)
      /** Lifts it. */
      lift(how: import('./hidden.js').BareImported): void
    }
    /** One of these. */
    export type Choice =
      | {
          /** Its kind. */
          readonly kind: 'a'
        }
      | { readonly bareLiteral: 'b' }
    declare class BareBase {}
    export * as space from './space.js'
  `,
  'hidden.d.ts': 'export interface BareHidden {}\nexport interface BareImported {}',
  'more.d.ts': '/** Of the other entry. */\nexport interface Elsewhere {}',
  'space.d.ts': 'export declare const bareInside: string',
}
mkdirSync(folder, { recursive: true })
for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)

describe('the reader of declarations', () => {
  const found = readPublicApi(folder)
  const names = (lines: readonly string[]): string[] => lines.map((line) => line.split(' ')[0]!)

  it('finds every entry, below any condition', () => {
    expect([...declarationEntries(folder).keys()]).toEqual(['.', './more (node)'])
    expect(found.names.get('.')).toContain('space.bareInside')
  })

  it('reports types that stand in a signature and cannot be imported, wherever they stand', () => {
    expect(names(found.hidden)).toEqual(['BareBase', 'BareHidden', 'BareImported'])
    expect(found.hidden[1]).toMatch(/hidden\.d\.ts:1\), in open$/)
  })

  it('reports what has no docstring: exports, members of interfaces, classes and of the parts of a union', () => {
    expect(names(found.undocumented)).toEqual([
      'Box.bareMember',
      'Choice.bareLiteral',
      'Lid.constructor',
      'bareConstant',
      'space.bareInside',
    ])
  })

  it('reports functions without an example', () => expect(names(found.withoutExample)).toEqual(['bareExample']))
})

describe('the package', () => {
  const found = readPublicApi('.')

  it('exports every type of its public signatures', () => expect(found.hidden).toEqual([]))

  it('says of everything that it exports what it is', () => expect(found.undocumented).toEqual([]))

  it('shows how each of its functions is called', () => expect(found.withoutExample).toEqual([]))
})
