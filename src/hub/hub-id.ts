/** @file What a hub id is, and what the environment says about the hub: both without touching disk or network. */
import { InvalidOptionError } from '../errors.js'
import { isHubName } from '../util/hub-name.js'

/** A repository on the hub at one revision. */
export interface HubId {
  /** `owner/name`. */
  readonly name: string
  /** Branch, tag or commit. */
  readonly revision: string
}

export interface HubSettings {
  /** Address of the hub, without a slash at its end. */
  readonly endpoint: string
  readonly token: string | undefined
  /** Folder with `models--owner--name` folders, shared with Python's huggingface_hub. */
  readonly cacheDir: string
  /** Only the cache may be used. */
  readonly offline: boolean
}

export type EnvironmentVariables = Readonly<Record<string, string | undefined>>

/** The hub itself. */
export const DEFAULT_ENDPOINT = 'https://huggingface.co'

const REVISION = /^[A-Za-z0-9][A-Za-z0-9._/-]*$/

/**
 * Reads `owner/name` or `owner/name@revision`.
 * @returns undefined if the text cannot be a hub id (then it must be a path)
 * @throws InvalidOptionError if the name fits and the revision does not
 */
export function parseHubId(text: string): HubId | undefined {
  const at = text.indexOf('@')
  const name = at < 0 ? text : text.slice(0, at)
  if (!isHubName(name)) return undefined
  const revision = at < 0 ? 'main' : text.slice(at + 1)
  checkRevision(revision, text)
  return { name, revision }
}

/** It becomes the name of a file in the cache. @throws InvalidOptionError if it cannot be a revision */
export function checkRevision(revision: string, id: string): void {
  if (!REVISION.test(revision) || revision.includes('..'))
    throw new InvalidOptionError(`hub id "${id}": "${revision}" is no branch, tag or commit; write owner/name@revision`)
}

const isTrue = (value: string | undefined): boolean => value !== undefined && /^(1|true|yes|on)$/i.test(value)

const setIn =
  (env: EnvironmentVariables) =>
  (name: string): string | undefined =>
    env[name] === '' ? undefined : env[name]

/** The folder that all of Hugging Face's programs share. @param home the user's home folder */
function cacheHomeOf(env: EnvironmentVariables, home: string): string {
  const set = setIn(env)
  return set('HF_HOME') ?? `${set('XDG_CACHE_HOME') ?? `${home}/.cache`}/huggingface`
}

const atHome = (path: string, home: string): string => path.replace(/^~(?=\/|$)/, home)

/** The file in which `hf auth login` keeps the access token: HF_TOKEN_PATH, else `token` beside the caches. */
export const tokenFileOf = (env: EnvironmentVariables, home: string): string =>
  atHome(setIn(env)('HF_TOKEN_PATH') ?? `${cacheHomeOf(env, home)}/token`, home)

/**
 * The settings by the variables that Python's huggingface_hub reads: HF_ENDPOINT, HF_TOKEN (or HUGGING_FACE_HUB_TOKEN),
 * HF_HUB_CACHE (or HUGGINGFACE_HUB_CACHE, HF_HOME, XDG_CACHE_HOME), HF_HUB_OFFLINE.
 * @param home the user's home folder, for the default cache
 */
export function hubSettings(env: EnvironmentVariables, home: string): HubSettings {
  const set = setIn(env)
  return {
    endpoint: (set('HF_ENDPOINT') ?? DEFAULT_ENDPOINT).replace(/\/+$/, ''),
    token: (set('HF_TOKEN') ?? set('HUGGING_FACE_HUB_TOKEN'))?.trim() || undefined,
    cacheDir: atHome(set('HF_HUB_CACHE') ?? set('HUGGINGFACE_HUB_CACHE') ?? `${cacheHomeOf(env, home)}/hub`, home),
    offline: isTrue(set('HF_HUB_OFFLINE')),
  }
}
