/** @file What names a data set of the hub: `hf:owner/name[:config][@split]`. */
import { InvalidOptionError } from '../errors.js'
import { HUB_WORD } from '../util/hub-name.js'

/** A data set of the hub, or a part of it. */
export interface DatasetId {
  /** `owner/name`, or the name alone of those that have no owner. */
  readonly name: string
  /** The subset, where it was named. */
  readonly config?: string
  /** `train`, `validation`, `test` or whatever the data set has; `train` unless it was named. */
  readonly split: string
}

const PREFIX = 'hf:'
const ID = new RegExp(`^(${HUB_WORD}(?:/${HUB_WORD})?)(?::([^@/:]+))?(?:@([^@/:]+))?$`)

/** Whether rows are asked for from the hub rather than from a file. */
export const isDatasetId = (path: string): boolean => path.startsWith(PREFIX)

/** @throws InvalidOptionError if it is written in another way */
export function parseDatasetId(text: string): DatasetId {
  const [, name, config, split = 'train'] = ID.exec(text.slice(PREFIX.length)) ?? []
  if (name === undefined || [name, config ?? '', split].some((part) => part.includes('..')))
    throw new InvalidOptionError(
      `"${text}" names no data set of the hub; write hf:owner/name, hf:owner/name:config, hf:owner/name@split or hf:owner/name:config@split`,
    )
  return { name, ...(config !== undefined && { config }), split }
}
