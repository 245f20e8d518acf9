/** @file A small chat model whose template has tools, behind a server and its clients' `fetch`. */
import { join } from 'node:path'
import { loadModel } from '../../src/index.js'
import { createServer, type Server, type ServerOptions } from '../../src/serve/index.js'
import { writeChatModel } from '../support/chat-model.js'
import { work } from './served.js'

/** Names of tools before the dialogue, calls as Hermes' models write them; short, for the model has 256 positions. */
const TEMPLATE =
  '{% for t in tools or [] %}{{ t.function.name }};{% endfor %}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}' +
  '{% for c in m.tool_calls or [] %}{% if not loop.first %}{{ "\\n" }}{% endif %}<tool_call>\n{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}\n</tool_call>{% endfor %}' +
  '<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}'

/** A server, and what a client is given to reach it. */
export async function serveTools(options: ServerOptions = {}): Promise<{
  readonly server: Server
  readonly client: { readonly apiKey: string; readonly baseURL: string; readonly fetch: typeof fetch }
}> {
  const server = await createServer(await loadModel(writeChatModel(join(work, 'tools'), TEMPLATE), { threads: 1 }), options)
  const reach: typeof fetch = (url, init) => server.fetch(new Request(url, init))
  return { server, client: { apiKey: 'x', baseURL: 'http://localhost:8000/v1', fetch: reach } }
}
