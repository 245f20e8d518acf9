/** @file A page of docs as its tests read it: its blocks of code, what it shows of outputs, and blocks run within the test. */
import { readFileSync } from 'node:fs'
import ts from 'typescript'
import { expect } from 'vitest'

/** A fenced block: its language ('' of an output that is shown) and its lines, the last with its line end. */
export interface Block {
  readonly language: string
  readonly text: string
}

/** The blocks of a page, or of one of its sections of the second level, in order. */
export function documentBlocks(path: string, section?: string): readonly Block[] {
  const page = readFileSync(path, 'utf8')
  const part = section === undefined ? page : page.split('\n## ').find((text) => text.startsWith(`${section}\n`))
  if (part === undefined) throw new Error(`${path} has no section "${section}"`)
  return [...part.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language, text]) => ({ language: language!, text: text! }))
}

/** Texts of the blocks of a language, in order. @throws Error if there is none */
export function blocksOf(language: string, path: string, section?: string): readonly string[] {
  const texts = documentBlocks(path, section).flatMap((block) => (block.language === language ? [block.text] : []))
  if (texts.length === 0) throw new Error(`${path} has no block of ${language}`)
  return texts
}

/**
 * Runs blocks of code one after the other within the test, with values in place of what they import.
 * @param given values by name
 * @param result an expression of the blocks' names, whose value is returned
 */
export function runHere<T = void>(code: string, given: Readonly<Record<string, unknown>>, result = 'undefined'): Promise<T> {
  const source = `const run = async () => {\n${code.replace(/^import .*\n/gm, '')}\nreturn ${result}\n}`
  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext }
  const { outputText } = ts.transpileModule(source, { compilerOptions })
  const run = new Function(...Object.keys(given), `${outputText}\nreturn run()`) as (...values: unknown[]) => Promise<T>
  return run(...Object.values(given))
}

/** A number as outputs have it: `1,234`, `0:05`, `9.79e-8`. */
const NUMBER = /\d(?:[\d,.:]*\d)?(?:e[+-]?\d+)?/

/** What may stand for a line that a page shows: `…` is any text; other numbers are as good if only their form counts. */
function pattern(line: string, form: boolean): RegExp {
  const parts = line.trim().split(form ? new RegExp(`(${NUMBER.source}|▇+|─+|\\s+|…)`) : /(\s+|…)/)
  const patterns = parts.map((part, i) => {
    if (i % 2 === 0) return part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    if (part === '…') return '.*'
    if (/^[▇─]/.test(part)) return `${part[0]}+`
    return part.trim() === '' ? '\\s+' : NUMBER.source
  })
  return new RegExp(`^\\s*${patterns.join('')}\\s*$`)
}

/**
 * Each line that a page shows stands in the output, in this order; a line `…` stands for any lines.
 * @param form only the form of numbers counts, where they differ from one machine, or one base model, to the other
 */
export function expectShown(shown: string, output: string, { form = false }: { readonly form?: boolean } = {}): void {
  const lines = output.split('\n')
  let at = 0
  for (const line of shown.split('\n')) {
    if (line.trim() === '' || line.trim() === '…') continue
    const found = lines.findIndex((candidate, i) => i >= at && pattern(line, form).test(candidate))
    expect(found, `the page shows "${line}", which the output has not${at > 0 ? ` after its line ${at}` : ''}:\n${output}`).toBeGreaterThanOrEqual(0) // prettier-ignore
    at = found + 1
  }
}

/**
 * Each output that a page shows below a block of commands is what came of them, as {@link expectShown} has it.
 * @param outputs of the page's blocks of commands, in order
 */
export function expectWalk(
  outputs: readonly string[],
  path: string,
  section?: string,
  options: { readonly form?: boolean } = {},
): void {
  const blocks = documentBlocks(path, section)
  let command = -1
  let compared = 0
  for (const [i, { language, text }] of blocks.entries()) {
    if (language === 'bash') command++
    if (language !== '') continue
    expect(blocks[i - 1]?.language, `${path} shows an output below no command:\n${text}`).toBe('bash')
    expectShown(text, outputs[command]!, options)
    compared++
  }
  expect(compared, `${path} shows no output`).toBeGreaterThan(0)
}
