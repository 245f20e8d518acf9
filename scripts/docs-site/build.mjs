/**
 * @file `npm run docs:site`: the documentation as a site, out/docs-site, built without a network.
 *
 * Pages are the Markdown of this repository where it lies (links between them stay as they are), the API reference that
 * typedoc makes of the entries, and one page of recipes, which are the examples themselves. A link to nowhere fails.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { Application, OptionDefaults } from 'typedoc'
import { build } from 'vitepress'

const root = resolve(import.meta.dirname, '../..')
const pages = join(root, '.cache/docs-site')
rmSync(pages, { recursive: true, force: true })
mkdirSync(join(pages, '.vitepress'), { recursive: true })
// Notes to those who would edit a page are no part of it.
for (const name of readdirSync(join(root, 'docs'), { recursive: true }).filter((file) => file.endsWith('.md'))) {
  const page = join(pages, 'docs', name)
  mkdirSync(dirname(page), { recursive: true })
  writeFileSync(page, readFileSync(join(root, 'docs', name), 'utf8').replace(/^<!--.*-->\n/gm, ''))
}
cpSync(join(root, 'bench/results'), join(pages, 'bench/results'), { recursive: true })
cpSync(join(import.meta.dirname, 'index.md'), join(pages, 'index.md'))
cpSync(join(import.meta.dirname, 'config.mjs'), join(pages, '.vitepress/config.mjs'))

/** Examples in the order of the page, with what stands above each. */
const recipes = [
  ['fine-tune.ts', 'Fine-tune and generate'],
  ['classify.ts', 'Classify texts'],
  ['embed-and-search.ts', 'Embed and search'],
  ['adapt-onnx.ts', 'Adapt an .onnx file'],
  ['switch-adapters.ts', 'Switch adapters'],
  ['own-loss.ts', 'A loss of one’s own'],
  ['own-rule.ts', 'A gradient rule of one’s own'],
  ['page/page.ts', 'A page'],
]
const recipe = ([file, title]) => {
  const source = readFileSync(join(root, 'examples', file), 'utf8')
  const [, about, code] = /^\/\*\*\n \* @file ([\s\S]*?)\n \*[ \n/][\s\S]*?\*\/\n([\s\S]*)$/.exec(source)
  return `## ${title}\n\n${about.replace(/\n \* ?/g, ' ')}\n\n\`examples/${file}\`\n\n\`\`\`ts\n${code}\`\`\`\n`
}
writeFileSync(
  join(pages, 'recipes.md'),
  `# Recipes\n\nWhole programs, each run by the tests against the built package.\n\n${recipes.map(recipe).join('\n')}`,
)

// What package.json exports, by the sources of its declarations.
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const declarations = new Set(Object.values(exports).flatMap(({ types, browser }) => [types, browser?.types]))
const entries = [...declarations]
  .filter((file) => file !== undefined)
  .map((file) => file.replace(/^\.\/dist\/(.*)\.d\.ts$/, 'src/$1.ts'))
const reference = await Application.bootstrapWithPlugins({
  plugin: ['typedoc-plugin-markdown'],
  entryPoints: entries.map((entry) => join(root, entry)),
  tsconfig: join(root, 'tsconfig.build.json'),
  outputs: [{ name: 'markdown', path: join(pages, 'api') }],
  name: 'API reference',
  readme: 'none',
  blockTags: [...OptionDefaults.blockTags, '@file'],
  excludeTags: ['@file'],
  excludeInternal: true,
  excludePrivate: true,
  disableSources: true,
  skipErrorChecking: true,
  hideBreadcrumbs: true,
  entryFileName: 'index',
  useCodeBlocks: true,
  // Types that are exported under another name, and what only internals mention.
  validation: { notExported: false, invalidLink: true, rewrittenLink: true },
  treatValidationWarningsAsErrors: true,
  logLevel: 'Warn',
})
const project = await reference.convert()
if (project === undefined) throw new Error('typedoc could not read the sources')
reference.validate(project)
if (reference.logger.hasErrors() || reference.logger.hasWarnings()) throw new Error('typedoc found fault with the docstrings')
await reference.generateOutputs(project)
if (reference.logger.hasErrors()) throw new Error('typedoc could not write the API reference')

await build(pages)

// VitePress looks after the links of pages, not after those of the navigation.
const { default: config } = await import('./config.mjs')
const links = [...config.themeConfig.nav, ...config.themeConfig.sidebar.flatMap(({ items }) => items)].map(({ link }) => link)
const missing = links.filter(
  (link) => !existsSync(join(root, 'out/docs-site', link.endsWith('/') ? `${link}index.html` : `${link}.html`)),
)
if (missing.length > 0) throw new Error(`the navigation leads to pages that are not there: ${missing.join(', ')}`)
