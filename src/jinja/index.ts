/** @file Chat templates: Python's Jinja as transformers runs it. */
export { JinjaTemplate, type RenderedTemplate } from './template.js'
export { TemplateError } from './errors.js'
