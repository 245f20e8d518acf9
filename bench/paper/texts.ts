/** @file The texts of the experiments: E2E's rows, its test set, and what models of our own read before. */
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Random } from '../../src/index.js'
import { folder } from '../models.js'

/** Where third-party models and data lie, beside the checkout. */
export const shared = resolve(fileURLToPath(new URL('.', import.meta.url)), '../../../shared')

export interface TextRow {
  readonly prompt: string
  readonly completion: string
}

/** Files of the E2E challenge as the experiments read them. */
export interface E2eFiles {
  readonly train: string
  /** Rows of the validation set, for the loss. */
  readonly valid: string
  /** Meaning representations of the test set with all of their references, for the scores. */
  readonly test: string
}

const [VALID_ROWS, TEST_MEANINGS] = [100, 60]

const toJsonl = (rows: readonly TextRow[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('')

/** `MR||text` to a row; the line break ends the prompt, as a sentence would. */
function e2eRow(line: string): TextRow {
  const [meaning, text] = line.split('||') as [string, string]
  return { prompt: `${meaning}\n`, completion: text.trim() }
}

async function e2eRows(split: string): Promise<TextRow[]> {
  const text = await readFile(join(shared, 'data/e2e', `${split}.txt`), 'utf8')
  return text.trimEnd().split('\n').map(e2eRow)
}

/** The first rows of a shuffled split: files of E2E hold the texts of a meaning one after the other. */
export async function e2eFiles(trainRows: number): Promise<E2eFiles> {
  const home = join(folder, 'paper', 'e2e')
  await mkdir(home, { recursive: true })
  const files = {
    train: join(home, `train-${trainRows}.jsonl`),
    valid: join(home, 'valid.jsonl'),
    test: join(home, 'test.jsonl'),
  }
  const shuffled = async (split: string): Promise<TextRow[]> => Random.derive(1, split).shuffle(await e2eRows(split))
  await writeFile(files.train, toJsonl((await shuffled('train')).slice(0, trainRows)))
  await writeFile(files.valid, toJsonl((await shuffled('valid')).slice(0, VALID_ROWS)))
  const test = await e2eRows('test')
  const meanings = new Set([...new Set(test.map(({ prompt }) => prompt))].slice(0, TEST_MEANINGS))
  await writeFile(files.test, toJsonl(test.filter(({ prompt }) => meanings.has(prompt))))
  return files
}

export const hasTexts = (): boolean => ['e2e', 'nlg', 'glue'].every((name) => existsSync(join(shared, 'data', name)))

interface WebNlgEntry {
  readonly modifiedtripleset: readonly { readonly subject: string; readonly property: string; readonly object: string }[]
  readonly lexicalisations: readonly { readonly lex: string }[]
}

/**
 * What a language model of our own reads first: the sentences of E2E's training set without their meanings, and the triples
 * of DART and WebNLG with theirs. So it knows the words of restaurants, and elsewhere what it is to say what is given.
 */
export async function languageTexts(): Promise<string[]> {
  const dart = JSON.parse(await readFile(join(shared, 'data/nlg/dart-v1.1.1-full-dev.json'), 'utf8')) as {
    readonly tripleset: readonly (readonly string[])[]
    readonly annotations: readonly { readonly text: string }[]
  }[]
  const webnlg = JSON.parse(await readFile(join(shared, 'data/nlg/webnlg2017-dev.json'), 'utf8')) as {
    readonly entries: readonly Readonly<Record<string, WebNlgEntry>>[]
  }
  const said = (triples: readonly (readonly string[])[], text: string): string =>
    `${triples.map((triple) => triple.join(' : ')).join(' | ')}\n${text}`
  return [
    ...(await e2eRows('train')).map(({ completion }) => completion),
    ...dart.flatMap(({ tripleset, annotations }) => annotations.map(({ text }) => said(tripleset, text))),
    ...webnlg.entries.flatMap((entry) =>
      Object.values(entry).flatMap(
        ({ modifiedtripleset, lexicalisations }) =>
        lexicalisations.map(({ lex }) => said(modifiedtripleset.map((t) => [t.subject, t.property, t.object]), lex)), // prettier-ignore
      ),
    ),
  ]
}
