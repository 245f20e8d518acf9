/**
 * @file TensorBoard's event files: records of `Event` messages, framed as TFRecord files are.
 *
 * Numbers of fields are those of tensorboard/compat/proto (event, summary, tensor) and plugins/hparams (plugin_data).
 */
import { maskedCrc32c } from './crc32c.js'
import { double, float, integer, message, text, type Field } from './protobuf.js'
import type { RunSettings, Scalars, TrackedEnd } from './tracker.js'

/** The bytes of one record: length (64 bits), its checksum, the data, their checksum. */
export function record(data: Uint8Array): Uint8Array {
  const framed = new Uint8Array(12 + data.length + 4)
  const view = new DataView(framed.buffer)
  view.setUint32(0, data.length, true)
  view.setUint32(8, maskedCrc32c(framed.subarray(0, 8)), true)
  framed.set(data, 12)
  view.setUint32(12 + data.length, maskedCrc32c(data), true)
  return framed
}

/** An `Event`. @param time milliseconds since 1970; the file has seconds */
const event = (time: number, step: number, ...what: readonly Field[]): Uint8Array =>
  record(Uint8Array.from([double(1, time / 1000), ...(step > 0 ? [integer(2, step)] : []), ...what].flat()))

const summary = (...values: readonly (readonly Field[])[]): Field => message(5, ...values.map((value) => message(1, ...value)))

/** Metadata by which a plug-in of TensorBoard knows its own: values are tensors (class 2). */
const metadata = (plugin: string, ...content: readonly Field[]): Field =>
  message(9, message(1, text(1, plugin), ...content), integer(4, 2))

/** `DT_STRING` of shape [1], or of none. */
const tensor = (value?: string): Field =>
  value === undefined
    ? message(8, integer(1, 1), message(2))
    : message(8, integer(1, 7), message(2, message(2, integer(1, 1))), text(8, value))

/** What a file begins with. */
export const versionRecord = (time: number): Uint8Array => event(time, 0, text(3, 'brain.Event:2'))

/** A run begins, at first or again: what earlier files of the folder have from this step on is over. */
export const startRecord = (time: number, step: number): Uint8Array => event(time, step, message(7, integer(1, 1)))

export const scalarsRecord = (time: number, step: number, values: Scalars): Uint8Array =>
  event(time, step, summary(...Object.entries(values).map(([tag, value]) => [text(1, tag), float(2, value)])))

/** A text, which TensorBoard reads as Markdown. */
export const textRecord = (time: number, step: number, tag: string, value: string): Uint8Array =>
  event(time, step, summary([text(1, `${tag}/text_summary`), tensor(value), metadata('text')]))

/** A `google.protobuf.Value`. */
const settingValue = (value: string | number | boolean): Field =>
  typeof value === 'number'
    ? message(2, double(2, value))
    : typeof value === 'boolean'
      ? message(2, integer(4, Number(value)))
      : message(2, text(3, value))

/** What the hparams plug-in shows of a run: its data, of version 0. */
const hparams = (time: number, tag: string, content: Field): Uint8Array =>
  event(time, 0, summary([text(1, tag), tensor(), metadata('hparams', message(2, content))]))

export const settingsRecord = (time: number, name: string, settings: RunSettings): Uint8Array =>
  hparams(
    time,
    '_hparams_/session_start_info',
    message(
      3,
      ...Object.entries(settings).map(([key, value]) => message(1, text(1, key), settingValue(value))),
      text(4, name),
      double(5, time / 1000),
    ),
  )

/** Statuses of the plug-in. */
const statuses: Readonly<Record<TrackedEnd, number>> = { finished: 1, aborted: 0, failed: 2 }

export const endRecord = (time: number, how: TrackedEnd): Uint8Array =>
  hparams(
    time,
    '_hparams_/session_end_info',
    message(4, ...(statuses[how] === 0 ? [] : [integer(1, statuses[how])]), double(2, time / 1000)),
  )
