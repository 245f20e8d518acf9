/** @file Script of the page at `/`. It runs in the reader's browser and asks the server what any client can. */

export const pageScript = `
(() => {
  'use strict'
  const at = (id) => document.getElementById(id)
  const make = (name, text, className) => {
    const element = document.createElement(name)
    if (text !== undefined) element.textContent = text
    if (className) element.className = className
    return element
  }
  const headers = () => (at('key').value === '' ? {} : { authorization: 'Bearer ' + at('key').value })
  const ask = async (path, options) => {
    const response = await fetch(path, { ...options, headers: { 'content-type': 'application/json', ...headers() } })
    if (response.ok) return response
    const told = await response.json().catch(() => undefined)
    throw new Error((told && told.error && told.error.message) || 'status ' + response.status)
  }

  const panes = [...document.querySelectorAll('.pane')].map((element) => ({
    select: element.querySelector('select'),
    turns: element.querySelector('.turns'),
    pace: element.querySelector('output'),
    messages: [],
  }))

  const models = async () => {
    try {
      const { data } = await (await ask('v1/models')).json()
      const base = data.find((model) => model.parent === null)
      at('name').textContent = base.id
      document.title = base.id + ' · lowrank'
      panes.forEach(({ select }, i) => {
        const chosen = select.value || (data[i] || data[0]).id
        select.replaceChildren(...data.map(({ id, parent }) => new Option(parent === null ? id + ' (base)' : id, id)))
        select.value = data.some(({ id }) => id === chosen) ? chosen : base.id
      })
      at('models').replaceChildren(...data.map(({ id, root, parent }) => {
        const row = make('tr')
        row.append(make('td', id), make('td', parent === null ? 'base model' : 'adapter'), make('td', root))
        return row
      }))
      at('problem').textContent = ''
    } catch (error) {
      at('problem').textContent = error.message + (at('key').value === '' ? ' If the server wants an API key, give it above.' : '')
    }
  }

  // Answers, event by event.
  async function* events(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    let held = ''
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      const blocks = (held + value).split('\\n\\n')
      held = blocks.pop()
      for (const block of blocks) if (block.startsWith('data: ') && block !== 'data: [DONE]') yield JSON.parse(block.slice(6))
    }
  }

  let stop
  const numberOf = (id) => (at(id).value === '' ? undefined : Number(at(id).value))
  const answer = async (pane, signal) => {
    const { turns, messages, select, pace } = pane
    const shown = make('p', '', 'assistant')
    shown.setAttribute('lang', '')
    turns.append(shown)
    turns.setAttribute('aria-busy', 'true')
    const system = at('system').value.trim()
    const body = {
      model: select.value,
      messages: [...(system === '' ? [] : [{ role: 'system', content: system }]), ...messages],
      temperature: numberOf('temperature'),
      max_tokens: numberOf('tokens'),
      stream: true,
      stream_options: { include_usage: true },
    }
    const started = performance.now()
    let first
    let usage
    let text = ''
    try {
      for await (const event of events(await ask('v1/chat/completions', { method: 'POST', body: JSON.stringify(body), signal }))) {
        if (event.error) throw new Error(event.error.message)
        const more = event.choices[0] && event.choices[0].delta.content
        if (event.usage) usage = event.usage
        if (!more) continue
        first = first || performance.now()
        text += more
        const isAtEnd = turns.scrollHeight - turns.scrollTop - turns.clientHeight < 40
        shown.textContent = text
        if (isAtEnd) turns.scrollTop = turns.scrollHeight
      }
    } catch (error) {
      if (!signal.aborted) turns.append(make('p', error.message, 'error'))
    }
    const seconds = (performance.now() - started) / 1000
    if (text === '' && usage === undefined) {
      shown.remove()
      messages.pop()
    } else messages.push({ role: 'assistant', content: text })
    if (first) pace.textContent = ((first - started) / 1000).toFixed(2) + ' s to the first token' + (usage ? ', ' + (usage.completion_tokens / seconds).toFixed(1) + ' tokens/s' : '')
    turns.removeAttribute('aria-busy')
  }

  const say = async () => {
    const text = at('text').value
    if (stop !== undefined || text.trim() === '') return
    at('text').value = ''
    stop = new AbortController()
    at('stop').disabled = false
    at('send').disabled = true
    for (const { messages, turns } of panes) {
      messages.push({ role: 'user', content: text })
      turns.append(make('p', text, 'user'))
      turns.scrollTop = turns.scrollHeight
    }
    await Promise.all(panes.map((pane) => answer(pane, stop.signal)))
    stop = undefined
    at('stop').disabled = true
    at('send').disabled = false
    at('text').focus()
  }
  const interrupt = () => stop && stop.abort()
  const anew = () => {
    interrupt()
    for (const pane of panes) {
      pane.messages = []
      pane.turns.replaceChildren()
      pane.pace.textContent = ''
    }
    at('text').focus()
  }
  at('form').addEventListener('submit', (event) => {
    event.preventDefault()
    void say()
  })
  at('text').addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
    event.preventDefault()
    // As the button does it: what the settings do not allow is told first.
    at('form').requestSubmit()
  })
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') interrupt()
  })
  at('stop').addEventListener('click', interrupt)
  at('anew').addEventListener('click', anew)
  at('key').addEventListener('change', () => {
    void models()
    void measure()
  })

  // Metrics: what was gained between two looks.
  const sums = (text) => {
    const found = new Map()
    for (const line of text.split('\\n')) {
      const match = /^(\\w+)(?:\\{[^}]*\\})? ([-+.\\deInNaf]+)$/.exec(line)
      if (match) found.set(match[1], (found.get(match[1]) || 0) + Number(match[2]))
    }
    return found
  }
  let before
  const measure = async () => {
    if (document.hidden) return
    try {
      const now = { at: performance.now(), sums: sums(await (await ask('metrics')).text()) }
      const of = (name) => now.sums.get('lowrank_' + name) || 0
      const gained = (name) => of(name) - ((before && before.sums.get('lowrank_' + name)) || 0)
      const count = of('time_to_first_token_seconds_count')
      const facts = {
        running: of('requests_running'),
        waiting: of('requests_waiting'),
        texts: count,
        written: of('generation_tokens_total'),
        pace: before ? (gained('time_per_output_token_seconds_count') / ((now.at - before.at) / 1000)).toFixed(1) : '–',
        first: count === 0 ? '–' : (of('time_to_first_token_seconds_sum') / count).toFixed(2) + ' s',
      }
      for (const [name, value] of Object.entries(facts)) at('fact-' + name).textContent = String(value)
      before = now
    } catch {
      for (const each of document.querySelectorAll('.facts dd')) each.textContent = '–'
    }
  }
  void models()
  void measure()
  setInterval(() => void measure(), 2000)
  setInterval(() => { if (!document.hidden) void models() }, 15000)
})()
`
