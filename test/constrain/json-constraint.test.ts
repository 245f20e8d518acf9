/** @file Texts under a JSON schema: what ajv says of them, for random schemas, vocabularies of all kinds and a real model. */
import { readFileSync } from 'node:fs'
import Ajv from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { describe, expect, it } from 'vitest'
import { jsonObjectConstraint, jsonSchemaConstraint } from '../../src/constrain/json-constraint.js'
import { loadTokenizer, type Tokenizer } from '../../src/data/tokenizer.js'
import { InvalidOptionError } from '../../src/errors.js'
import { generateBatch } from '../../src/generate/generate-batch.js'
import { FolderModel } from '../../src/model/folder-model.js'
import { memoryFiles } from '../support/data.js'
import { testEnvironment } from '../support/training.js'
import { randomSchema } from './random-schema.js'
import { randomText } from './random-text.js'

const { tokenizers } = JSON.parse(readFileSync('test/fixtures/tokenizer/python.json', 'utf8')) as {
  readonly tokenizers: Readonly<Record<string, object>>
}

async function tokenizerOf(kind: string): Promise<Tokenizer> {
  const files = {
    'm/tokenizer.json': JSON.stringify(tokenizers[kind]),
    'm/tokenizer_config.json': JSON.stringify({ eos_token: kind.startsWith('bert') ? '[SEP]' : '</s>' }),
  }
  return (await loadTokenizer(memoryFiles(files), 'm'))!
}

const ajv = new (Ajv as unknown as typeof Ajv.default)({ strict: false, allErrors: true })
;(addFormats as unknown as typeof addFormats.default)(ajv)

/** What is wrong with a text, for messages. */
function faultOf(text: string, validate: ReturnType<typeof ajv.compile>): string | undefined {
  try {
    return validate(JSON.parse(text)) ? undefined : ajv.errorsText(validate.errors)
  } catch (error) {
    return String(error)
  }
}

/** Schemas that say a value twice over, or that no value fits, are refused; the rest is followed. */
function constraintOf(tokenizer: Tokenizer, schema: Record<string, unknown>) {
  try {
    return jsonSchemaConstraint(tokenizer, schema)
  } catch (error) {
    if (!(error instanceof InvalidOptionError)) throw error
    return undefined
  }
}

describe.each(['gpt-2', 'unigram bytes'])('with the vocabulary %s', (kind) => {
  it('every text that ends is valid by ajv, of random schemas', async () => {
    const tokenizer = await tokenizerOf(kind)
    let [whole, cut, refused] = [0, 0, 0]
    for (let seed = 0; seed < 70; seed++) {
      const schema = randomSchema(seed)
      const constraint = constraintOf(tokenizer, schema)
      if (constraint === undefined) {
        refused++
        continue
      }
      const validate = ajv.compile(schema)
      for (let draw = 0; draw < 2; draw++) {
        const { text, isWhole } = randomText(tokenizer, constraint, seed * 10 + draw)
        if (isWhole) whole++
        else cut++
        const fault = isWhole ? faultOf(text, validate) : undefined
        if (fault !== undefined) expect.fail(`${JSON.stringify(schema)}\nallows ${text}\nof which ajv says ${fault}`)
      }
    }
    expect(whole).toBeGreaterThan(80)
    expect(cut).toBeLessThan(whole / 4)
    expect(refused).toBeLessThan(25)
  })

  it('writes no special token, and any object in JSON mode', async () => {
    const tokenizer = await tokenizerOf(kind)
    const constraint = jsonObjectConstraint(tokenizer)
    for (let seed = 0; seed < 15; seed++) {
      const { text, ids, isWhole } = randomText(tokenizer, constraint, seed)
      expect(ids.filter((id) => !tokenizer.isText(id))).toEqual([])
      if (isWhole) expect(JSON.parse(text)).toBeTypeOf('object')
    }
  })
})

const model = () => FolderModel.open('test/fixtures/chat/model', testEnvironment())

describe('a model of random weights', () => {
  it('answers with valid JSON or is cut off and says so, in a batch of schemas', async () => {
    const opened = await model()
    const tokenizer = (await opened.tokenizer())!
    const schemas = Array.from({ length: 24 }, (_, seed) => randomSchema(1000 + seed))
    const rows = schemas.flatMap((schema, seed) => {
      const constraint = constraintOf(tokenizer, schema)
      return constraint === undefined ? [] : [{ schema, row: { prompt: 'Say it.', constraint, seed } }]
    })
    const shared = { maxNewTokens: 120, temperature: 1.5, logitBias: logitBiasOf(tokenizer) }
    const texts = await generateBatch(opened, rows.map(({ row }) => row), shared) // prettier-ignore
    const reasons = texts.map(({ finishReason }) => finishReason)
    texts.forEach(({ text, finishReason, ids }, i) => {
      expect(ids.every((id) => tokenizer.isText(id))).toBe(true)
      if (finishReason === 'length') return expect(ids).toHaveLength(120)
      const fault = faultOf(text, ajv.compile(rows[i]!.schema))
      if (fault !== undefined) expect.fail(`${JSON.stringify(rows[i]!.schema)}\nallows ${text}\nof which ajv says ${fault}`)
    })
    expect(reasons.filter((reason) => reason !== 'length').length).toBeGreaterThan(rows.length / 2)
  })

  it('ends a text that may go on where the model ends it, and nowhere else', async () => {
    const tokenizer = (await (await model()).tokenizer())!
    const ends = new Set(tokenizer.eosTokenIds)
    const state = jsonSchemaConstraint(tokenizer, { type: 'integer' }).begin([], ends)
    const has = (id: number): boolean => (((state.allowed() as Int32Array)[id >> 5] ?? 0) & (1 << (id & 31))) !== 0
    expect([...ends].some(has)).toBe(false)
    state.accept(tokenizer.encode('1', { addSpecialTokens: false })[0]!)
    expect([...ends].every(has)).toBe(true)
    // A token of text that ends it too.
    const [one] = tokenizer.encode('1', { addSpecialTokens: false })
    const other = jsonSchemaConstraint(tokenizer, { type: 'integer' }).begin([], new Set([one!]))
    expect((other.allowed() as Int32Array)[one! >> 5]! & (1 << (one! & 31))).toBe(0)
    expect(() => state.accept([...ends][0]!)).toThrow('which the constraint does not allow here')
  })
})

/** Closing is likelier than going on, as it is with a model that has learned something. */
const logitBiasOf = (tokenizer: Tokenizer): Readonly<Record<number, number>> =>
  Object.fromEntries(['"', '}', ']', ','].map((text) => [tokenizer.encode(text, { addSpecialTokens: false })[0]!, 4]))

describe('what is refused', () => {
  const refusal = async (schema: unknown): Promise<string> => {
    const tokenizer = await tokenizerOf('gpt-2')
    try {
      jsonSchemaConstraint(tokenizer, schema as Record<string, unknown>)
    } catch (error) {
      expect(error).toBeInstanceOf(InvalidOptionError)
      return (error as Error).message
    }
    return 'nothing'
  }

  it.each([
    [{ properties: { a: { not: {} } } }, '#/properties/a: the keyword "not" is not supported'],
    [{ type: 'object', dependentRequired: {} }, '#: the keyword "dependentRequired"'],
    [{ items: { uniqueItems: true } }, '#/items/uniqueItems: that items differ'],
    [{ type: 'strong' }, '#/type: expected one of object, array'],
    [{ multipleOf: 0.1 }, '#/multipleOf: only multiples of a whole number'],
    [{ type: 'number', minimum: 2, maximum: 1 }, '#: no number of at most 15 digits has minimum 2, maximum 1'],
    [{ type: 'integer', minimum: 1.2, maximum: 1.8 }, '#: no integer of at most 15 digits'],
    [{ minLength: -1 }, '#/minLength: expected a whole number of at least 0, got -1'],
    [{ minLength: 3, maxLength: 2 }, '#: no string has a length of at least 3 and at most 2'],
    [{ pattern: '^a{3}$', maxLength: 2 }, '#: no string has pattern, maxLength as they are here'],
    [{ pattern: '(?=a)b' }, '#/pattern: the pattern "(?=a)b" has a look around'],
    [{ pattern: 'a\\b' }, 'a border of words'],
    [{ format: 'color' }, '#/format: the format "color" is not known; use one of date, time'],
    [{ $ref: '#/$defs/none' }, '#/$ref: #/$defs/none leads nowhere: there is no "$defs"'],
    [{ $ref: 'https://json-schema.org/draft' }, '#/$ref: expected a pointer within the schema'],
    [{ $ref: '#' }, 'the references lead in a circle'],
    [{ $defs: { a: { allOf: [{ $ref: '#/$defs/a' }] } }, $ref: '#/$defs/a' }, 'come to themselves through "allOf"'],
    [
      { oneOf: [{ type: 'string' }, { type: 'string', maxLength: 3 }] },
      '#/oneOf: a value of branch 0 may be one of branch 1 too',
    ],
    [{ allOf: [{ pattern: 'a' }, { pattern: 'b' }] }, '#: "pattern" is given twice by schemas that hold together'],
    [
      { allOf: [{ properties: { a: {} }, additionalProperties: false }, { properties: { b: {} } }] },
      '"additionalProperties" of one schema is about',
    ],
    [{ type: 'object', properties: { a: false }, required: ['a'] }, '#: "a" is required, but no value of it is allowed'],
    [{ type: 'object', minProperties: 3 }, '#: no object can be written that has between 3'],
    [{ enum: [1], type: 'string' }, '#: it allows no value at all'],
    [{ enum: [1], maximum: 3 }, '#: "maximum" stands beside values that are listed'],
    [false, '#: it allows no value at all'],
    [{ type: 'object', properties: { next: { $ref: '#' } }, required: ['next'] }, '#: its values hold themselves'],
    [
      { properties: { a: { $ref: '#/$defs/no' } }, required: ['a'], $defs: { no: { enum: [1], type: 'null' } } },
      '#: "a" is required, but no value of it is allowed',
    ],
    [{ items: 3 }, '#/items: expected a schema (an object, true or false), got 3'],
    [{ pattern: '^(((a|aa){0,50}){0,50}){0,50}$' }, 'the constraint can be read in more than 4096 ways at once'],
    [{ anyOf: [] }, '#/anyOf: expected a list of schemas with at least one'],
  ] as const)('%j', async (schema, message) => expect(await refusal(schema)).toContain(message))

  it('tokenizers whose texts are not their tokens, or that lack what JSON needs', async () => {
    const endings = await tokenizerOf('suffix')
    expect(() => jsonObjectConstraint(endings)).toThrow(
      /the tokenizer in m writes texts otherwise than its tokens one after another/,
    )
    const bytesAreSpecial = await tokenizerOf('llama')
    const state = jsonObjectConstraint(bytesAreSpecial).begin([], new Set())
    state.accept(bytesAreSpecial.encode(' ', { addSpecialTokens: false })[0]!)
    expect(() => state.allowed()).toThrow('no token of the vocabulary can go on as the constraint asks')
  })
})
