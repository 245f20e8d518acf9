/** @file Post-processors of tokenizer.json: the special tokens around a text or two. */
import { byType, isCount, type Component } from './json.js'

/** Token ids of a text, or of texts together, with the type of each. */
export interface Encoding {
  readonly ids: readonly number[]
  readonly types: readonly number[]
}

export interface PostProcessor {
  /** @param texts one or two; what was joined stays joined */
  process(texts: readonly Encoding[], addSpecialTokens: boolean): readonly Encoding[]
}

/** @throws InvalidDataError naming a type that is not known, or a field that is wrong */
export function createPostProcessor(component: Component): PostProcessor {
  return byType(component, 'post-processor', makers)
}

const makers: Readonly<Record<string, (component: Component) => PostProcessor>> = {
  Sequence: (c) => {
    const parts = c.parts('processors').map(createPostProcessor)
    return { process: (texts, add) => parts.reduce((done, part) => part.process(done, add), texts) }
  },
  // It only changes where in the text a token is said to lie.
  ByteLevel: () => ({ process: (texts) => texts }),
  BertProcessing: (c) => {
    const [cls, sep] = [namedId(c, 'cls'), namedId(c, 'sep')]
    return {
      process: (texts, add) =>
        !add
          ? texts
          : texts.map((text, i) =>
              i === 0 ? around([token(cls, 0)], text, [token(sep, 0)]) : around([], text, [token(sep, 1)]),
            ),
    }
  },
  RobertaProcessing: (c) => {
    const [cls, sep] = [namedId(c, 'cls'), namedId(c, 'sep')]
    return {
      process: (texts, add) => {
        const untyped = texts.map(({ ids }) => ({ ids, types: ids.map(() => 0) }))
        if (!add) return untyped
        return untyped.map((text, i) => around([token(i === 0 ? cls : sep, 0)], text, [token(sep, 0)]))
      },
    }
  },
  TemplateProcessing: template,
}

const token = (id: number, type: number): Encoding => ({ ids: [id], types: [type] })

/** Encodings one behind the other. */
export function concatenate(parts: readonly Encoding[]): Encoding {
  return { ids: parts.flatMap(({ ids }) => ids), types: parts.flatMap(({ types }) => types) }
}

const around = (before: readonly Encoding[], text: Encoding, after: readonly Encoding[]): Encoding =>
  concatenate([...before, text, ...after])

/** Id of a field that holds a token and its id. */
function namedId(c: Component, key: string): number {
  const pair = c.list(key)
  const id = pair[1]
  return isCount(id) ? id : c.refuse(`"${key}" must be a token and its id, found ${JSON.stringify(pair)}.`)
}

type Piece = { readonly text: 0 | 1; readonly type: number } | { readonly ids: readonly number[]; readonly type: number }

function template(c: Component): PostProcessor {
  const special = c.part('special_tokens')
  const read = (key: string): Piece[] =>
    c.parts(key).map((piece): Piece => {
      if (piece.has('Sequence')) {
        const sequence = piece.part('Sequence')
        const id = sequence.text('id')
        if (id !== 'A' && id !== 'B') sequence.refuse(`"id" must be A or B, found "${id}".`)
        return { text: id === 'A' ? 0 : 1, type: sequence.count('type_id') }
      }
      const named = piece.part('SpecialToken')
      const name = named.text('id')
      if (!special.has(name)) named.refuse(`"special_tokens" of the template has no ${JSON.stringify(name)}.`)
      const ids = special
        .part(name)
        .list('ids')
        .map((id) => (isCount(id) ? id : special.refuse(`ids of ${JSON.stringify(name)} must be whole numbers.`)))
      return { ids, type: named.count('type_id') }
    })
  const templates = [read('single'), read('pair')]
  return {
    process: (texts, add) =>
      templates[texts.length - 1]!.flatMap((piece): Encoding[] => {
        if ('ids' in piece) return add ? [{ ids: piece.ids, types: piece.ids.map(() => piece.type) }] : []
        const text = texts[piece.text]
        return text === undefined
          ? c.refuse('"single" asks for a second text.')
          : [{ ids: text.ids, types: text.ids.map(() => piece.type) }]
      }),
  }
}
