/** @file docs/generate.md: how texts are generated, with a table of the options from their own. */
import { format } from 'prettier'
import { generateOptionTable } from '../src/generate/generate-options.js'
import { flagName, type AnyTable, type OptionRow } from '../src/util/option-table.js'

/** What only code can give, which has no words of its own in the table. */
const words: Readonly<Record<string, string>> = {
  messages: 'Dialogue to answer by the chat template; on the command line from `--messages`.',
  variables: 'What the chat template is given beside the dialogue: `tools`, `documents`, `enable_thinking`, …',
  inputIds: 'Token ids to continue, for models without a tokenizer.',
  constraint: 'Which tokens may come at each step, see below.',
  signal: 'Ends the text at the next token.',
}

const table = generateOptionTable as unknown as AnyTable

/** The help of a flag names others by their options. */
const said = (name: string, row: OptionRow): string => ('help' in row ? row.help : undefined) ?? words[name] ?? missing(name)

function missing(name: string): never {
  throw new Error(`internal: docs/generate.md says nothing of ${name}`)
}

function line([name, row]: [string, OptionRow]): string {
  const flag = flagName(row)
  const preset = row.default === undefined || row.default === false ? '' : JSON.stringify(row.default).replaceAll('"', '')
  return `| \`${name}\` | ${flag === undefined ? '' : `\`--${flag}\``} | ${preset} | ${said(name, row).replaceAll('|', '\\|')} |`
}

/** The Markdown of docs/generate.md. */
export function generationDocument(): Promise<string> {
  const text = [INTRODUCTION, '| option | flag | default | meaning |', '| --- | --- | --- | --- |', ...Object.entries(table).map(line), REST] // prettier-ignore
  return format(text.join('\n'), { parser: 'markdown', printWidth: 130, semi: false, singleQuote: true })
}

const INTRODUCTION = `# Generating texts

Made by \`npm run docs\`; a test fails when it is out of date.

\`\`\`bash
npx lowrank generate --model M --adapter out --prompt "Once upon a time"
npx lowrank generate --model M --system "Be brief." --messages chat.json
npx lowrank generate --model M --prompt-file story.txt --temperature 0.8 --top-p 0.95 --num-return 3
cat question.txt | npx lowrank generate --model M --prompt -
npx lowrank generate --model M --adapter poet=out/poet lawyer=out/lawyer --data prompts.jsonl --out answers.jsonl
\`\`\`

\`--messages\` is a file or JSON: a list of \`{"role", "content"}\`, or an object with it under \`messages\`, which may have \`tools\`,
\`documents\` and \`chat_template_kwargs\` for the template. With \`--system\` a prompt is what the user says.

Rows of \`--data\` are \`{"prompt"}\`, \`{"messages"}\`, \`{"conversations"}\` or \`{"instruction", "input"?}\`, in any format that training
reads. All are looked at before the first is continued: a row that cannot be is named by file and line. They come out in their order,
as they are, with the text under \`generation\`. Where adapters have names, a row chooses its own under \`adapter\`; rows of
different adapters share a batch, but for adapters that replace tensors of the base (saved modules, trained biases or tokens).

In TypeScript \`generate\` gives the whole, \`generateStream\` token by token, \`generateBatch\` many prompts at once, of which each may
have options, a seed and a signal of its own, and \`ContinuousBatch\` texts that come and go ([many adapters](adapters.md)). A text
is what it is alone, whoever else is in the batch, but for rounding.

\`\`\`ts
const [poem, contract] = await generateBatch(adapters, [
  { prompt: 'Roses', adapter: 'poet', temperature: 0.9, seed: 7, numReturn: 3 },
  { prompt: 'Whereas', adapter: 'lawyer', maxNewTokens: 400, signal },
])
\`\`\`

## Options
`

const REST = `
Each next token is chosen so: the bias is added; repetition, presence and frequency penalties; n-grams that may not come again, ends
that may not come yet and what a constraint does not allow are ruled out; then temperature, top-k, top-p and min-p, each of
what the one before left. Names and order are those of transformers; the presence and frequency penalties, which it lacks, are OpenAI's
and look at what was generated alone.

Texts of \`numReturn\` are sampled with the seeds \`seed\`, \`seed + 1\`, … and are what those seeds give alone; the prompt is read once.

## Log probabilities

\`logprobs\` and \`promptLogprobs\` tell the natural logarithm of the probability that the model itself gives a token, before
temperature, penalties and bias, and the same of the likeliest tokens in its place. With \`maxNewTokens: 0\` a prompt is scored and not
continued:

\`\`\`ts
const { promptLogprobs } = await generate(model, { prompt, maxNewTokens: 0, promptLogprobs: 0 })
const total = promptLogprobs!.reduce((sum, token) => sum + (token?.logprob ?? 0), 0)
\`\`\`

## JSON

\`jsonSchemaConstraint(tokenizer, schema)\` keeps a text to the JSON that a schema allows, \`jsonObjectConstraint(tokenizer)\` to any
object; on the command line \`--json-schema FILE\`. What is written ends by itself when the value is whole, and is valid then; what
\`maxNewTokens\` cuts off has the \`finishReason\` \`length\`.

\`\`\`ts
const tokenizer = await model.tokenizer()
const schema = {
  type: 'object',
  properties: { city: { type: 'string' }, celsius: { type: 'number', minimum: -90, maximum: 60 } },
  required: ['city', 'celsius'],
}
const { text } = await generate(model, { messages, constraint: jsonSchemaConstraint(tokenizer!, schema) })
\`\`\`

| supported | keywords |
|---|---|
| any value | \`type\`, \`enum\`, \`const\`, \`anyOf\`, \`allOf\`, \`oneOf\` whose branches exclude one another, \`$ref\` within the schema, recursive too |
| objects | \`properties\`, \`required\`, \`additionalProperties\`, \`patternProperties\`, \`propertyNames\`, \`minProperties\`, \`maxProperties\` |
| lists | \`items\`, \`prefixItems\`, \`additionalItems\`, \`minItems\`, \`maxItems\` |
| strings | \`minLength\`, \`maxLength\`, \`pattern\` (what is regular of ECMA-262), \`format\`: date, time, date-time, duration, email, hostname, ipv4, ipv6, uuid, uri |
| numbers | \`minimum\`, \`maximum\`, \`exclusiveMinimum\`, \`exclusiveMaximum\`, \`multipleOf\` of whole numbers |

Any other keyword is an error that names it and its place: what cannot be kept is never ignored. Properties come in the order of the
schema. Of what a schema leaves open the least is written: an object with \`properties\` has no others unless
\`additionalProperties\` allows them, a tuple is whole, a number has at most 15 digits, and between values stands no more white space
than \`JSON.stringify\` or Python's \`json.dumps\` would write. Special and added tokens never come.

Which tokens may follow is found out once for each place in the grammar and kept, for all texts of the same constraint: use one for
many texts. Tokenizers must write texts as the bytes of their tokens, as byte-level and SentencePiece ones do.

## Calls of tools

\`ToolCalls.of(model)\` reads from the chat template how the model writes calls (\`<tool_call>\`, Llama's bare JSON, \`[TOOL_CALLS]\`, marks
of other families): it renders calls of known names and arguments, and takes what is around them for the format. A template that
has no tools, or writes arguments otherwise than as JSON, is refused.

\`\`\`ts
const calls = await ToolCalls.of(model)
const messages = calls.messages(dialogue) // OpenAI's messages: arguments become objects where the template wants them
const reader = calls.reader(tools)
const constraint = calls.constraint(tools) // only where a call is to come for certain; { name } for one of them
for await (const event of generateStream(model, { messages, variables: { tools }, constraint })) reader.push(event)
reader.finish()
console.log(reader.text, reader.calls)
\`\`\`

\`push\` and \`finish\` give what became certain: text, names as soon as they are known, pieces of arguments. Forced arguments are valid by
the schema of their tool; a call that is only parsed has whatever the model wrote.

## Constraints

A \`Constraint\` says at each step which tokens may follow, as ids or as a bit mask, so that any grammar engine may stand behind it. It
begins a state for each text:

\`\`\`ts
const yesOrNo: Constraint = {
  begin: () => {
    let said = false
    return { allowed: () => (said ? [end] : [yes, no]), accept: () => void (said = true) }
  },
}
await generate(model, { prompt, constraint: yesOrNo })
\`\`\`

\`begin\` is told the prompt and the tokens that end the text. An end token that is to come must be among those allowed. A state that allows none ends the text.

## Beam searches

With \`beams\` above 1 the likeliest text is searched for. Penalties, bias and what rules tokens out hold there too; what is about
single tokens as they are drawn (temperature, top-k, top-p, min-p, log probabilities, constraints, a signal of one row) is refused.
`
