/** @file A folder to the hub: what the adapter or model consists of, in one commit. */
import { commit, createBranch, createRepo, HubApiError, modelInfo, type CommitOutput } from '@huggingface/hub'
import { realpath } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { HubError, InvalidAdapterError, InvalidOptionError, LowrankError } from '../errors.js'
import type { Files } from '../io/files.js'
import { LOCK_FILE, lockFolder } from '../io/folder-lock.js'
import { nodeFiles } from '../io/node-files.js'
import { CARD_FILE, isRunCard } from '../train/model-card.js'
import { isHubName } from '../util/hub-name.js'
import { parseJsonObject } from '../util/json.js'
import { checkKeys, type OptionKeys } from '../util/option-keys.js'
import { snapshot } from '../util/snapshot.js'
import { authorized } from './authorized.js'
import { matches } from './globs.js'
import { said } from './hub-error.js'
import { parseHubId, type EnvironmentVariables, type HubId } from './hub-id.js'
import { reasonOf } from './node-download.js'
import { bounded } from './node-limits.js'
import { sendWithin } from './node-sending.js'
import { nodeHubSettings, type NodeHubSettings } from './node-settings.js'
import { publishable, type PublishedFile } from './publishable.js'
import { explainPushRefusal, type PushState } from './push-error.js'
import { configFile } from './repository-files.js'
import { callback } from '../util/option-kinds.js'
import { checkArgument, pathArgument } from '../util/arguments.js'
import { Unreachable } from './unreachable.js'

/** What is pushed, and where to. */
export interface PushOptions {
  /** Make the repository private. One that is there and public is refused: nothing private is published by mistake. */
  readonly private?: boolean
  /** Branch, which is made if it is not there; goes before `@revision` in the id, `main` by default. */
  readonly revision?: string
  /** Open a pull request instead of a commit on the branch; the repository must be there. */
  readonly pullRequest?: boolean
  /** Title of the commit. */
  readonly message?: string
  /** Patterns of files to push beside what the adapter or model consists of: `report.html`, `runs/**`. */
  readonly include?: readonly string[]
  /** Patterns of files to leave out. */
  readonly exclude?: readonly string[]
  /** Say what would be pushed; nothing is sent, and no token is needed. */
  readonly dryRun?: boolean
  /** Access token that may write. `HF_TOKEN`, else the token of `hf auth login`, by default. */
  readonly token?: string
  /** Address of the hub; `HF_ENDPOINT`, else https://huggingface.co, by default. */
  readonly endpoint?: string
  /** Told of every piece that has left. */
  readonly onProgress?: (progress: PushProgress) => void
  /** Told what others will lack or not see: a base that only this machine has, a README that stays. */
  readonly onWarning?: (message: string) => void
}

export const pushOptionKeys = {
  ...{ private: true, revision: true, pullRequest: true, message: true, include: true, exclude: true, dryRun: true },
  ...{ token: true, endpoint: true, onProgress: callback, onWarning: callback },
} satisfies OptionKeys<PushOptions>

/** How far a push is. What the hub has already is not sent again. */
export interface PushProgress {
  /** Hub id. */
  readonly repository: string
  /** Bytes of large files that have left. */
  readonly sent: number
  /** Bytes of all files. */
  readonly size: number
}

/** What was pushed, or would be. */
export interface Pushed {
  /** `owner/name`. */
  readonly repository: string
  /** Branch. */
  readonly revision: string
  /** Whether the folder holds an adapter or a whole model. */
  readonly kind: 'adapter' | 'model'
  /** The files and their sizes in bytes. */
  readonly files: readonly PublishedFile[]
  /** Where it can be seen; of a pull request, its page. */
  readonly url: string
  /** The commit; absent of a dry run. */
  readonly commit?: string
}

/** What else tests set. */
interface Surroundings {
  readonly env?: EnvironmentVariables
  readonly fetch?: typeof fetch
  /** Milliseconds in which nothing moves after which a connection counts as broken. */
  readonly stall?: number
}

/** @throws InvalidOptionError if it is no model repository */
function targetOf(repository: string, revision: string | undefined): HubId {
  const id = parseHubId(repository)
  if (id !== undefined) return revision === undefined ? id : parseHubId(`${id.name}@${revision}`)!
  const other = /^(datasets|spaces)\//.test(repository) ? '; adapters and models go to repositories of models' : ''
  throw new InvalidOptionError(`"${repository}" is no repository of the hub${other}; write owner/name`)
}

/**
 * Publishes the folder of an adapter or a model on the Hugging Face Hub, in one commit: configuration, weights, README.md,
 * tokenizer and templates. What a run left beside them (checkpoints, logs, the report) stays here unless it is asked for.
 * A repository that is not there is made.
 *
 * @param repository `owner/name`, or `owner/name@branch`
 * @throws InvalidAdapterError, InvalidModelError if the folder holds no whole adapter and no whole model
 * @throws FileError if a run is writing there
 * @throws HubError if there is no token, it may not write, or the hub cannot be reached; it says what is there then
 * @example
 * const { url } = await push('out', 'me/my-adapter', { private: true })
 */
export async function push(folder: string, repository: string, options: PushOptions = {}): Promise<Pushed> {
  checkArgument(folder, pathArgument, 'push')
  checkArgument(repository, pathArgument, 'push', 'the second argument')
  checkKeys(options, pushOptionKeys, 'push')
  return pushWithin(folder, repository, snapshot(options), {})
}

/** The same, with surroundings of one's own. */
export async function pushWithin(
  given: string,
  repository: string,
  options: PushOptions,
  surroundings: Surroundings,
): Promise<Pushed> {
  const id = targetOf(repository, options.revision)
  const folder = given.replace(/(?<=.)[/\\]+$/, '')
  const files = nodeFiles()
  return whileNobodyWrites(files, folder, async () => {
    const { kind, files: found } = await publishable(files, folder, options)
    if (kind === 'adapter') await warnOfLocalBase(files, folder, options.onWarning)
    const settings = nodeHubSettings({ ...options, ...(surroundings.env !== undefined && { env: surroundings.env }) })
    const page = `${settings.endpoint}/${id.name}`
    const result = { repository: id.name, revision: id.revision, kind }
    if (options.dryRun === true) return { ...result, files: found, url: page }
    const hub = new PushingHub(id, settings, options, surroundings)
    const sent = await hub.prepare(files, folder, found)
    const done = await hub.send(kind, folder, sent)
    return { ...result, files: sent, url: done.pullRequestUrl ?? page, commit: done.commit.oid }
  })
}

/** @throws FileError naming the run that writes into the folder. A folder without a lock may be one that nobody may write to. */
async function whileNobodyWrites<T>(files: Files, folder: string, task: () => Promise<T>): Promise<T> {
  if (!(await files.exists(`${folder}/${LOCK_FILE}`))) return task()
  const release = await lockFolder(files, folder)
  try {
    return await task()
  } finally {
    await release()
  }
}

async function warnOfLocalBase(files: Files, folder: string, warn: PushOptions['onWarning']): Promise<void> {
  const path = `${folder}/${configFile.adapter}`
  const base = parseJsonObject(await files.readText(path), path, InvalidAdapterError)['base_model_name_or_path']
  if (typeof base === 'string' && isHubName(base) && !(await files.exists(base))) return
  warn?.(
    `${path} names ${typeof base === 'string' ? `"${base}"` : 'nothing'} as its base model, which nobody else can load; write the base's id on the hub into base_model_name_or_path, and as base_model into the front matter of ${CARD_FILE}`,
  )
}

/** What is on the hub before anything is made there. */
const NOTHING = 'Nothing was sent'

/** Requests to the repository that is written to. */
class PushingHub {
  private readonly request: { readonly hubUrl: string; readonly fetch: typeof fetch; readonly accessToken: string }
  /** What is on the hub if the next request fails. */
  private left = NOTHING
  private sent = 0
  private size = 0

  /** @throws HubError if there is no token, or the hub must not be asked */
  constructor(
    private readonly id: HubId,
    private readonly settings: NodeHubSettings,
    private readonly options: PushOptions,
    { fetch: base = fetch, stall }: Surroundings,
  ) {
    const { endpoint, token, offline } = settings
    if (offline) throw new HubError(`HF_HUB_OFFLINE is set, so nothing is pushed to ${endpoint}; unset it`)
    if (token === undefined)
      throw new HubError(
        `pushing to ${endpoint} needs an access token that may write: make one at ${endpoint}/settings/tokens and set HF_TOKEN, or log in with hf auth login`,
      )
    const withToken = authorized(base, settings)
    const onBytes = (bytes: number): void => {
      this.sent += bytes
      options.onProgress?.({ repository: id.name, sent: Math.min(this.sent, this.size), size: this.size })
    }
    const send: typeof fetch = async (input, init) => {
      try {
        return await bounded(await sendWithin(withToken, input, init, { stall, onBytes }), endpoint, stall)
      } catch (cause) {
        if (cause instanceof LowrankError) throw cause
        throw new Unreachable(reasonOf(cause), { cause })
      }
    }
    // The library wants a token of huggingface.co's kind before it asks; the one that is sent is put in its place.
    this.request = { hubUrl: endpoint, fetch: send, accessToken: 'hf_' }
  }

  private async asking<T>(doing: string, request: () => Promise<T>): Promise<T> {
    const { endpoint, tokenFrom } = this.settings
    const { left } = this
    try {
      return await request()
    } catch (cause) {
      if (cause instanceof LowrankError) throw cause
      const state: PushState = { repository: this.id.name, endpoint, tokenFrom, doing, left }
      // Of a file that storage refuses the library has only words.
      if (cause instanceof HubApiError)
        throw explainPushRefusal({ status: cause.statusCode, said: said(cause.data ?? { message: cause.message }) }, state)
      const why =
        cause instanceof Unreachable ? `${endpoint} could not be reached` : `${endpoint} gave an answer that is none of the hub's`
      throw new HubError(`${why} (${doing}, "${this.id.name}"): ${reasonOf(cause)}. ${left}. Push again later.`, { cause })
    }
  }

  /** What the hub says of a revision; undefined if it is not there. */
  private async look(doing: string, revision: string): Promise<{ readonly private: boolean } | undefined> {
    return this.asking(doing, async () => {
      try {
        return await modelInfo({ ...this.request, name: this.id.name, revision })
      } catch (error) {
        if (error instanceof HubApiError && error.statusCode === 404) return undefined
        throw error
      }
    })
  }

  /** Makes repository and branch where they are not there. @returns the files that are sent */
  async prepare(files: Files, folder: string, found: readonly PublishedFile[]): Promise<readonly PublishedFile[]> {
    const { name, revision } = this.id
    const { endpoint } = this.settings
    const { pullRequest = false, private: wanted } = this.options
    const there = await this.look('looking at the repository', 'HEAD')
    if (there === undefined) {
      if (pullRequest)
        throw new HubError(`${endpoint} has no repository "${name}" to open a pull request at; leave it (--pr) out to make it`)
      await this.asking('making the repository', () =>
        createRepo({ ...this.request, repo: name, ...(wanted !== undefined && { visibility: wanted ? 'private' : 'public' }) }),
      )
      this.left = `The repository "${name}" was made, and is empty`
    } else if (wanted === true && !there.private)
      throw new HubError(
        `"${name}" is there and public, and was to be private; make it private at ${endpoint}/${name}/settings, choose another name, or leave private (--private) out. ${NOTHING}.`,
      )
    if (revision !== 'main' && (await this.look('looking at the branch', revision)) === undefined) {
      if (pullRequest) throw new HubError(`"${name}" has no branch "${revision}" to open a pull request at. ${NOTHING}.`)
      await this.asking('making the branch', () => createBranch({ ...this.request, repo: name, branch: revision }))
      this.left = `${there === undefined ? `The repository "${name}" and its branch "${revision}" were` : `The branch "${revision}" was`} made, and nothing was sent there`
    }
    if (there === undefined || !(await this.keepsReadme(files, folder, found))) return found
    this.options.onWarning?.(
      `"${name}" has a ${CARD_FILE} that lowrank has not written, which stays; include: ['${CARD_FILE}'] (--include ${CARD_FILE}) replaces it`,
    )
    return found.filter(({ path }) => path !== CARD_FILE)
  }

  /** Whether the hub has a README that somebody wrote, and ours is a run's card that nobody asked for. */
  private async keepsReadme(files: Files, folder: string, found: readonly PublishedFile[]): Promise<boolean> {
    if (!found.some(({ path }) => path === CARD_FILE) || !isRunCard(await files.readText(`${folder}/${CARD_FILE}`))) return false
    if (this.options.include?.some((pattern) => matches(CARD_FILE, pattern)) === true) return false
    const { name, revision } = this.id
    const url = `${this.settings.endpoint}/${name}/resolve/${encodeURIComponent(revision)}/${CARD_FILE}`
    return this.asking(`reading its ${CARD_FILE}`, async () => {
      const response = await this.request.fetch(url)
      if (response.status === 404) return false
      if (!response.ok) throw new HubApiError(url, response.status)
      return !isRunCard(await response.text())
    })
  }

  /** Sends the files, large ones by Git LFS, and then the commit that names them all. */
  async send(kind: string, folder: string, files: readonly PublishedFile[]): Promise<CommitOutput> {
    const { name, revision } = this.id
    const { message = `Upload ${kind} with lowrank`, pullRequest = false } = this.options
    this.size = files.reduce((sum, { size }) => sum + size, 0)
    const operations = await Promise.all(
      files.map(async ({ path }) => ({
        operation: 'addOrUpdate' as const,
        path,
        // The library would take the folder that a link leads to apart.
        content: pathToFileURL(await realpath(`${folder}/${path}`)),
      })),
    )
    if (this.left === NOTHING) this.left = 'No commit was made'
    const { request } = this
    let committing = false
    const watched: typeof fetch = (input, init) => {
      committing ||= String(input).includes(`/api/models/${name}/commit/`)
      return request.fetch(input, init)
    }
    const { accessToken: _, ...open } = request
    const where = { repo: name, branch: revision, isPullRequest: pullRequest, title: message }
    return this.asking('the files', async () => {
      try {
        const done = await commit({ ...open, fetch: watched, ...where, operations, useXet: false })
        if (typeof done?.commit.oid !== 'string') throw new Error('it names no commit')
        return done
      } catch (cause) {
        if (!committing || !(cause instanceof Unreachable || (cause instanceof HubApiError && cause.statusCode >= 500)))
          throw cause
        throw new HubError(
          `${open.hubUrl} was lost while it was making the commit: ${cause.message}. All of it is there, or nothing; look at ${open.hubUrl}/${name}, and push again if it is not there.`,
          { cause },
        )
      }
    })
  }
}
