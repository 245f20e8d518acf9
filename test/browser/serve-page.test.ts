/** @file The page at `/` of a server in a real browser: two adapters side by side, its keys, both colour schemes, nothing from elsewhere. */
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { chromium as driver, type Browser, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { serve, writeAdapter, type Served } from '../serve/served.js'
import { chromium } from './chromium.js'

describe.runIf(chromium !== undefined)('the page of a server', () => {
  let served: Served
  let http: HttpServer
  let browser: Browser
  let page: Page
  const complaints: string[] = []

  beforeAll(async () => {
    served = await serve({ adapters: { red: await writeAdapter('red', 1) }, apiKeys: ['secret'] })
    http = createHttpServer(getRequestListener((request) => served.server.fetch(request)))
    await new Promise<void>((ready) => http.listen(0, '127.0.0.1', ready))
    browser = await driver.launch({ executablePath: chromium!, args: ['--no-sandbox', '--disable-dev-shm-usage'] })
    page = await browser.newPage({ colorScheme: 'light' })
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('console', (message) => {
      if (message.type() === 'error' && !message.text().includes('401')) complaints.push(message.text())
    })
    page.on('request', (request) => {
      if (!request.url().startsWith(`http://127.0.0.1:`) && !request.url().startsWith('data:')) complaints.push(request.url())
    })
    await page.goto(`http://127.0.0.1:${(http.address() as AddressInfo).port}/`)
  })

  afterAll(async () => {
    await browser?.close()
    http?.closeAllConnections()
    http?.close()
  })

  const turns = (side: number): Promise<string[]> => page.locator('.pane').nth(side).locator('.turns p').allTextContents()

  it('asks for a key, then lists models and adapters', async () => {
    await expect.poll(() => page.locator('#problem').textContent()).toMatch(/API key.*give it above/s)
    await page.fill('#key', 'secret')
    await page.press('#key', 'Tab')
    await expect.poll(() => page.locator('#name').textContent()).toBe('tiny-chat')
    expect(await page.locator('#model-left').inputValue()).toBe('tiny-chat')
    expect(await page.locator('#model-right').inputValue()).toBe('red')
    expect(await page.locator('#models tr').allTextContents()).toEqual(['tiny-chatbase modeltiny-chat', 'redadapterred'])
    expect(await page.locator('#problem').textContent()).toBe('')
  })

  it('talks with both by the keyboard alone, as the API does', async () => {
    await page.fill('#temperature', '0')
    await page.fill('#tokens', '6')
    await page.focus('#text')
    await page.keyboard.type('Hi')
    await page.keyboard.press('Enter')
    const ask = async (model: string, messages: object[]): Promise<string> => {
      const body = { model, messages, temperature: 0, max_tokens: 6 }
      const answer = await served.post('/v1/chat/completions', body, { authorization: 'Bearer secret' })
      return ((await answer.json()) as { choices: { message: { content: string } }[] }).choices[0]!.message.content
    }
    const hi = { role: 'user', content: 'Hi' }
    const expected = { left: await ask('tiny-chat', [hi]), right: await ask('red', [hi]) }
    expect(expected.left).not.toBe(expected.right)
    await expect.poll(() => turns(0)).toEqual(['Hi', expected.left])
    await expect.poll(() => turns(1)).toEqual(['Hi', expected.right])
    await expect.poll(() => page.locator('#send').isEnabled()).toBe(true)
    // The dialogue goes on, each side with its own answers.
    await page.keyboard.type('<b>')
    await page.keyboard.press('Enter')
    const next = await ask('red', [hi, { role: 'assistant', content: expected.right }, { role: 'user', content: '<b>' }])
    await expect.poll(() => turns(1)).toEqual(['Hi', expected.right, '<b>', next])
    await expect.poll(() => page.locator('#send').isEnabled()).toBe(true)
    await expect.poll(() => page.locator('.pane output').first().textContent()).toMatch(/s to the first token, .* tokens\/s/)
  })

  it('sends nothing that its settings do not allow, by the keyboard neither', async () => {
    const before = await turns(0)
    await page.fill('#tokens', '-3')
    await page.fill('#text', 'Hi')
    await page.press('#text', 'Enter')
    expect(
      await page.locator('#tokens').evaluate((input) => (input as unknown as { validity: { valid: boolean } }).validity.valid),
    ).toBe(false)
    expect(await page.locator('#text').inputValue()).toBe('Hi')
    expect(await turns(0)).toEqual(before)
    await page.fill('#tokens', '6')
    await page.fill('#temperature', '0.75')
    await page.press('#text', 'Enter')
    await expect.poll(async () => (await turns(0)).length).toBe(before.length + 2)
    await expect.poll(() => page.locator('#send').isEnabled()).toBe(true)
  })

  it('Escape stops, and what the server refuses is told', async () => {
    await page.click('#anew')
    expect(await turns(0)).toEqual([])
    await page.fill('#text', 'x'.repeat(600))
    await page.press('#text', 'Enter')
    await expect.poll(async () => (await turns(0)).at(-1)).toMatch(/has 256 positions/)
    await expect.poll(() => page.locator('#send').isEnabled()).toBe(true)
    await page.click('#anew')
    await page.fill('#tokens', '')
    await page.fill('#text', 'Hi')
    await page.press('#text', 'Enter')
    await page.keyboard.press('Escape')
    await expect.poll(() => page.locator('#send').isEnabled()).toBe(true)
    await expect.poll(() => served.server.engine.running).toBe(0)
  })

  it('shows the metrics live, in light and dark, and complains of nothing', async () => {
    await expect
      .poll(async () => Number(await page.locator('#fact-written').textContent()), { timeout: 10_000 })
      .toBeGreaterThan(20)
    // The page's own looks at models and metrics are no texts.
    const texts = served.log.filter(({ firstTokenMilliseconds }) => firstTokenMilliseconds !== undefined).length
    expect(served.log.length).toBeGreaterThan(texts)
    await expect.poll(async () => Number(await page.locator('#fact-texts').textContent()), { timeout: 10_000 }).toBe(texts)
    const back = (): Promise<string> => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
    const light = await back()
    await page.emulateMedia({ colorScheme: 'dark' })
    expect(await back()).not.toBe(light)
    // Errors of the requests that were to be refused are the server's answers, and shown.
    expect(complaints.filter((text) => !text.includes('status of 400'))).toEqual([])
  })
})

it('the page runs its own script and style alone, in no frame', async () => {
  const answer = await (await serve()).get('/')
  expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8')
  const policy = answer.headers.get('content-security-policy')!
  expect(policy).toMatch(
    /default-src 'none'; script-src 'sha256-[\w+/=]{44}'; style-src 'sha256-[\w+/=]{44}'; connect-src 'self'/,
  )
  expect(policy).toContain("frame-ancestors 'none'")
  expect(policy).not.toContain('unsafe')
  // No handlers in attributes, no addresses of others.
  expect(await answer.text()).not.toMatch(/\son\w+=|https?:\/\//)
})
