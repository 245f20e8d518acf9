/** @file MLflow's REST API (version 2.0): one run, its parameters, metrics and, as tags, texts. */
import { InvalidOptionError } from '../errors.js'
import { askJson, HttpRefused, jsonNumber, type Endpoint } from './http.js'
import { Outbox } from './outbox.js'
import type { Scalars, TrackedEnd, TrackedRun, Tracker } from './tracker.js'
import type { Variables } from './variables.js'

/** Limits of the server: a batch of metrics has at most 1000, one of parameters 100, their values so many characters. */
const METRICS = 1000
const PARAMETERS = 100
const PARAMETER_LENGTH = 6000
const TAG_LENGTH = 5000
/** Things told in one request; a step or an evaluation has about ten metrics. */
const BATCH = 50

interface Pair {
  readonly key: string
  readonly value: string
}

interface Metric {
  readonly key: string
  readonly value: number | string
  readonly timestamp: number
  readonly step: number
}

/** Something to tell, in the words of `runs/log-batch`; or the end. */
interface Told {
  readonly metrics?: readonly Metric[]
  readonly params?: readonly Pair[]
  readonly tags?: readonly Pair[]
  readonly end?: { readonly status: string; readonly time: number }
}

const statuses: Readonly<Record<TrackedEnd, string>> = { finished: 'FINISHED', aborted: 'KILLED', failed: 'FAILED' }

/** The server that the environment names, as Python's mlflow reads it. @throws InvalidOptionError if it names none over HTTP */
function endpointOf(variables: Variables): Endpoint {
  const { MLFLOW_TRACKING_URI: uri, MLFLOW_TRACKING_TOKEN: token } = variables
  const { MLFLOW_TRACKING_USERNAME: user, MLFLOW_TRACKING_PASSWORD: password = '' } = variables
  if (uri === undefined || uri === '')
    throw new InvalidOptionError(
      'reportTo "mlflow" needs the address of a tracking server: set MLFLOW_TRACKING_URI, e.g. to http://127.0.0.1:5000',
    )
  if (!/^https?:\/\/./.test(uri))
    throw new InvalidOptionError(
      `MLFLOW_TRACKING_URI must begin with http:// or https://, got ${JSON.stringify(uri)}; other stores are written by Python's mlflow alone. Start a server over it: mlflow server --backend-store-uri …`,
    )
  const basic = (text: string): string => `Basic ${btoa(String.fromCharCode(...new TextEncoder().encode(text)))}`
  const authorization = token ? `Bearer ${token}` : user ? basic(`${user}:${password}`) : undefined
  return { base: uri.replace(/\/+$/, ''), headers: authorization === undefined ? {} : { Authorization: authorization } }
}

/** A run on an MLflow server. */
export class MlflowTracker implements Tracker {
  private readonly endpoint: Endpoint
  private readonly outbox: Outbox<Told>
  private run: TrackedRun | undefined
  private started = 0
  /** The run's id on the server, once it is known there. */
  private id: string | undefined

  constructor(
    private readonly variables: Variables,
    endMs?: number,
  ) {
    this.endpoint = endpointOf(variables)
    const send = (items: readonly Told[], signal: AbortSignal): Promise<void> => this.send(items, signal)
    this.outbox = new Outbox({ name: 'mlflow', send, batch: BATCH, ...(endMs !== undefined && { endMs }) })
  }

  begin(run: TrackedRun, time: number): void {
    this.run = run
    this.started = time
    const params = Object.entries(run.settings).map(([key, value]) => ({ key, value: String(value).slice(0, PARAMETER_LENGTH) }))
    for (let i = 0; i < params.length; i += PARAMETERS) this.outbox.push({ params: params.slice(i, i + PARAMETERS) })
  }

  scalars(step: number, values: Scalars, timestamp: number): void {
    const metrics = Object.entries(values).map(([key, value]) => ({ key, value: jsonNumber(value), timestamp, step }))
    this.outbox.push({ metrics })
  }

  /** The newest text of each tag. */
  text(step: number, tag: string, text: string): void {
    this.outbox.push({ tags: [{ key: tag, value: `step ${step}\n\n${text}`.slice(0, TAG_LENGTH) }] })
  }

  async end(how: TrackedEnd, time: number): Promise<void> {
    this.outbox.push({ end: { status: statuses[how], time } })
    await this.outbox.end()
  }

  warnings(): readonly string[] {
    return this.outbox.warnings()
  }

  private ask(path: string, signal: AbortSignal, body?: object): Promise<Record<string, unknown>> {
    return askJson(this.endpoint, `/api/2.0/mlflow/${path}`, signal, body)
  }

  private async send(items: readonly Told[], signal: AbortSignal): Promise<void> {
    const run_id = (this.id ??= await this.open(signal))
    const metrics = items.flatMap((item) => item.metrics ?? [])
    const tags = items.flatMap((item) => item.tags ?? [])
    // What has been taken may be sent again after a failure: the same numbers of the same steps.
    for (const { params } of items) if (params !== undefined) await this.parameters(run_id, params, signal)
    for (let i = 0; i < metrics.length; i += METRICS)
      await this.ask('runs/log-batch', signal, { run_id, metrics: metrics.slice(i, i + METRICS) })
    if (tags.length > 0)
      await this.ask('runs/log-batch', signal, { run_id, tags: [...new Map(tags.map((t) => [t.key, t])).values()] })
    const end = items.find((item) => item.end !== undefined)?.end
    if (end !== undefined) await this.ask('runs/update', signal, { run_id, status: end.status, end_time: Math.round(end.time) })
  }

  /** Settings of the run. A server refuses one that differs in a run that goes on, or is long: no reason to give up the numbers. */
  private async parameters(run_id: string, params: readonly Pair[], signal: AbortSignal): Promise<void> {
    try {
      await this.ask('runs/log-batch', signal, { run_id, params })
    } catch (error) {
      if (!(error instanceof HttpRefused && error.status === 400)) throw error
    }
  }

  /** The run that MLFLOW_RUN_ID names goes on; else there is a new one. */
  private async open(signal: AbortSignal): Promise<string> {
    const { MLFLOW_RUN_ID: known } = this.variables
    if (known) {
      await this.ask('runs/update', signal, { run_id: known, status: 'RUNNING' })
      return known
    }
    const { name, resumedAt } = this.run!
    const answer = await this.ask('runs/create', signal, {
      experiment_id: await this.experiment(signal),
      run_name: name,
      start_time: Math.round(this.started),
      tags: [
        { key: 'mlflow.runName', value: name },
        { key: 'mlflow.source.name', value: 'lowrank' },
        ...(resumedAt > 0 ? [{ key: 'resumed_at_step', value: String(resumedAt) }] : []),
      ],
    })
    return (answer['run'] as { readonly info: { readonly run_id: string } }).info.run_id
  }

  /** The experiment of MLFLOW_EXPERIMENT_ID or _NAME, which is made if there is none of that name. */
  private async experiment(signal: AbortSignal): Promise<string> {
    const { MLFLOW_EXPERIMENT_ID: id, MLFLOW_EXPERIMENT_NAME: name } = this.variables
    if (id) return id
    // The server's own, which is always there.
    if (!name) return '0'
    try {
      const found = await this.ask(`experiments/get-by-name?experiment_name=${encodeURIComponent(name)}`, signal)
      return (found['experiment'] as { readonly experiment_id: string }).experiment_id
    } catch (error) {
      if (!(error instanceof HttpRefused && error.status === 404)) throw error
    }
    return (await this.ask('experiments/create', signal, { name }))['experiment_id'] as string
  }
}
