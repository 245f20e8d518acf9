/** @file What a server counts. Labels have values of this server alone, never what a request says, so that they stay few. */
import type { Engine } from './engine/engine.js'
import type { RequestRecord } from './http/request-record.js'
import { Counter, exposition, Gauge, Histogram } from './http/metrics.js'
import { publicName } from './text/model-name.js'

/** Seconds. */
const SHORT = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const LONG = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300]
const ROWS = [1, 2, 4, 8, 16, 32, 64]

/** How adapters are told in a label: `base`, `sql`, `sql+poet`. */
const adapterLabel = ({ adapters = [] }: RequestRecord): string => (adapters.length === 0 ? 'base' : adapters.join('+'))

/** The metrics of a server. */
export class ServerMetrics {
  private readonly requests = new Counter('lowrank_requests_total', 'Requests that were answered.')
  private readonly promptTokens = new Counter('lowrank_prompt_tokens_total', 'Tokens of prompts.')
  private readonly cachedTokens = new Counter(
    'lowrank_cached_prompt_tokens_total',
    'Tokens of prompts that had been read before.',
  )
  private readonly generationTokens = new Counter('lowrank_generation_tokens_total', 'Tokens that were written.')
  private readonly firstToken = new Histogram(
    'lowrank_time_to_first_token_seconds',
    'From the request to the first token of each text.',
    LONG,
  )
  private readonly perToken = new Histogram(
    'lowrank_time_per_output_token_seconds',
    'From each token of a text to the next.',
    SHORT,
  )
  private readonly duration = new Histogram(
    'lowrank_request_duration_seconds',
    'From the request to the end of its answer.',
    LONG,
  )
  private readonly rows = new Histogram('lowrank_batch_rows', 'Texts that ran together, at each token of each text.', ROWS)
  private readonly gauges: readonly Gauge[]

  constructor(private readonly engine: Engine) {
    this.gauges = [
      new Gauge('lowrank_requests_running', 'Texts that are being written.', () => [[{}, engine.running]]),
      new Gauge('lowrank_requests_waiting', 'Texts that wait for a place.', () => [[{}, engine.waiting]]),
      new Gauge('lowrank_adapters_loaded', 'Adapters that requests can name.', () => [[{}, engine.adapters.list().length]]),
      new Gauge('lowrank_adapter_info', 'Each adapter: its rank and its base.', () =>
        engine.adapters
          .list()
          .map(({ name, rank, base }) => [{ name, rank: String(rank), base: publicName(base ?? '') }, 1] as const),
      ),
    ]
  }

  /** A token came. @param seconds since the one before; of the first since the request */
  token(isFirst: boolean, seconds: number): void {
    if (isFirst) this.firstToken.observe(seconds)
    else this.perToken.observe(seconds)
    this.rows.observe(this.engine.running)
  }

  /** A request is done. @param endpoint the route, or `unknown` */
  done(record: RequestRecord, endpoint: string): void {
    const adapter = adapterLabel(record)
    this.requests.add({ endpoint, adapter, status: String(record.status) })
    this.duration.observe(record.milliseconds / 1000)
    if (record.promptTokens !== undefined) this.promptTokens.add({ adapter }, record.promptTokens)
    if (record.cachedTokens !== undefined) this.cachedTokens.add({ adapter }, record.cachedTokens)
    if (record.completionTokens !== undefined) this.generationTokens.add({ adapter }, record.completionTokens)
  }

  /** All of them in Prometheus' text format. */
  exposition(): string {
    const { requests, promptTokens, cachedTokens, generationTokens, firstToken, perToken, duration, rows } = this
    return exposition([
      ...[requests, promptTokens, cachedTokens, generationTokens],
      ...[firstToken, perToken, duration, rows],
      ...this.gauges,
    ])
  }
}
