/** @file The page at `/`: models and adapters, two of them side by side, and what the server counts. No framework, no other file. */
import { pageScript } from './script.js'
import { pageStyle } from './style.js'

const pane = (side: string, label: string): string => `
<section class="pane" aria-label="${label}">
  <header><label for="model-${side}">${label}<select id="model-${side}"></select></label><output></output></header>
  <div class="turns" role="log" aria-live="polite" aria-label="Dialogue, ${label.toLowerCase()}" tabindex="0"></div>
</section>`

const fact = (name: string, label: string): string => `<div><dt>${label}</dt><dd id="fact-${name}">–</dd></div>`

const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>lowrank</title>
<link rel="icon" href="data:,">
<style>${pageStyle}</style>
</head>
<body>
<header>
  <h1 id="name">lowrank</h1>
  <label for="key">API key<input id="key" type="password" autocomplete="off"></label>
</header>
<p id="problem" class="note" role="alert"></p>
<main class="panes">${pane('left', 'Left')}${pane('right', 'Right')}</main>
<form id="form">
  <div class="say">
    <textarea id="text" rows="2" aria-label="Message" placeholder="Message to both: Enter sends, Shift+Enter breaks the line, Escape stops" autofocus></textarea>
    <button class="main" id="send">Send</button>
    <button type="button" id="stop" disabled>Stop</button>
    <button type="button" id="anew">New dialogue</button>
  </div>
  <div class="settings">
    <label for="temperature">Temperature<input id="temperature" type="number" min="0" step="any" value="0.7"></label>
    <label for="tokens">Most tokens<input id="tokens" type="number" min="1" step="1" value="256"></label>
    <label for="system">System prompt<input id="system" autocomplete="off"></label>
  </div>
</form>
<section aria-label="Metrics">
  <dl class="facts">
    ${fact('running', 'Running')}${fact('waiting', 'Waiting')}${fact('pace', 'Tokens/s')}${fact('first', 'To the first token')}
    ${fact('texts', 'Texts')}${fact('written', 'Tokens written')}
  </dl>
</section>
<details><summary>Models and adapters</summary>
  <div class="wide"><table><thead><tr><th>Name</th><th>Kind</th><th>From</th></tr></thead><tbody id="models"></tbody></table></div>
</details>
<script>${pageScript}</script>
</body>
</html>
`

const base64 = (bytes: ArrayBuffer): string => btoa(String.fromCharCode(...new Uint8Array(bytes)))

/** What a content security policy names a text by that stands in the page. */
async function hashOf(text: string): Promise<string> {
  return `'sha256-${base64(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))}'`
}

let headers: Promise<Readonly<Record<string, string>>> | undefined

async function makeHeaders(): Promise<Readonly<Record<string, string>>> {
  const [script, style] = await Promise.all([hashOf(pageScript), hashOf(pageStyle)])
  return {
    'content-type': 'text/html; charset=utf-8',
    // Nothing but the two texts above runs, whatever a model may write.
    'content-security-policy': `default-src 'none'; script-src ${script}; style-src ${style}; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-cache',
  }
}

/** The page as an answer. */
export async function pageAnswer(): Promise<Response> {
  headers ??= makeHeaders()
  return new Response(html, { headers: await headers })
}
