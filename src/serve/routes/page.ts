/** @file GET /: a page to try the server with. */
import { defineRoute } from '../http/route.js'
import { pageAnswer } from '../page/page.js'

export const page = defineRoute({
  method: 'get',
  path: '/',
  summary: 'A page that talks with two adapters side by side and shows the metrics; it asks for an API key itself.',
  open: true,
  answer: { media: 'text/html' },
  handle: () => pageAnswer(),
})
