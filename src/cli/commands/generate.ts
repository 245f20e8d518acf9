/** @file `lowrank generate`. */
import { checkColumns, renamedRow } from '../../data/columns.js'
import { rowsOf, type Row } from '../../data/rows.js'
import { generateOptionTable } from '../../generate/generate-options.js'
import type { GenerateOptions, Generation, Model } from '../../index.js'
import { evaluateOptionTable } from '../../train/evaluate-options.js'
import { readingOptions } from '../../train/option-table.js'
import { defineCommand, type commonFlags, type Output, type Values } from '../flags.js'
import type { Flags } from '../flag.js'
import { bar, count, counted, digits } from '../format.js'
import { checkPromptFlags, promptGiven } from '../generate-prompt.js'
import { jsonSchemaFlag, schemaConstraint } from '../json-schema.js'
import { checkAdapterNames, openNamedAdapters, unnamed } from '../named-adapters.js'
import { refuseInput } from '../not-an-input.js'
import { flagsFrom, optionsFrom } from '../option-flags.js'
import { predictionLine, predictionWriter, rowCheck, type PredictedRow } from '../prediction-files.js'
import { library, openModel, readingOf } from '../sources.js'
import { UsageError } from '../usage-error.js'
import { baseFlag } from './train-flags.js'

const { prompt, ...generationFlags } = flagsFrom(generateOptionTable)

/** Of rows. */
const rowFlags = {
  ...flagsFrom(readingOptions),
  'batch-size': flagsFrom(evaluateOptionTable)['batch-size'],
  out: {
    type: 'text',
    value: 'FILE',
    help: 'File for the rows of --data and their texts, .jsonl or .csv; written whole or not at all. Printed without it.',
  },
  overwrite: { type: 'switch', help: 'Replace --out if it is there already. Never a file of --data.' },
} as const satisfies Flags

const flags = {
  model: { type: 'text', value: 'M', required: true, help: 'Model folder or hub id.' },
  ...baseFlag,
  adapter: {
    type: 'texts',
    value: 'DIR…',
    help: 'Adapter folder (PEFT) or hub id; the bare model without it. With names, NAME=DIR…, rows of --data choose theirs under "adapter"; those that do not are the bare model\'s.',
  },
  prompt,
  'prompt-file': {
    type: 'text',
    value: 'FILE',
    help: 'File with the text to continue; a line break at its end is no part of it.',
  },
  messages: {
    type: 'text',
    value: 'FILE|JSON',
    help: 'Dialogue to answer by the chat template: a list of {"role", "content"}, or an object with it under "messages" and with "tools", "documents" or "chat_template_kwargs" for the template.',
  },
  system: { type: 'text', value: 'T', help: 'System prompt before the dialogue. A text to continue is then what the user says.' },
  data: {
    type: 'texts',
    value: 'FILE…',
    help: 'Rows to continue: {"prompt"}, {"messages"}, {"conversations"} or {"instruction", "input"?}, in JSONL, JSON, CSV, TSV or Parquet, each also as .gz; a folder with a test or valid file; or hf:owner/name[:config][@split] from the hub.',
  },
  ...rowFlags,
  ...jsonSchemaFlag,
  ...generationFlags,
} as const satisfies Flags

type GenerateValues = Values<typeof flags & typeof commonFlags>

export const generateCommand = defineCommand({
  name: 'generate',
  summary: 'Continue a prompt, answer a dialogue, or do so for many rows, with or without adapters.',
  description:
    'Greedy by default: the same prompt gives the same text. A temperature above 0 samples; the same seed then gives the same text. Several beams search for the likeliest text, which comes at the end. Rows of --data are all looked at before the first is continued; they are kept as they are, with the text under "generation", and come in their order.',
  flags,
  examples: [
    'lowrank generate --model SmolLM2-135M --prompt "Once upon a time"',
    'lowrank generate --model SmolLM2-135M --adapter out --prompt "Hello" --temperature 0.8 --top-p 0.95 --seed 1',
    'lowrank generate --model SmolLM2-135M-Instruct --system "Be brief." --prompt "What is LoRA?"',
    `lowrank generate --model SmolLM2-135M-Instruct --prompt "Name a colour." --system "Answer in JSON." --json-schema '{"type":"object"}'`,
    'lowrank generate --model SmolLM2-135M --adapter poet=out/poet --adapter lawyer=out/lawyer --data prompts.jsonl --out answers.jsonl',
  ],
  prints:
    '`{"text":…,"ids":[…],"finishReason":…,"tokensPerSecond":…}`; `text` and `ids` are what was generated, without the prompt, and `finishReason` is `eos`, `stop` or `length`; with `--num-return` also `"samples":[…]` or, of a beam search, `"beams":[…]`, with `--logprobs` `"logprobs":[{"id":…,"logprob":…,"top":[{"id":…,"logprob":…},…]},…]`, of a token that ended the text as `endLogprob`, with `--prompt-logprobs` the same as `promptLogprobs`, null of the first token. Of `--data` a line for each row, its own fields and `"generation":{"text":…,"ids":[…],"finishReason":…}`, with or without `--json`; with `--out` one line, `{"out":…,"rows":…}`.',
  async run(values, context) {
    checkPromptFlags(values)
    const adapters = values.adapter ?? []
    checkAdapterNames(adapters)
    return values.data === undefined
      ? continueOne(values, adapters, context)
      : continueRows(values, adapters, values.data, context.output)
  },
})

/** Options of the library that the flags say. */
function generationOptions(values: GenerateValues): GenerateOptions {
  const { prompt: _, ...options } = optionsFrom(generateOptionTable, values)
  return options
}

async function continueOne(
  values: GenerateValues,
  adapters: readonly string[],
  { output, given }: { readonly output: Output; readonly given: ReadonlySet<string> },
): Promise<number> {
  const lost = Object.keys(rowFlags).find((name) => given.has(name))
  if (lost !== undefined) throw new UsageError(`--${lost} is for rows of --data.`)
  if (adapters.length > 1)
    throw new UsageError('several adapters are for rows of --data, which name theirs; a prompt is continued by one.')
  const scored = (['logprobs', 'prompt-logprobs'] as const).find((name) => values[name] !== undefined)
  if (scored !== undefined && !output.json) throw new UsageError(`--${scored} is told in JSON: give --json, or rows of --data.`)
  const { generateStream } = await library()
  const model = await openModel(values, output)
  const { files } = model.environment
  const constraint = await schemaConstraint(model, values)
  const prompted = await promptGiven(files, values, process.stdin)
  const subject = await openNamedAdapters(model, adapters.map(unnamed), output)
  const stream = generateStream(subject, { ...generationOptions(values), ...constraint, ...prompted })
  // People read along; programs get the whole. Nothing is written before the first token, for the options may be wrong.
  let next = await stream.next()
  if (!output.json && 'prompt' in prompted) output.write(prompted.prompt)
  for (; next.done !== true; next = await stream.next()) if (!output.json && next.value.index === 0) output.write(next.value.text)
  const { tokensPerSecond } = next.value
  const texts = next.value.samples ?? next.value.beams ?? [next.value]
  if (output.json) output.printJson({ ...told(next.value, values), tokensPerSecond })
  else {
    output.print('')
    for (const { text } of texts.slice(1)) output.write(`${'prompt' in prompted ? prompted.prompt : ''}${text}\n`)
    const tokens = texts.reduce((sum, { ids }) => sum + ids.length, 0)
    output.note(output.color.dim(`${count(tokens)} tokens, ${digits(tokensPerSecond, 3)} tokens/s`))
  }
  return 0
}

/** What is told of a text: where several were asked for, all that were found, alike of every row. */
const told = ({ tokensPerSecond: _, beams, ...generated }: Generation, { 'num-return': asked = 1 }: GenerateValues) => ({
  ...generated,
  ...(beams !== undefined && asked > 1 && { beams }),
})

async function continueRows(
  values: GenerateValues,
  adapters: readonly string[],
  data: readonly string[],
  output: Output,
): Promise<number> {
  const { out, overwrite, system } = values
  if (data.includes('-')) throw new UsageError('--data - names no file.')
  if (out === '-') throw new UsageError('--out - names no file. Leave --out out: rows are then printed.')
  const write = out === undefined ? undefined : predictionWriter(out, overwrite, 'generation')
  const model = await openModel(values, output)
  const { files } = model.environment
  if (out !== undefined) await refuseInput(files, out, data)
  const options = { ...generationOptions(values), ...(await schemaConstraint(model, values)) }
  const subject = await openNamedAdapters(model, adapters, output)
  const rows = await openRows(model, data, values)
  const generate = await import('../../generate/generate-rows.js')
  const prompts = await generate.readPromptRows(subject, rows.rows, { readAs: rows.readAs, system })
  const total = prompts.length
  const continued = generate.continueRows(subject, prompts, values['batch-size'], options, (done) => {
    output.status(done === total ? undefined : `${bar(done / total)} ${count(done)} of ${counted(total, 'row')}`)
  })
  try {
    if (out === undefined || write === undefined) {
      for await (const answer of answers(continued, values)) output.print(predictionLine(answer, 'generation'))
      return 0
    }
    await files.write(out, write(answers(continued, values)))
  } finally {
    output.status(undefined)
  }
  if (output.json) output.printJson({ out, rows: total })
  else output.print(`${counted(total, 'row')} → ${out}`)
  return 0
}

async function* answers(
  continued: AsyncIterable<{ readonly row: Row; readonly generation: Generation }>,
  values: GenerateValues,
): AsyncGenerator<PredictedRow> {
  for await (const { row, generation } of continued) yield { row, prediction: told(generation, values) }
}

/** The rows of files as they are, and what is read of each. */
async function openRows(model: Model, data: readonly string[], values: GenerateValues) {
  const { openEvaluatedRows } = await import('../../train/open-dataset.js')
  const { columns, header } = readingOf(values)
  const { sources } = await openEvaluatedRows(model, data, { header })
  if (columns !== undefined) await checkColumns(sources, columns)
  const check = rowCheck(values.out, 'generation')
  const rows = async function* (): AsyncGenerator<Row> {
    for await (const row of rowsOf(sources)) {
      check(row)
      yield row
    }
  }
  return { rows: rows(), readAs: (row: Row): Row => (columns === undefined ? row : renamedRow(row, columns)) }
}
