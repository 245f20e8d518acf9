/** @file All routes, in the order of the OpenAPI document. */
import type { Route } from '../http/route.js'
import { listAdapters, loadAdapter, scaleAdapters, unloadAdapter } from './adapters.js'
import { answer } from './answer.js'
import { chatCompletions } from './chat-completions.js'
import { classify } from './classify.js'
import { completions } from './completions.js'
import { embeddings } from './embeddings.js'
import { listModels, oneModel } from './models.js'
import { openApi } from './openapi.js'
import { page } from './page.js'
import { rerank } from './rerank.js'
import { responses } from './responses.js'
import { healthy, metrics, ready, serverProps, version } from './server.js'
import { tokenClassify } from './token-classify.js'
import { applyTemplate, detokenize, tokenize } from './tokens.js'

/** To add an endpoint: its file here beside the others, and its line in this list. */
export const routes: readonly Route[] = [
  ...[listModels, oneModel, chatCompletions, completions, responses],
  ...[embeddings, classify, rerank, tokenClassify, answer],
  ...[loadAdapter, unloadAdapter, listAdapters, scaleAdapters],
  ...[tokenize, detokenize, applyTemplate, serverProps],
  ...[healthy, ready, metrics, version, page],
  openApi(() => routes),
]
