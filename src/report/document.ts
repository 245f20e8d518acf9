/** @file A whole HTML document that needs no network: what every page of reports has around its content. */
import { pageStyle } from './page.js'
import { escape } from './text.js'

/** What a page is made of; all but the title is HTML. */
export interface Document {
  readonly title: string
  /** Beneath the title. */
  readonly subtitle?: string
  readonly main: string
  /** Style sheets beside that of all pages. */
  readonly styles?: readonly string[]
  /** Elements after the content. Without any the page may run no script. */
  readonly scripts?: readonly string[]
}

/** The document, light or dark as the reader prefers. Nothing is loaded: the policy forbids it. */
export function htmlDocument({ title, subtitle, main, styles = [], scripts = [] }: Document): string {
  const policy = `default-src 'none'; style-src 'unsafe-inline'${scripts.length === 0 ? '' : "; script-src 'unsafe-inline'"}`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${escape(title)}</title>
${[pageStyle, ...styles].map((style) => `<style>${style}</style>`).join('\n')}
</head>
<body>
<header><h1>${escape(title)}</h1>${subtitle === undefined ? '' : `<p>${subtitle}</p>`}</header>
<main>
${main}
</main>
${scripts.join('\n')}
</body>
</html>
`
}
