/** @file Texts that a run writes now and then, for a few prompts, with what it has learned so far. */
import { messagesField, type Message } from '../data/messages.js'
import { formatOf, readRows } from '../data/open-rows.js'
import { at, firstField, foundFields, kindOf, takeField, type Row } from '../data/rows.js'
import { InvalidDataError, InvalidOptionError } from '../errors.js'
import { promptIds } from '../generate/prompt-ids.js'
import type { Files } from '../io/files.js'
import type { Sample } from './events.js'
import type { ResolvedTrainOptions } from './option-table.js'
import type { Trainee } from './trainee.js'

/** What a text is generated from: a prompt, or a dialogue. */
type Prompt = { readonly prompt: string } | { readonly messages: readonly Message[] }

/** A dialogue without the answer that is to be written. */
function unanswered(messages: readonly Message[]): readonly Message[] {
  const rest = messages.at(-1)!.role === 'assistant' ? messages.slice(0, -1) : messages
  return rest.length === 0 ? messages : rest
}

function promptOf(row: Row): Prompt {
  const field = firstField(row, ['prompt', 'messages'])
  if (field === undefined)
    throw new InvalidDataError(`${at(row)}: a prompt to sample needs a field "prompt" or "messages"; ${foundFields(row)}.`)
  // A prompt may be a dialogue, as rows of preferences have it.
  if (field === 'messages' || Array.isArray(row.value[field])) return { messages: unanswered(messagesField(row, field)) }
  const prompt = takeField(row, field)
  if (typeof prompt !== 'string') throw new InvalidDataError(`${at(row)}: "prompt" must be text, found ${kindOf(prompt)}.`)
  return { prompt }
}

/**
 * The prompts of a file: of a table or JSON lines a field `prompt` or `messages` of each row, of any other text each line that is
 * not empty.
 * @throws InvalidDataError if it holds none, or a row is none
 */
async function readPrompts(files: Files, path: string): Promise<Prompt[]> {
  const prompts: Prompt[] = []
  if (formatOf(path) !== undefined) for await (const row of readRows(files, path)) prompts.push(promptOf(row))
  else for (const line of (await files.readText(path)).split(/\r?\n/)) if (line.trim() !== '') prompts.push({ prompt: line })
  if (prompts.length === 0) throw new InvalidDataError(`${path} holds no prompt to sample; put one into each line`)
  return prompts
}

/** A prompt as people read it. */
const shown = (prompt: Prompt): string =>
  'prompt' in prompt
    ? prompt.prompt
    : prompt.messages
        .map(({ role, content }) => `${role}: ${typeof content === 'string' ? content : JSON.stringify(content ?? null)}`)
        .join('\n')

/** Writes the texts of a run. */
export class Sampler {
  private constructor(
    private readonly prompts: readonly Prompt[],
    private readonly write: NonNullable<Trainee['generate']>,
    private readonly maxNewTokens: number,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /**
   * Reads the prompts that a run shall sample, and checks them against the model; undefined where there shall be none.
   * @throws InvalidOptionError if nothing can be generated, or a prompt leaves no room; InvalidDataError if a row is no prompt
   */
  static async open(trainee: Trainee, options: ResolvedTrainOptions): Promise<Sampler | undefined> {
    const { samplePrompts, sampleTokens, signal } = options
    const { model } = trainee
    if (samplePrompts === undefined) return undefined
    const { generate } = trainee
    if (generate === undefined)
      throw new InvalidOptionError(
        'samplePrompts is for adapters: of a run on all weights no text can be generated before its end',
      )
    const prompts = await readPrompts(model.environment.files, samplePrompts)
    const tokenizer = await model.tokenizer()
    for (const prompt of prompts) {
      const { length } = promptIds(model, tokenizer, prompt)
      if (length >= model.maxPositions)
        throw new InvalidOptionError(
          `${samplePrompts}: a prompt has ${length} tokens, but the model has only ${model.maxPositions} positions; shorten it: ${shown(prompt).slice(0, 60)}…`,
        )
    }
    return new Sampler(prompts, generate, sampleTokens, signal)
  }

  /** Greedy, so that what differs between two steps is what was learned. */
  async run(): Promise<Sample[]> {
    const samples: Sample[] = []
    for (const prompt of this.prompts) {
      if (this.signal?.aborted === true) break
      const { text } = await this.write({
        ...prompt,
        maxNewTokens: this.maxNewTokens,
        ...(this.signal && { signal: this.signal }),
      })
      samples.push({ prompt: shown(prompt), text })
    }
    return samples
  }
}
