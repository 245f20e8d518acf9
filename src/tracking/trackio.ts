/** @file trackio's HTTP API: `POST /api/bulk_log`, entries of one run of one project. */
import { InvalidOptionError } from '../errors.js'
import { askJson, jsonNumber, type Endpoint } from './http.js'
import { Outbox } from './outbox.js'
import type { Scalars, TrackedEnd, TrackedRun, Tracker } from './tracker.js'
import type { Variables } from './variables.js'

/** Where `trackio show` listens. */
const LOCAL = 'http://127.0.0.1:7860'

/** What is told of a step. */
interface Entry {
  readonly metrics: Readonly<Record<string, unknown>>
  readonly step?: number
  readonly config?: TrackedRun['settings']
}

/** The dashboard that the environment names. @throws InvalidOptionError if that is no address */
function endpointOf(variables: Variables): Endpoint {
  const { TRACKIO_SERVER_URL: given, TRACKIO_WRITE_TOKEN: token, HF_TOKEN: hubToken } = variables
  const text = given || LOCAL
  if (!/^https?:\/\/./.test(text) || !URL.canParse(text))
    throw new InvalidOptionError(`TRACKIO_SERVER_URL must be the address of a dashboard (http:// or https://), got ${JSON.stringify(text)}`) // prettier-ignore
  const url = new URL(text)
  // The address that `trackio show` prints carries the token.
  const writeToken = token || url.searchParams.get('write_token')
  // The hub's token is for its own Spaces alone.
  const isSpace = url.protocol === 'https:' && url.hostname.endsWith('.hf.space')
  return {
    base: `${url.origin}${url.pathname.replace(/\/+$/, '')}`,
    headers: {
      ...(writeToken && { 'X-Trackio-Write-Token': writeToken }),
      ...(isSpace && hubToken && { Authorization: `Bearer ${hubToken}` }),
    },
  }
}

/** A run on a trackio dashboard. A run that continues under its name is one curve there. */
export class TrackioTracker implements Tracker {
  private readonly endpoint: Endpoint
  private readonly project: string
  private readonly outbox: Outbox<Entry & { readonly log_id: string }>
  private run: TrackedRun | undefined
  /** An entry that is sent twice, for its answer was lost, is known by its id. */
  private entries = 0
  private begun = 0

  constructor(variables: Variables, endMs?: number) {
    this.endpoint = endpointOf(variables)
    this.project = variables['TRACKIO_PROJECT'] || 'lowrank'
    this.outbox = new Outbox({
      name: 'trackio',
      send: async (entries, signal) => {
        const logs = entries.map((entry) => ({ project: this.project, run: this.run!.name, ...entry }))
        // The server asks for the field, and fills it from the header.
        await askJson(this.endpoint, '/api/bulk_log', signal, { logs, hf_token: null })
      },
      batch: 100,
      ...(endMs !== undefined && { endMs }),
    })
  }

  begin(run: TrackedRun, time: number): void {
    this.run = run
    this.begun = time
  }

  scalars(step: number, values: Scalars): void {
    this.push(step, Object.fromEntries(Object.entries(values).map(([tag, value]) => [tag, jsonNumber(value)])))
  }

  text(step: number, tag: string, text: string): void {
    this.push(step, { [tag]: { _type: 'trackio.markdown', _value: text } })
  }

  end(_how: TrackedEnd): Promise<void> {
    return this.outbox.end()
  }

  warnings(): readonly string[] {
    return this.outbox.warnings()
  }

  private push(step: number, metrics: Entry['metrics']): void {
    const log_id = `${this.begun}-${this.entries++}`
    // The settings come with what is told first.
    this.outbox.push({ metrics, step, log_id, ...(this.entries === 1 && { config: this.run!.settings }) })
  }
}
