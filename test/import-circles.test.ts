/** @file The modules of src import each other without circles, those of types included. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'

type Imports = ReadonlyMap<string, readonly string[]>

/** A circle of modules, each importing the next and the last one the first; undefined where there is none. */
function circle(imports: Imports): string[] | undefined {
  const done = new Set<string>()
  const visit = (module: string, path: readonly string[]): string[] | undefined => {
    const start = path.indexOf(module)
    if (start >= 0) return path.slice(start)
    if (done.has(module)) return undefined
    for (const next of imports.get(module) ?? []) {
      const found = visit(next, [...path, module])
      if (found !== undefined) return found
    }
    done.add(module)
    return undefined
  }
  for (const module of imports.keys()) {
    const found = visit(module, [])
    if (found !== undefined) return found
  }
  return undefined
}

const source = resolve(import.meta.dirname, '../src')

/** The modules of src, and those that each imports or re-exports, as values or as types. */
function importsOfSource(): Imports {
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) => /(?<!\.d)\.ts$/.test(file))
  const imported = (file: string): string[] =>
    ts
      .preProcessFile(readFileSync(resolve(source, file), 'utf8'))
      .importedFiles.filter(({ fileName }) => fileName.startsWith('.'))
      .map(({ fileName }) => relative(source, resolve(source, dirname(file), fileName)).replace(/\.js$/, '.ts'))
  return new Map(files.map((file) => [file, imported(file)]))
}

describe('imports', () => {
  it('are found to be a circle where they are one', () => {
    expect(circle(new Map(Object.entries({ a: ['b', 'c'], b: ['c'], c: [] })))).toBeUndefined()
    expect(circle(new Map(Object.entries({ a: ['b'], b: ['c'], c: ['d', 'b'], d: [] })))).toEqual(['b', 'c'])
  })

  it('make no circle in src', () => {
    const imports = importsOfSource()
    expect(imports.get('jinja/runtime.ts')).toContain('jinja/filters.ts')
    expect(imports.get('jinja/dict.ts')).toContain('jinja/limits.ts')
    expect(circle(imports)).toBeUndefined()
  })
})
