/** @file What a tokenizer's post-processor puts around one text and around two, and how both are cut to a length. */

/** A text as a model with a head reads it. */
export interface EncodedText {
  /** Token ids, special tokens among them. */
  readonly ids: readonly number[]
  /** Which text a token belongs to, in the model's own numbers; 0 throughout where the model does not tell them apart. */
  readonly typeIds: readonly number[]
  /** Whether something was cut. */
  readonly truncated: boolean
}

/** Tokens that stand around texts: before the first, between them, behind the last; with the type of each. */
export interface Surroundings {
  readonly before: readonly Token[]
  readonly between: readonly Token[]
  readonly after: readonly Token[]
  /** Type of the tokens of each text. */
  readonly types: readonly [number, number]
}

export interface Token {
  readonly id: number
  readonly type: number
}

/**
 * Lengths to which two texts are cut so that both fit into `room` tokens: `longest_first` of Hugging Face's tokenizers.
 * The shorter keeps up to half; what is left over goes to the longer one.
 */
export function longestFirst(first: number, second: number, room: number): [number, number] {
  if (first + second <= room) return [first, second]
  const half = Math.floor(room / 2)
  const short = Math.min(first, second, half)
  return first > second ? [room - short, short] : [short, room - short]
}

/**
 * How many tokens of each text are kept where they and their surroundings are cut to `maxLength` in all; 0 of a second that is
 * not there.
 * @param sizes how long each text is taken to be where both are cut; their own lengths by default
 */
export function keptLengths(
  [first = [], second]: readonly (readonly number[])[],
  { before, between, after }: Surroundings,
  maxLength = Infinity,
  sizes: readonly number[] = [first.length, second?.length ?? 0],
): readonly [first: number, second: number] {
  const room = Math.max(0, maxLength - before.length - between.length - after.length)
  return second === undefined ? [Math.min(first.length, room), 0] : longestFirst(sizes[0]!, sizes[1]!, room)
}

/** Ids and types of texts in their surroundings, cut as {@link keptLengths} says. */
export function surround(
  texts: readonly (readonly number[])[],
  around: Surroundings,
  maxLength?: number,
  sizes?: readonly number[],
): EncodedText {
  const [first = [], second] = texts
  const { before, between, after, types } = around
  const lengths = keptLengths(texts, around, maxLength, sizes)
  const cut = [first, second ?? []].map((ids, i) => ids.slice(0, lengths[i]).map((id) => ({ id, type: types[i]! })))
  const tokens = [...before, ...cut[0]!, ...between, ...cut[1]!, ...after]
  return {
    ids: tokens.map(({ id }) => id),
    typeIds: tokens.map(({ type }) => type),
    truncated: lengths[0]! < first.length || lengths[1]! < (second?.length ?? 0),
  }
}

/**
 * Reads the surroundings off an example.
 * @param full ids and types of the whole
 * @param parts ids of the texts alone
 * @returns undefined if the parts are not found in order
 */
export function readSurroundings(full: readonly Token[], parts: readonly (readonly number[])[]): Surroundings | undefined {
  const places: number[] = []
  let from = 0
  for (const ids of parts) {
    while (from + ids.length <= full.length && !ids.every((id, i) => full[from + i]!.id === id)) from++
    if (from + ids.length > full.length) return undefined
    places.push(from)
    from += ids.length
  }
  const [first, second] = [places[0]!, places[1]]
  const endOfFirst = first + parts[0]!.length
  return {
    before: full.slice(0, first),
    between: second === undefined ? [] : full.slice(endOfFirst, second),
    after: full.slice(from),
    types: [full[first]?.type ?? 0, (second === undefined ? undefined : full[second]?.type) ?? 0],
  }
}
