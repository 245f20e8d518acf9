/** @file METEOR 1.5 of segments: options, the best reference of each, the score of all. */
import { InvalidOptionError } from '../../errors.js'
import { choice, kind, toggle, type Kind } from '../../util/option-kinds.js'
import { resolveOptions, type OptionTable } from '../../util/option-table.js'
import { checkSegments, type Segment, type SegmentScore } from '../segment.js'
import { tokenizerNames } from '../tokenize/tokenizers.js'
import { align } from './align.js'
import { Lexicon } from './lexicon.js'
import { possibleMatches, type Knowledge } from './matches.js'
import { meteorModules, type MeteorModule } from './modules.js'
import { Paraphrases } from './paraphrases.js'
import { sentenceReader } from './sentence.js'
import { addStatistics, countMatches, noStatistics, scoreOf, type MeteorScore, type MeteorStatistics } from './statistics.js'
import { WordNet } from './wordnet.js'
import { splitterName, splitterOf, type MeteorWordOptions } from './words.js'

/** Options of {@link meteor}. */
export interface MeteorOptions extends MeteorWordOptions {
  /**
   * What counts as a match. Without: `exact`, `stem` and `synonym`, and `paraphrase` too where there is a table. METEOR as papers
   * report it is all four.
   */
  readonly modules?: readonly MeteorModule[]
  /** Synonyms, of `readWordNet`: what the module `synonym` needs. */
  readonly wordnet?: WordNet
  /** Phrases that mean the same, of `readParaphrases`: what the module `paraphrase` needs. */
  readonly paraphrases?: Paraphrases
}

const moduleList: Kind<readonly MeteorModule[], 'names'> = kind(
  'names',
  `be a list of some of ${meteorModules.join(', ')}`,
  (value) => Array.isArray(value) && value.length > 0 && value.every((each) => meteorModules.includes(each as MeteorModule)),
)

export const meteorOptionTable = {
  tokenizer: { is: choice(tokenizerNames) },
  normalize: { is: toggle, default: true },
  modules: { is: moduleList },
  wordnet: { effect: true },
  paraphrases: { effect: true },
} as const satisfies OptionTable<MeteorOptions>

/** METEOR of one segment, with what it was counted from. */
export interface MeteorSegment extends SegmentScore, MeteorScore, MeteorStatistics {
  /** The place, from 0, of the reference that gives the best score; the first of equals. */
  readonly bestReference: number
}

/** METEOR of a corpus. */
export interface MeteorResult extends MeteorScore {
  /** `METEOR`, or what was left out told by what was used: `METEOR (exact, stem, synonym)`. Scores of other names do not compare. */
  readonly name: string
  /** Of each segment, in their order. */
  readonly segments: readonly MeteorSegment[]
  /** How texts were split: `meteor` by its normaliser, behind another tokenizer `ptb, meteor`. */
  readonly tokenizer: string
}

/** What modules read, where it is from, and what to do without. */
const DATA = [
  {
    module: 'synonym',
    option: 'wordnet',
    made: WordNet,
    by: 'readWordNet',
    needs: 'WordNet 3.0: give wordnet (readWordNet of the files in Debian\'s package "wordnet-base")',
  },
  {
    module: 'paraphrase',
    option: 'paraphrases',
    made: Paraphrases,
    by: 'readParaphrases',
    needs:
      'METEOR\'s table of paraphrases: give paraphrases (readParaphrases of "paraphrase-en.gz", in the folder "data" of METEOR 1.5)',
  },
] as const

/** The modules asked for, in the order in which they look. @throws InvalidOptionError if they and the data do not fit */
function modulesOf(options: MeteorOptions): MeteorModule[] {
  const { modules, paraphrases } = options
  const used = meteorModules.filter((module) =>
    modules === undefined ? module !== 'paraphrase' || paraphrases !== undefined : modules.includes(module),
  )
  for (const { module, option, made, by, needs } of DATA) {
    const value = options[option]
    if (value !== undefined && !(value instanceof made))
      throw new InvalidOptionError(`meteor: ${option} must be what ${by} gives`)
    if (value === undefined && used.includes(module))
      throw new InvalidOptionError(`meteor: the module ${module} needs ${needs}, or modules that do without: ['exact', 'stem']`)
    if (value !== undefined && !used.includes(module))
      throw new InvalidOptionError(
        `meteor: ${option} is given, but the modules are ${used.join(', ')}; add ${module} to them, or leave ${option} out`,
      )
  }
  return used
}

/** What a score is called: of other modules, or another WordNet, it is another one. */
function nameOf(modules: readonly MeteorModule[], wordnet: WordNet | undefined): string {
  const data = wordnet === undefined || wordnet.version === '3.0' ? [] : [`WordNet ${wordnet.version}`]
  const parts = [...(modules.length === meteorModules.length ? [] : modules), ...data]
  return parts.length === 0 ? 'METEOR' : `METEOR (${parts.join(', ')})`
}

/**
 * METEOR 1.5 for English (Denkowski and Lavie, 2014, https://aclanthology.org/W14-3348): how much of a text is in its
 * reference and the reverse, by equal words, stems, synonyms and paraphrases, less a penalty for another order. A segment has
 * the score of its best reference; the corpus has that of the summed counts, which is not the mean of the segments.
 *
 * Scores are those of METEOR's English defaults (task `rank`), with `-norm` unless `normalize` is false; stems are Porter2's. The
 * segments are worked out one after the other, equal texts and words looked up once.
 *
 * @throws InvalidDataError without segments, or for one without references
 * @throws InvalidOptionError if a module lacks its data, or data has no module that reads it
 * @example
 * const wordnet = await readWordNet((name) => readFile(`/usr/share/wordnet/${name}`, 'utf8'))
 * const { name, score } = meteor([{ hypothesis: 'a cosy pub', references: ['a comfortable pub', 'the pub'] }], { wordnet })
 * console.log(name, score) // METEOR (exact, stem, synonym) …
 */
export function meteor(segments: readonly Segment[], options: MeteorOptions = {}): MeteorResult {
  const given = resolveOptions(meteorOptionTable, options, 'meteor')
  const modules = modulesOf(given)
  checkSegments(segments, 'meteor')
  const { wordnet, paraphrases } = given
  const lexicon = new Lexicon(wordnet)
  const knowledge: Knowledge = { modules, lexicon, paraphrases }
  const read = sentenceReader(splitterOf(given), lexicon, paraphrases)

  const scored = segments.map(({ hypothesis, references }): MeteorSegment => {
    const written = read(hypothesis)
    const candidates = references.map((text, bestReference): MeteorSegment => {
      const reference = read(text)
      const alignment = align(possibleMatches(written, reference, knowledge), written.words.length)
      const statistics = countMatches(written, reference, alignment, lexicon)
      return { ...scoreOf(statistics), ...statistics, bestReference }
    })
    return candidates.reduce((best, each) => (each.score > best.score ? each : best))
  })
  return {
    ...scoreOf(scored.reduce(addStatistics, noStatistics)),
    name: nameOf(modules, wordnet),
    segments: scored,
    tokenizer: splitterName(given),
  }
}
