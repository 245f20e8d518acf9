/** @file The hub's settings of this process: options, variables, and the token that a login kept in a file. */
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { hubSettings, tokenFileOf, type EnvironmentVariables, type HubSettings } from './hub-id.js'

/** What goes before the variables. */
export interface GivenSettings {
  readonly token?: string
  readonly cacheDir?: string
  readonly endpoint?: string
  readonly offline?: boolean
  readonly env?: EnvironmentVariables
}

export interface NodeHubSettings extends HubSettings {
  /** Where the token is from, or could be: for messages. */
  readonly tokenFrom: string
}

/** The token of `hf auth login`, where that was done. */
function keptToken(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim() || undefined
  } catch {
    return undefined
  }
}

/** The variable that the token is in, or should be. */
const variableOf = (env: EnvironmentVariables): string =>
  (env['HF_TOKEN'] ?? '') === '' && (env['HUGGING_FACE_HUB_TOKEN'] ?? '') !== '' ? 'HUGGING_FACE_HUB_TOKEN' : 'HF_TOKEN'

/** The settings of the variables, with what is given in their place. */
export function nodeHubSettings(given: GivenSettings): NodeHubSettings {
  const env = given.env ?? process.env
  const settings = hubSettings(env, homedir())
  const own = given.token?.trim() || undefined
  const token = own ?? settings.token
  const file = tokenFileOf(env, homedir())
  const kept = token === undefined ? keptToken(file) : undefined
  return {
    endpoint: (given.endpoint ?? settings.endpoint).replace(/\/+$/, ''),
    token: token ?? kept,
    tokenFrom: own !== undefined ? 'the option "token"' : kept !== undefined ? file : variableOf(env),
    cacheDir: given.cacheDir ?? settings.cacheDir,
    offline: given.offline ?? settings.offline,
  }
}
