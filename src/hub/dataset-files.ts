/** @file Which Parquet files of a data set of the hub are asked for; known to pages as well. */
import type { DatasetId } from '../data/dataset-id.js'
import { HubError, InvalidOptionError } from '../errors.js'
import { isObject } from '../util/json.js'
import { someNames } from '../util/some-of.js'

/** Addresses of the Parquet files that the hub makes of every data set, by config and split. */
export type DatasetListing = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>

/** What a part is called in a cache: a name, and never a way out of its folder. */
const isName = (name: string): boolean => name !== '' && name !== '.' && name !== '..'

/** Where the hub tells the files of a data set. */
export const listingUrl = (endpoint: string, { name }: DatasetId): string => `${endpoint}/api/datasets/${name}/parquet`

/** @throws HubError if the answer is none of the hub's, or names no file */
export function readListing(answer: unknown, endpoint: string, { name }: DatasetId): DatasetListing {
  const isListing =
    isObject(answer) &&
    Object.entries(answer).every(
      ([config, splits]) =>
        isName(config) &&
        isObject(splits) &&
        Object.entries(splits).every(
          ([split, urls]) => isName(split) && Array.isArray(urls) && urls.every((url) => typeof url === 'string'),
        ),
    )
  if (!isListing) throw new HubError(`${endpoint} gave an answer that is none of the hub's when asked for the files of "${name}"`)
  if (Object.keys(answer).length === 0)
    throw new HubError(
      `${endpoint} has no Parquet files of the data set "${name}", which its viewer makes (yet, or for its kind of data); download its files and name them`,
    )
  return answer as DatasetListing
}

/** What was asked for, of what there is. */
export interface DatasetPart {
  readonly config: string
  readonly split: string
  readonly urls: readonly string[]
}

/**
 * The files of a config and split. Without a config it is the only one, or the one that is called `default`.
 * @throws InvalidOptionError naming the configs or the splits that there are
 */
export function chooseFiles(listing: DatasetListing, { name, config: asked, split }: DatasetId): DatasetPart {
  const configs = Object.keys(listing)
  const config = asked ?? (configs.length === 1 ? configs[0]! : 'default')
  const splits = Object.hasOwn(listing, config) ? listing[config]! : undefined
  if (splits === undefined)
    throw new InvalidOptionError(
      asked === undefined
        ? `the data set "${name}" has several configs, ${someNames(configs)}; say which: hf:${name}:${configs[0]}`
        : `the data set "${name}" has no config "${asked}"; there are ${someNames(configs)}`,
    )
  const urls = Object.hasOwn(splits, split) ? splits[split]! : []
  if (urls.length === 0)
    throw new InvalidOptionError(
      `the data set "${name}"${configs.length > 1 ? ` (config "${config}")` : ''} has no split "${split}"; there are ${someNames(Object.keys(splits))}: hf:${name}${asked === undefined ? '' : `:${asked}`}@${Object.keys(splits)[0] ?? split}`,
    )
  return { config, split, urls }
}

/**
 * The address of a file at the endpoint that was asked: a mirror may name the hub's own.
 * @throws HubError if it is no address
 */
export function urlAt(endpoint: string, url: string): string {
  let parsed: URL
  try {
    parsed = new URL(url, `${endpoint}/`)
  } catch (cause) {
    throw new HubError(`${endpoint} names "${url}" as the address of a file`, { cause })
  }
  return /^\/(api\/)?datasets\//.test(parsed.pathname) ? `${endpoint}${parsed.pathname}${parsed.search}` : parsed.href
}
