/** @file `lowrank serve`. */
import { serverOptionTable, type ServerOptions } from '../../serve/options.js'
import { publicName } from '../../serve/text/model-name.js'
import { defineCommand, type CommandContext, type commonFlags, type Values } from '../flags.js'
import type { Flags } from '../flag.js'
import { headFlags } from '../head-flags.js'
import { exitCodeOf } from '../interruption.js'
import { flagsFrom, optionsFrom } from '../option-flags.js'
import { isLoopback, listen, type Listener } from '../serve/listen.js'
import { NAMED } from '../named-adapters.js'
import { hubOptions, library, openModel } from '../sources.js'
import { UsageError } from '../usage-error.js'
import { baseFlag } from './train-flags.js'

const { task, labels, 'num-labels': numLabels } = headFlags

const flags = {
  model: { type: 'text', value: 'M', required: true, help: 'Model folder, .onnx file or hub id.' },
  ...baseFlag,
  adapter: {
    type: 'texts',
    value: 'NAME=DIR…',
    help: 'Adapter folder (PEFT) or hub id by the name that requests give as their model; may be repeated.',
  },
  host: {
    type: 'text',
    value: 'HOST',
    default: '127.0.0.1',
    help: 'Address to listen on; 0.0.0.0 is reached from other machines too.',
  },
  port: { type: 'integer', value: 'N', min: 0, default: 8000, help: 'Port to listen on; 0 takes one that is free.' },
  ...flagsFrom(serverOptionTable),
  ...{ task, labels, 'num-labels': numLabels },
} as const satisfies Flags

type ServeValues = Values<typeof flags & typeof commonFlags>

export const serveCommand = defineCommand({
  name: 'serve',
  summary: 'Answer requests over HTTP, as clients of OpenAI, vLLM and llama.cpp send them, with many adapters on one base.',
  description:
    "Requests of different adapters share their passes over the base's weights. On stdout each request is a line of JSON when it is done: its name, route, status, times, tokens, adapters, never its texts. /health answers once the model is loaded, /ready once it is warm. The first SIGTERM or Ctrl-C takes no more requests and ends when those that were taken are answered; a second one ends at once.",
  flags,
  without: ['seed'],
  lastWork: 'answering what was asked already',
  examples: [
    'lowrank serve --model SmolLM2-135M-Instruct --adapter sql=out/sql --adapter poet=me/poet',
    "lowrank serve --model M --adapters-dir adapters --allow-runtime-adapters --allow-hub 'me/*' --host 0.0.0.0 --api-key KEY",
  ],
  prints:
    '`{"event":"listening","url":…}` once requests are taken and `{"event":"ready","model":…,"adapters":[…]}` once it is warm; then, with or without `--json`, a line for each request: `{"time":…,"id":…,"method":…,"path":…,"status":…,"milliseconds":…}`, where they are known with `key`, `adapters`, `stream`, `texts`, `promptTokens`, `cachedTokens`, `completionTokens`, `firstTokenMilliseconds`, `aborted` and `error`.',
  async run(values, context) {
    const options = serverOptions(values, context)
    const { output, interrupted } = context
    const listener = await listen(loading, { host: values.host, port: values.port, bodyTimeout: values['body-timeout'] * 1000 })
    try {
      if (output.json) output.printJson({ event: 'listening', url: listener.url })
      if (!isLoopback(values.host) && options.apiKeys === undefined)
        output.note(
          output.color.yellow(
            `warning: whoever reaches ${listener.url} may ask; give --api-key, or put a proxy that asks in front`,
          ),
        )
      await using model = await openModel({ ...values, seed: undefined }, output)
      if (interrupted.aborted) return exitCodeOf(interrupted)
      return await untilInterrupted(model, listener, options, context, interrupted)
    } finally {
      await listener.close()
    }
  },
})

/** What is answered until the model is there, as llama.cpp's clients know it. */
const loading = (): Response =>
  Response.json(
    { error: { message: 'Loading model', type: 'unavailable_error', param: null, code: 503 } },
    { status: 503, headers: { 'retry-after': '1' } },
  )

async function untilInterrupted(
  model: Awaited<ReturnType<typeof openModel>>,
  listener: Listener,
  options: ServerOptions,
  { output }: CommandContext,
  interrupted: AbortSignal,
): Promise<number> {
  const [{ createServer }, { loadAdapter }] = await Promise.all([import('../../serve/index.js'), library()])
  const server = await createServer(model, {
    ...options,
    loadAdapter: (base, path) => loadAdapter(base, path, hubOptions(output)),
    onRequest: (record) => output.printJson(record),
    onError: (error, { id }) =>
      output.note(
        output.color.yellow(`error of request ${id}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`),
      ),
  })
  listener.use((request) => server.fetch(request))
  await server.warmUp()
  const adapters = server.engine.adapters.list().map(({ name }) => name)
  if (output.json) output.printJson({ event: 'ready', model: server.modelName, adapters })
  else
    output.note(
      `${output.color.bold(server.modelName)} at ${output.color.cyan(`${listener.url}/v1`)}${adapters.length === 0 ? '' : `, with ${adapters.join(', ')}`}`,
    )
  if (!interrupted.aborted)
    await new Promise<void>((resolve) => interrupted.addEventListener('abort', () => resolve(), { once: true }))
  // Connections that are open keep theirs until they are answered; new ones are refused at once.
  const closed = listener.close()
  await server.close()
  await closed
  return 0
}

/** What the flags and the environment say. */
function serverOptions(values: ServeValues, { env }: CommandContext): ServerOptions {
  const adapters: Record<string, string> = {}
  for (const given of values.adapter ?? []) {
    const [, name, path] = NAMED.exec(given) ?? [given, publicName(given), given]
    if (adapters[name!] !== undefined) throw new UsageError(`--adapter names ${name} twice.`)
    adapters[name!] = path!
  }
  const options = optionsFrom(serverOptionTable, values)
  const key = env['LOWRANK_API_KEY'] ?? ''
  const keys = [...(options.apiKeys ?? []), ...(key === '' ? [] : [key])]
  return {
    ...options,
    adapters,
    ...(keys.length > 0 && { apiKeys: keys }),
    ...(isLoopback(values.host) && { hosts: [...(options.hosts ?? []), ...OWN_NAMES, values.host] }),
    ...(/^(1|true)$/i.test(env['VLLM_ALLOW_RUNTIME_LORA_UPDATING'] ?? '') && { allowRuntimeAdapters: true }),
  }
}

/** What a machine calls itself. */
const OWN_NAMES = ['localhost', '127.0.0.1', '[::1]']
