/** @file The files in which E2E, WebNLG and DART were published as rows of texts: format_converting_*.py of examples/NLG. */
import { InvalidDataError } from '../../errors.js'
import { kindOf } from '../../data/rows.js'
import { isObject, parseJson } from '../../util/json.js'
import { linesOf, type TextRow } from './stage-files.js'

/** A data set of the paper. */
export type DataSet = 'e2e' | 'webnlg' | 'dart'

/** The categories of WebNLG that are trained on; those of the test alone are called unseen. */
const SEEN: ReadonlySet<string> = new Set([
  ...['Airport', 'Astronaut', 'Building', 'City', 'ComicsCharacter', 'Food', 'Monument', 'SportsTeam', 'University'],
  'WrittenWork',
])

/** A place within a file of JSON, for messages. */
class Place {
  constructor(
    private readonly value: unknown,
    private readonly path: string,
  ) {}

  private expected(what: string): InvalidDataError {
    return new InvalidDataError(`${this.path}: expected ${what}, found ${kindOf(this.value)}`)
  }

  field(name: string): Place {
    if (!isObject(this.value)) throw this.expected(`an object with "${name}"`)
    return new Place(Object.hasOwn(this.value, name) ? this.value[name] : undefined, `${this.path}, ${name}`)
  }

  /** @param count how many there must be; any number without */
  items(what: string, count?: number): readonly Place[] {
    if (!Array.isArray(this.value)) throw this.expected(what)
    if (count !== undefined && this.value.length !== count)
      throw new InvalidDataError(`${this.path}: expected ${what}, found a list of ${this.value.length}`)
    return this.value.map((item: unknown, i) => new Place(item, `${this.path}[${i}]`))
  }

  get text(): string {
    if (typeof this.value !== 'string') throw this.expected('a text')
    return this.value
  }
}

function json(text: string, source: string): Place {
  try {
    return new Place(parseJson(text), source)
  } catch (cause) {
    throw new InvalidDataError(`${source} is not valid JSON: ${(cause as Error).message}; get the file again`, { cause })
  }
}

/** Triples of subject, relation and object on one line. */
const inOneLine = (triples: readonly (readonly [string, string, string])[]): string =>
  triples.map((triple) => triple.join(' : ')).join(' | ')

/** `MR||text` a line; what a second `||` parts from the text is dropped. */
function e2e(text: string, source: string): TextRow[] {
  return linesOf(text).map((line, i) => {
    const [context, completion] = line.split('||')
    if (completion === undefined)
      throw new InvalidDataError(`${source}, line ${i + 1}: expected "meaning||text", found "${line.slice(0, 80)}"`)
    return { context: context!, completion }
  })
}

/** The entry of place i has the key i + 1; of its texts those count that were called good. */
function webnlg(text: string, source: string): TextRow[] {
  const entries = json(text, source).field('entries').items('the list of entries')
  return entries.flatMap((entry, i) => {
    const own = entry.field(String(i + 1))
    const triples = own.field('modifiedtripleset').items('a list of triples')
    const context = inOneLine(triples.map((t) => [t.field('subject').text, t.field('property').text, t.field('object').text]))
    const cate = SEEN.has(own.field('category').text)
    return own
      .field('lexicalisations')
      .items('a list of texts')
      .filter((lexicalisation) => lexicalisation.field('comment').text === 'good')
      .map((lexicalisation) => ({ context, completion: lexicalisation.field('lex').text, cate }))
  })
}

function dart(text: string, source: string): TextRow[] {
  return json(text, source)
    .items('the list of examples')
    .flatMap((example) => {
      const triples = example.field('tripleset').items('a list of triples')
      const context = inOneLine(
        triples.map((triple) => {
          const [subject, relation, object] = triple.items('a triple', 3) as [Place, Place, Place]
          return [subject.text, relation.text.toLowerCase(), object.text]
        }),
      )
      const texts = example.field('annotations').items('a list of texts')
      return texts.map((annotation) => ({ context, completion: annotation.field('text').text }))
    })
}

const readers: Readonly<Record<DataSet, (text: string, source: string) => TextRow[]>> = { e2e, webnlg, dart }

/** The data sets by name. */
export const dataSets = Object.keys(readers) as readonly DataSet[]

/**
 * The rows of a published file: one for each text of people.
 * @param source what messages call it
 * @throws InvalidDataError naming the line, or the place in the JSON, that is not as it was published
 * @example
 * textRows('e2e', 'name : Alimentum | area : city centre||Alimentum is in the city centre . ', 'test.txt')
 * // [{ context: 'name : Alimentum | area : city centre', completion: 'Alimentum is in the city centre .' }]
 */
export const textRows = (dataSet: DataSet, text: string, source: string): TextRow[] => readers[dataSet](text, source)
