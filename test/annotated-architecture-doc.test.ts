/** @file docs/annotated-architecture.md against the files that it explains: each block of code stands there, line by line. */
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const page = readFileSync('docs/annotated-architecture.md', 'utf8')

interface Block {
  readonly path: string
  readonly lines: readonly string[]
}

/** Blocks of code with the file that the line before names. */
const blocks: readonly Block[] = [...page.matchAll(/^\[`([^`]+)`\]\(\.\.\/\1\)\n\n```\w+\n([\s\S]*?)\n```$/gm)].map(
  ([, path, text]) => ({ path: path!, lines: text!.split('\n') }),
)

/** Whether lines stand in a file one after the other, all of them as much further in. */
function standsIn(source: readonly string[], lines: readonly string[]): boolean {
  const isAt = (start: number): boolean => {
    const first = source[start]!
    const indent = first.slice(0, first.length - first.trimStart().length - (lines[0]!.length - lines[0]!.trimStart().length))
    return lines.every((line, i) => source[start + i] === (line === '' ? '' : indent + line))
  }
  return source.some((_, start) => isAt(start))
}

describe('docs/annotated-architecture.md', () => {
  it('names a file for each of its blocks', () => {
    expect(blocks.length).toBeGreaterThan(10)
    expect(blocks).toHaveLength([...page.matchAll(/^```\w+$/gm)].length)
  })

  it.each(blocks.map((block, i) => [i + 1, block.path, block] as const))('block %i is what %s says', (_, path, { lines }) => {
    const source = readFileSync(path, 'utf8').split('\n')
    expect(standsIn(source, lines), `${path} has changed; take this block from it again:\n${lines.join('\n')}`).toBe(true)
  })

  it('leaves out nothing of the family itself, nor of its config', () => {
    for (const path of ['src/models/qwen2.ts', 'test/fixtures/golden/peft/qwen2/model/config.json']) {
      const shown = blocks.find((block) => block.path === path)!
      expect(`${shown.lines.join('\n')}\n`).toBe(readFileSync(path, 'utf8').replace(/\n*$/, '\n'))
    }
  })

  it('names only files that there are', () => {
    const named = [...page.matchAll(/`((?:src|test|graph)\/[\w./-]+\.(?:ts|py))`/g)].map(([, path]) => path!)
    expect(named.length).toBeGreaterThan(5)
    for (const path of named) expect(existsSync(path) || existsSync(`src/${path}`), path).toBe(true)
  })
})

describe('the comparison itself', () => {
  const source = ['a {', '  b', '', '    c', '}']
  it.each([
    [['b', '', '  c'], true],
    [['a {', '  b'], true],
    [['b', '', 'c'], false],
    [['b', '  c'], false],
    [['c', '}'], false],
    [['c', 'd'], false],
  ])('%j: %s', (lines, expected) => expect(standsIn(source, lines)).toBe(expected))
})
