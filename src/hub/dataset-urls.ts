/** @file Data sets of the hub as a page reads them: the addresses of their Parquet files, of which parts are fetched. */
import { parseDatasetId } from '../data/dataset-id.js'
import { HubError, messageOf } from '../errors.js'
import { chooseFiles, listingUrl, readListing, urlAt } from './dataset-files.js'
import { askedDataset, explainRefusal } from './hub-error.js'
import { DEFAULT_ENDPOINT } from './hub-id.js'

/**
 * Addresses of the Parquet files of `hf:owner/name[:config][@split]`, of a data set that everybody may read.
 * @throws InvalidOptionError if it is written wrongly, or config or split are not there; HubError if the hub refuses
 */
export async function findDatasetUrls(
  text: string,
  { endpoint = DEFAULT_ENDPOINT, fetcher = fetch }: { readonly endpoint?: string; readonly fetcher?: typeof fetch } = {},
): Promise<readonly string[]> {
  const id = parseDatasetId(text)
  let response: Response
  try {
    response = await fetcher(listingUrl(endpoint, id))
  } catch (cause) {
    throw new HubError(`${endpoint} could not be reached: ${messageOf(cause)}; give files of rows`, { cause })
  }
  if (!response.ok) throw explainRefusal({ status: response.status, said: '' }, askedDataset(id), endpoint, undefined)
  const listing = readListing(await response.json().catch(() => undefined), endpoint, id)
  return chooseFiles(listing, id).urls.map((url) => urlAt(endpoint, url))
}
