/** @file Trackers: what a run tells TensorBoard's files and servers that speak MLflow's and trackio's paths, and never waits for. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createAdapter, type Adapter } from '../../src/adapter/adapter.js'
import { maskedCrc32c } from '../../src/tracking/crc32c.js'
import type { TrainEvent } from '../../src/train/events.js'
import type { TrainOptions } from '../../src/train/options.js'
import { train } from '../../src/train/trainer.js'
import {
  llamaConfig,
  randomRows,
  runTraining,
  temporaryFolder,
  testEnvironment,
  tinyModel,
  writeRows,
} from '../support/training.js'

const folder = temporaryFolder()
const data = writeRows(join(folder, 'rows.jsonl'), randomRows(11))
const evalData = writeRows(join(folder, 'eval.jsonl'), randomRows(3, 9))
const options: TrainOptions = { data, evalData, evalEvery: 3, batchSize: 2, steps: 6, learningRate: 1e-2, seed: 7 }
let counter = 0
const newOut = (): string => join(folder, `out-${++counter}`)
const fresh = (variables: Readonly<Record<string, string>> = {}): Adapter =>
  createAdapter(tinyModel(llamaConfig, { ...testEnvironment(), variables }), {
    r: 2,
    targetModules: ['q_proj', 'v_proj'],
    seed: 3,
  })

/** A field of a message, read as the protocol says: numbers, bytes, and doubles and floats as their bytes. */
interface Field {
  readonly number: number
  readonly value: number
  readonly bytes: Uint8Array
}

function fieldsOf(bytes: Uint8Array): Field[] {
  const fields: Field[] = []
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++]!
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }
  while (at < bytes.length) {
    const key = varint()
    const wire = key % 8
    const value = wire === 0 || wire === 2 ? varint() : 0
    const length = wire === 2 ? value : wire === 1 ? 8 : wire === 5 ? 4 : 0
    fields.push({ number: Math.floor(key / 8), value, bytes: bytes.subarray(at, at + length) })
    at += length
  }
  return fields
}

const one = (bytes: Uint8Array, ...path: number[]): Field | undefined => {
  const [number, ...rest] = path
  const field = fieldsOf(bytes).find((each) => each.number === number)
  return field === undefined || rest.length === 0 ? field : one(field.bytes, ...rest)
}
const utf8 = new TextDecoder()

/** The events of a file, whose framing must be right. */
function readEvents(path: string): Uint8Array[] {
  const file = readFileSync(path)
  const events: Uint8Array[] = []
  for (let at = 0; at < file.length;) {
    const length = Number(file.readBigUInt64LE(at))
    expect(file.readUInt32LE(at + 8)).toBe(maskedCrc32c(file.subarray(at, at + 8)))
    const event = file.subarray(at + 12, at + 12 + length)
    expect(file.readUInt32LE(at + 12 + length)).toBe(maskedCrc32c(event))
    events.push(event)
    at += 16 + length
  }
  return events
}

/** Step and value of each number, by tag. */
function scalarsOf(events: readonly Uint8Array[]): Map<string, [number, number][]> {
  const found = new Map<string, [number, number][]>()
  for (const event of events)
    for (const { bytes: value } of fieldsOf(one(event, 5)?.bytes ?? new Uint8Array()).filter(({ number }) => number === 1)) {
      const number = one(value, 2)
      if (number === undefined) continue
      const tag = utf8.decode(one(value, 1)!.bytes)
      const told = Buffer.from(number.bytes).readFloatLE()
      found.set(tag, [...(found.get(tag) ?? []), [one(event, 2)?.value ?? 0, told]])
    }
  return found
}

const float = (values: readonly { readonly step: number }[], of: (value: never) => number): [number, number][] =>
  values.map((value) => [value.step, Math.fround(of(value as never))])

describe('tensorboard', () => {
  it('reads every step and evaluation, the settings and the end', async () => {
    const out = newOut()
    const { steps, evals } = await runTraining(fresh(), { ...options, out, reportTo: 'tensorboard', runName: 'mine' })
    const [name, ...more] = readdirSync(join(out, 'runs'))
    expect(name).toMatch(/^events\.out\.tfevents\.\d{10,}\.lowrank\.0$/)
    expect(more).toEqual([])
    const events = readEvents(join(out, 'runs', name!))
    expect(utf8.decode(one(events[0]!, 3)!.bytes)).toBe('brain.Event:2')
    expect(one(events[1]!, 7, 1)!.value).toBe(1)
    const scalars = scalarsOf(events)
    expect(scalars.get('train/loss')).toEqual(float(steps, ({ loss }) => loss))
    expect(scalars.get('train/grad_norm')).toEqual(float(steps, ({ gradNorm }) => gradNorm))
    expect(scalars.get('train/learning_rate')).toEqual(float(steps, ({ learningRate }) => learningRate))
    expect(scalars.get('eval/loss')).toEqual(float(evals, ({ loss }) => loss))
    expect(scalars.get('eval/perplexity')).toEqual(float(evals, ({ perplexity }) => perplexity))
    expect([...scalars.keys()].sort()).toEqual([
      ...['eval/loss', 'eval/perplexity', 'eval/tokens', 'train/epoch', 'train/grad_norm', 'train/learning_rate'],
      ...['train/loss', 'train/tokens', 'train/tokens_per_second'],
    ])
    const texts = events.map((event) => utf8.decode(event))
    expect(texts.filter((text) => text.includes('_hparams_/session_start_info') && text.includes('learning_rate'))).toHaveLength(
      1,
    )
    expect(texts.at(-1)).toContain('_hparams_/session_end_info')
  })

  it('a run that continues adds a file that begins where it does; one that replaces it removes them', async () => {
    const out = newOut()
    const logged = { ...options, out, reportTo: ['tensorboard'] as const }
    for await (const event of train(fresh(), logged)) if (event.event === 'step' && event.step === 4) break
    await runTraining(fresh(), { ...logged, resume: true })
    const names = readdirSync(join(out, 'runs'))
    expect(names).toHaveLength(2)
    const again = readEvents(join(out, 'runs', names[1]!))
    expect(one(again[1]!, 2)!.value).toBe(5)
    expect(
      scalarsOf(again)
        .get('train/loss')!
        .map(([step]) => step),
    ).toEqual([5, 6])
    writeFileSync(join(out, 'runs', 'notes.txt'), 'mine')
    await runTraining(fresh(), { ...logged, overwrite: true, reportTo: [] })
    expect(readdirSync(join(out, 'runs'))).toEqual(['notes.txt'])
  })

  it('needs a folder, and takes another one', async () => {
    await expect(runTraining(fresh(), { ...options, reportTo: 'tensorboard' })).rejects.toThrow('give out, or loggingDir')
    const loggingDir = join(folder, 'logs/mine')
    await runTraining(fresh(), { ...options, reportTo: 'tensorboard', loggingDir })
    expect(readdirSync(loggingDir)).toHaveLength(1)
  })

  it('unless asked, nothing is written or told', async () => {
    const out = newOut()
    await runTraining(fresh({ MLFLOW_TRACKING_URI: 'http://127.0.0.1:1' }), { ...options, out })
    expect(existsSync(join(out, 'runs'))).toBe(false)
  })
})

interface Request {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Record<string, unknown>
}

/** A server on this machine: what it was asked, and its address. */
async function listen(answer: (request: Request) => { status?: number; json?: object } | 'never'): Promise<[Request[], string]> {
  const requests: Request[] = []
  const server: Server = createServer((incoming, response) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const text = Buffer.concat(chunks).toString()
      const body = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>
      const request = { path: incoming.url!, headers: incoming.headers, body }
      requests.push(request)
      const answered = answer(request)
      if (answered === 'never') return
      response.writeHead(answered.status ?? 200, { 'Content-Type': 'application/json' })
      response.end(JSON.stringify(answered.json ?? {}))
    })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return [requests, `http://127.0.0.1:${(server.address() as AddressInfo).port}`]
}

/** What MLflow answers: an experiment that is not there yet, and a run. */
const mlflow = ({ path }: Request): { status?: number; json?: object } =>
  path.includes('get-by-name')
    ? { status: 404, json: { error_code: 'RESOURCE_DOES_NOT_EXIST' } }
    : path.endsWith('experiments/create')
      ? { json: { experiment_id: '7' } }
      : path.endsWith('runs/create')
        ? { json: { run: { info: { run_id: 'abc' } } } }
        : {}

const list = (requests: readonly Request[], key: string): Record<string, unknown>[] =>
  requests.flatMap(({ body }) => (body[key] ?? []) as Record<string, unknown>[])

describe('mlflow', () => {
  it('has a run of an experiment, with parameters, metrics of every step, and how it ended', async () => {
    const [requests, address] = await listen(mlflow)
    const variables = {
      MLFLOW_TRACKING_URI: `${address}/`,
      MLFLOW_EXPERIMENT_NAME: 'mine & yours',
      MLFLOW_TRACKING_TOKEN: 'secret',
    }
    const { steps, evals, events } = await runTraining(fresh(variables), { ...options, reportTo: 'mlflow', runName: 'first' })
    expect(events.filter(({ event }) => event === 'warning')).toEqual([])
    const paths = requests.map(({ path }) => path.replace('/api/2.0/mlflow/', ''))
    expect(paths.slice(0, 3)).toEqual([
      'experiments/get-by-name?experiment_name=mine%20%26%20yours',
      'experiments/create',
      'runs/create',
    ])
    expect(requests.every(({ headers }) => headers.authorization === 'Bearer secret')).toBe(true)
    expect(requests[2]!.body).toMatchObject({ experiment_id: '7', run_name: 'first' })
    const batches = requests.filter(({ path }) => path.endsWith('runs/log-batch'))
    expect(batches.every(({ body }) => body['run_id'] === 'abc')).toBe(true)
    const losses = list(batches, 'metrics').filter(({ key }) => key === 'train/loss')
    expect(losses.map(({ step, value }) => [step, value])).toEqual(steps.map(({ step, loss }) => [step, loss]))
    const evaluated = list(batches, 'metrics').filter(({ key }) => key === 'eval/perplexity')
    expect(evaluated.map(({ step, value }) => [step, value])).toEqual(evals.map(({ step, perplexity }) => [step, perplexity]))
    expect(list(batches, 'params')).toContainEqual({ key: 'learning_rate', value: '0.01' })
    expect(list(batches, 'params')).toContainEqual({ key: 'target_modules', value: '["q_proj","v_proj"]' })
    expect(requests.at(-1)).toMatchObject({ path: '/api/2.0/mlflow/runs/update', body: { run_id: 'abc', status: 'FINISHED' } })
  })

  it('of a run that fails or is left it says so; MLFLOW_RUN_ID goes on', async () => {
    const [requests, address] = await listen(mlflow)
    const variables = {
      MLFLOW_TRACKING_URI: address,
      MLFLOW_RUN_ID: 'old',
      MLFLOW_TRACKING_USERNAME: 'ä',
      MLFLOW_TRACKING_PASSWORD: 'b',
    }
    for await (const event of train(fresh(variables), { ...options, reportTo: 'mlflow' })) if (event.event === 'step') break
    expect(requests[0]).toMatchObject({ path: '/api/2.0/mlflow/runs/update', body: { run_id: 'old', status: 'RUNNING' } })
    expect(requests[0]!.headers.authorization).toBe(`Basic ${Buffer.from('ä:b').toString('base64')}`)
    expect(requests.at(-1)!.body).toMatchObject({ run_id: 'old', status: 'KILLED' })
  })

  it.each([
    [{}, 'set MLFLOW_TRACKING_URI'],
    [{ MLFLOW_TRACKING_URI: 'file:./mlruns' }, 'MLFLOW_TRACKING_URI must begin with http:// or https://, got "file:./mlruns"'],
  ])('%o is refused before the first row is read', async (variables, message) => {
    const run = runTraining(fresh(variables as Record<string, string>), { ...options, data: 'nowhere', reportTo: 'mlflow' })
    await expect(run).rejects.toThrow(message)
  })
})

describe('trackio', () => {
  it('has entries of a run, with the settings on the first', async () => {
    const [requests, address] = await listen(() => ({ json: { data: null } }))
    const variables = { TRACKIO_SERVER_URL: `${address}/?write_token=abc`, TRACKIO_PROJECT: 'mine', HF_TOKEN: 'hub' }
    const { steps } = await runTraining(fresh(variables), { ...options, reportTo: ['trackio'], runName: 'first' })
    expect(new Set(requests.map(({ path }) => path))).toEqual(new Set(['/api/bulk_log']))
    expect(requests.every(({ headers }) => headers['x-trackio-write-token'] === 'abc')).toBe(true)
    // The hub's token is for its own Spaces.
    expect(requests.every(({ headers }) => headers.authorization === undefined)).toBe(true)
    const logs = list(requests, 'logs')
    expect(logs.every(({ project, run }) => project === 'mine' && run === 'first')).toBe(true)
    expect(logs.filter(({ config }) => config !== undefined)).toEqual([logs[0]])
    expect(logs[0]!['config']).toMatchObject({ learning_rate: 0.01, r: 2 })
    const told = logs.map(({ step, metrics }) => [step, (metrics as Record<string, unknown>)['train/loss']])
    expect(told.filter(([, loss]) => loss !== undefined)).toEqual(steps.map(({ step, loss }) => [step, loss]))
    expect(new Set(logs.map(({ log_id }) => log_id)).size).toBe(logs.length)
  })
})

describe('a tracker that is not there', () => {
  const warningsOf = (events: readonly TrainEvent[]): string[] =>
    events.flatMap((event) => (event.event === 'warning' ? [event.message] : []))

  it('is one warning each, in the log too, and changes nothing of the run', async () => {
    const plain = await runTraining(fresh(), options)
    const out = newOut()
    const variables = { MLFLOW_TRACKING_URI: 'http://127.0.0.1:9', TRACKIO_SERVER_URL: 'http://127.0.0.1:9' }
    const started = performance.now()
    const { steps, done, events } = await runTraining(fresh(variables), { ...options, out, reportTo: ['mlflow', 'trackio'] })
    expect(performance.now() - started).toBeLessThan(20_000)
    expect(steps.map(({ loss }) => loss)).toEqual(plain.steps.map(({ loss }) => loss))
    expect(done).toMatchObject({ reason: 'finished', saved: out })
    const warnings = warningsOf(events)
    expect(warnings).toHaveLength(2)
    expect(warnings.sort()[0]).toMatch(/^mlflow: http:\/\/127\.0\.0\.1:9 cannot be reached .*; the run goes on without it/)
    const log = readFileSync(join(out, 'log.jsonl'), 'utf8')
    for (const warning of warnings) expect(log).toContain(JSON.stringify(warning))
    expect(log.trim().split('\n').at(-1)).toContain('"event":"done"')
  })

  it('or refuses, or never answers: the end of the run waits a few seconds at most', async () => {
    const [refusing, refusal] = await listen(() => ({ status: 403, json: { message: 'no access' } }))
    const [, silence] = await listen(() => 'never')
    const variables = { MLFLOW_TRACKING_URI: refusal, TRACKIO_SERVER_URL: silence }
    let finished = 0
    const run = train(fresh(variables), { ...options, reportTo: ['mlflow', 'trackio'] })
    const events: TrainEvent[] = []
    for await (const event of run) {
      events.push(event)
      if (event.event === 'step' && event.step === 6) finished = performance.now()
    }
    expect(performance.now() - finished).toBeLessThan(10_000)
    expect(refusing).toHaveLength(1)
    const warnings = warningsOf(events).sort()
    expect(warnings).toHaveLength(2)
    expect(warnings[0]).toContain('answers 403: {"message":"no access"}')
    expect(warnings[1]).toMatch(/^trackio: /)
    expect(events.at(-1)!.event).toBe('done')
  })

  it('with an event file that cannot be written too', async () => {
    const loggingDir = join(folder, 'a-file')
    writeFileSync(loggingDir, '')
    const { done, events } = await runTraining(fresh(), { ...options, reportTo: 'tensorboard', loggingDir })
    expect(done!.reason).toBe('finished')
    expect(warningsOf(events)).toEqual([expect.stringMatching(/^tensorboard: .*a-file/)])
  })
})

describe('onEvent', () => {
  it('is told of every event before the loop gets it; what it throws ends the run with what was learned', async () => {
    const told: TrainEvent[] = []
    const { events } = await runTraining(fresh(), { ...options, onEvent: (event) => told.push(event) })
    expect(told).toEqual(events)
    const out = newOut()
    const onEvent = (event: TrainEvent): void => {
      if (event.event === 'step' && event.step === 2) throw new Error('full')
    }
    await expect(runTraining(fresh(), { ...options, out, onEvent })).rejects.toThrow('full')
    expect(existsSync(join(out, 'checkpoint-2', 'adapter_model.safetensors'))).toBe(true)
  })

  it.each([
    [{ reportTo: 'wandb' as 'mlflow' }, 'reportTo must name trackers: tensorboard, mlflow, trackio, got "wandb"'],
    [{ reportTo: ['mlflow', 'comet' as 'mlflow'] }, 'reportTo must name trackers: tensorboard, mlflow, trackio'],
    [{ loggingDir: 'runs' }, 'loggingDir is for the event files of TensorBoard'],
    [{ runName: 'first' }, 'runName is what trackers call the run: give reportTo'],
  ] as const)('%o is refused', async (wrong, message) => {
    await expect(runTraining(fresh(), { ...options, ...wrong })).rejects.toThrow(message)
  })
})
