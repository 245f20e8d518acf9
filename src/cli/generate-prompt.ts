/** @file The one prompt of `lowrank generate`: a text, a file, stdin, or a dialogue. */
import type { PromptGiven } from '../data/answered-prompts.js'
import { promptOf } from '../data/prompt-rows.js'
import type { Row } from '../data/rows.js'
import { InvalidDataError } from '../errors.js'
import type { Files } from '../io/files.js'
import { parseExactJson } from '../util/exact-json.js'
import { isObject } from '../util/json.js'
import { wholeText } from './stdin.js'
import { UsageError } from './usage-error.js'

/** The flags that say what is continued. */
export interface PromptFlags {
  readonly prompt: string | undefined
  readonly 'prompt-file': string | undefined
  readonly messages: string | undefined
  readonly data: readonly string[] | undefined
  readonly system: string | undefined
}

const FLAGS = ['prompt', 'prompt-file', 'messages', 'data'] as const

/** @throws UsageError unless exactly one of the flags is given that say what is continued */
export function checkPromptFlags(flags: PromptFlags): void {
  const given = FLAGS.filter((name) => flags[name] !== undefined)
  if (given.length === 1) return
  if (given.length > 1) throw new UsageError(`--${given[0]} and --${given[1]} exclude each other.`)
  throw new UsageError(
    'lowrank generate needs a prompt: --prompt T (- for stdin), --prompt-file FILE, --messages FILE|JSON, or rows of them, --data FILE.',
  )
}

/**
 * What is continued. With a system prompt a text is what the user says.
 * @param stdin read for `--prompt -`
 * @throws InvalidDataError for a file or a text that is no dialogue; FileError for a file that is missing
 */
export async function promptGiven(
  files: Files,
  { prompt, 'prompt-file': file, messages, system }: PromptFlags,
  stdin: AsyncIterable<Uint8Array>,
): Promise<PromptGiven> {
  if (messages !== undefined) return promptOf(await dialogueRow(files, messages), system)
  const [text, source] =
    file !== undefined
      ? [withoutLastBreak(await files.readText(file)), file]
      : prompt === '-'
        ? [withoutLastBreak(await wholeText(stdin)), 'stdin']
        : [prompt, '--prompt']
  return promptOf({ value: { prompt: text }, file: source, line: 1 }, system)
}

/** Files of text end with a line break, which is no part of the prompt. */
const withoutLastBreak = (text: string): string => text.replace(/\r?\n$/, '')

/** The dialogue as a row: a list of messages, or an object that has them, with tools and the like beside. */
async function dialogueRow(files: Files, given: string): Promise<Row> {
  const isJson = /^\s*[[{]/.test(given)
  const file = isJson ? '--messages' : given
  const json = isJson ? given : await files.readText(given)
  const value = parsed(json, file)
  if (Array.isArray(value)) return { value: { messages: value }, file, line: 1 }
  if (isObject(value)) return { value, file, line: 1 }
  throw new InvalidDataError(
    `${file} must be a list of messages {"role", "content"}, or an object that has them under "messages".`,
  )
}

function parsed(json: string, file: string): unknown {
  try {
    return parseExactJson(json)
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
    throw new InvalidDataError(`${file} is not valid JSON (${cause.message}); it must be a list of messages {"role", "content"}.`, { cause }) // prettier-ignore
  }
}
