/** @file What every answer of a text begins with. */
import { VERSION } from '../../public.js'
import type { Exchange } from '../http/route.js'

/** A name of its own for an answer: `chatcmpl-…`. */
export const newId = (kind: string): string => `${kind}-${crypto.randomUUID().replaceAll('-', '')}`

/** Now, as OpenAI's API tells times: in seconds since 1970. */
export const secondsNow = (): number => Math.floor(Date.now() / 1000)

/** The beginning of an answer, or of each piece of one. */
export interface AnswerHeader {
  readonly id: string
  /** What OpenAI's API calls such an answer. */
  readonly object: string
  readonly created: number
  readonly model: string
  readonly system_fingerprint: string
}

/** @param object what OpenAI's API calls such an answer */
export const answerHeader = (
  { body, service }: Exchange<{ readonly model?: string | undefined }>,
  id: string,
  object: string,
): AnswerHeader => ({
  ...{ id, object, created: secondsNow(), model: body.model ?? service.modelName },
  system_fingerprint: `lowrank-${VERSION}`,
})
