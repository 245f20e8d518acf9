/** @file The site's navigation, and where it is built to. Copied beside the pages by build.mjs. */
import { resolve } from 'node:path'

const page = (text, link) => ({ text, link })
const docs = (text, name) => page(text, `/docs/${name}`)

export default {
  title: 'lowrank',
  description: 'LoRA fine-tuning in TypeScript over stock ONNX Runtime',
  outDir: resolve(import.meta.dirname, '../../../out/docs-site'),
  cacheDir: resolve(import.meta.dirname, '../../vitepress'),
  // The folder of the server that the site lies in: its root unless DOCS_BASE names another.
  base: process.env.DOCS_BASE ?? '/',
  lastUpdated: false,
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  markdown: {
    // Templates and shapes in the pages are text, not expressions of Vue's.
    config: (md) => {
      md.options.html = false
      const { escapeHtml } = md.utils
      md.renderer.rules.text = (tokens, i) => escapeHtml(tokens[i].content).replaceAll('{{', '&#123;&#123;')
    },
  },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [
      docs('Guide', 'guide'),
      page('Recipes', '/recipes'),
      page('API', '/api/'),
      docs('Command line', 'cli'),
      docs('Compare', 'compare/peft'),
    ],
    sidebar: [
      {
        text: 'Learn',
        items: [
          docs('Ten minutes', 'guide'),
          docs('A classifier', 'guide-classification'),
          page('Recipes', '/recipes'),
          docs('Heads', 'heads'),
          docs('What was learned', 'analyze'),
          docs('Preferences', 'preference'),
          docs('Generating', 'generate'),
          docs('Serving', 'serving'),
          docs('Many adapters', 'adapters'),
          docs('.onnx files', 'onnx'),
          docs('In the browser', 'browser'),
          docs('Exporting', 'export'),
          docs('Formats', 'formats'),
          docs('Networks of one’s own', 'loralib'),
          docs('Several processes', 'distributed'),
          docs('Following a run', 'tracking'),
          docs('Metrics', 'metrics'),
          docs('Publishing', 'publish'),
        ],
      },
      {
        text: 'Look up',
        items: [
          page('API', '/api/'),
          docs('Command line', 'cli'),
          docs('LoRA options', 'lora-config'),
          docs('Operators', 'ops'),
          docs('Architectures', 'architectures'),
        ],
      },
      {
        text: 'Judge',
        items: [
          docs('Presets', 'presets'),
          docs('Performance', 'performance'),
          page('Measurements', '/bench/results/latest'),
          page('Quality of quantised bases', '/bench/results/quality'),
          docs('Files of strangers', 'security'),
          docs('Beside PEFT', 'compare/peft'),
          docs('Beside mlx-lm', 'compare/mlx-lm'),
          docs('Beside Unsloth', 'compare/unsloth'),
          docs('Beside node-llama-cpp', 'compare/node-llama-cpp'),
        ],
      },
      {
        text: 'Inside',
        items: [docs('How it is built', 'architecture'), docs('An architecture, annotated', 'annotated-architecture')],
      },
    ],
  },
}
