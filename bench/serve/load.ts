/** @file Clients that ask for texts one after the other, and what they see of it. */
import { performance } from 'node:perf_hooks'
import { Random } from '../../src/index.js'

/** What writes texts of token ids. */
export interface Writer {
  /** @param onToken told of each token */
  write(client: number, prompt: readonly number[], tokens: number, onToken: () => void): Promise<void>
}

export interface LoadOptions {
  readonly clients: number
  /** Texts of each client. */
  readonly texts: number
  readonly promptTokens: number
  readonly tokens: number
  readonly vocabulary: number
}

/** Milliseconds at the median and at the 95th percentile. */
export interface Percentiles {
  readonly p50: number
  readonly p95: number
}

export interface LoadResult {
  readonly clients: number
  /** Of all clients together, written. */
  readonly tokensPerSecond: number
  readonly firstToken: Percentiles
  readonly betweenTokens: Percentiles
}

function percentiles(values: readonly number[]): Percentiles {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
  return { p50: at(0.5), p95: at(0.95) }
}

/** Each client begins its next text when the last one has ended, so that some prompts are read while other texts are written. */
export async function measureLoad(writer: Writer, options: LoadOptions): Promise<LoadResult> {
  const { clients, texts, promptTokens, tokens, vocabulary } = options
  const [first, between]: [number[], number[]] = [[], []]
  const client = async (index: number): Promise<void> => {
    const random = Random.derive(index, 'bench')
    for (let i = 0; i < texts; i++) {
      const prompt = Array.from({ length: promptTokens }, () => random.integer(vocabulary))
      const started = performance.now()
      let last: number | undefined
      await writer.write(index, prompt, tokens, () => {
        const now = performance.now()
        if (last === undefined) first.push(now - started)
        else between.push(now - last)
        last = now
      })
    }
  }
  const started = performance.now()
  await Promise.all(Array.from({ length: clients }, (_, index) => client(index)))
  const seconds = (performance.now() - started) / 1000
  const tokensPerSecond = (clients * texts * tokens) / seconds
  return { clients, tokensPerSecond, firstToken: percentiles(first), betweenTokens: percentiles(between) }
}
