/** @file The flags that say where METEOR's data are. */
import type { Files } from '../io/files.js'
import { meteorModules, type MeteorModule, type ScoreOptions, type Segment } from '../metrics/index.js'
import { openParaphrases, openWordNet, WORDNET_FOLDER } from '../metrics/meteor/folders.js'
import { defined } from './flags.js'
import type { Flags } from './flag.js'
import { UsageError } from './usage-error.js'

export const meteorFlags = {
  wordnet: {
    type: 'text',
    value: 'DIR',
    help: `Folder of WordNet 3.0, for the synonyms of METEOR. ${WORDNET_FOLDER} (Debian's package wordnet-base) by default.`,
  },
  'meteor-data': {
    type: 'text',
    value: 'DIR',
    help: 'The folder "data" of METEOR 1.5, for its paraphrases. Without, the score is called METEOR (exact, stem, synonym).',
  },
  'meteor-modules': {
    type: 'names',
    value: 'A,B',
    help: `What METEOR matches: some of ${meteorModules.join(', ')}. exact, stem needs no data.`,
  },
} as const satisfies Flags

const { 'meteor-data': _, ...withoutData } = meteorFlags

/**
 * Those for texts that are yet to be written: which of METEOR's millions of paraphrases they can use is not known. `lowrank score`
 * reads the file --per-segment with them.
 */
export const writtenMeteorFlags = withoutData

interface MeteorFlagValues {
  readonly wordnet: string | undefined
  readonly 'meteor-data'?: string | undefined
  readonly 'meteor-modules': readonly string[] | undefined
}

/** What METEOR needs; of its paraphrases those that the texts can use. */
export interface MeteorData {
  readonly options: Pick<ScoreOptions, 'modules' | 'wordnet'>
  readonly paraphrases: (segments: readonly Segment[], words: ScoreOptions) => Promise<Pick<ScoreOptions, 'paraphrases'>>
}

const isModule = (name: string): name is MeteorModule => (meteorModules as readonly string[]).includes(name)

/** @throws UsageError for flags that do not belong together */
function checkFlags(values: MeteorFlagValues, metrics: readonly string[]): void {
  const { wordnet, 'meteor-data': data, 'meteor-modules': modules } = values
  const [given] = Object.keys(meteorFlags).filter((name) => values[name as keyof MeteorFlagValues] !== undefined)
  if (given !== undefined && !metrics.includes('meteor')) throw new UsageError(`--${given} is for the metric meteor.`)
  if (modules === undefined) return
  const unknown = modules.find((name) => !isModule(name))
  if (unknown !== undefined) throw new UsageError(`--meteor-modules: there is no "${unknown}". There are ${meteorModules.join(', ')}.`) // prettier-ignore
  if (wordnet !== undefined && !modules.includes('synonym')) throw new UsageError('--wordnet is for the module synonym.')
  if ((data !== undefined) !== modules.includes('paraphrase'))
    throw new UsageError(data === undefined ? 'The module paraphrase needs --meteor-data DIR of lowrank score.' : '--meteor-data is for the module paraphrase.') // prettier-ignore
}

/**
 * Opens what the flags name, WordNet at once.
 * @throws UsageError for flags that do not belong together; FileError naming what is missing and where it is to be had
 */
export async function openMeteorData(files: Files, values: MeteorFlagValues, metrics: readonly string[]): Promise<MeteorData> {
  checkFlags(values, metrics)
  const { wordnet: folder, 'meteor-data': data, 'meteor-modules': names } = values
  const modules = names?.filter(isModule)
  const isUsed = metrics.includes('meteor') && modules?.includes('synonym') !== false
  const wordnet = isUsed ? await openWordNet(files, folder) : undefined
  return {
    options: defined({ modules, wordnet }),
    paraphrases: async (segments, { tokenizer, normalize }) =>
      data === undefined
        ? {}
        : { paraphrases: await openParaphrases(files, data, { segments, ...defined({ tokenizer, normalize }) }) },
  }
}
