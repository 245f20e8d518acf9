/** @file The flags that say what a model is for. */
import { taskMeant, taskOptions } from '../models/task.js'
import type { Flags } from './flag.js'

/** Of the commands that open a folder with or for a head. */
export const folderHeadFlags = {
  task: {
    group: 'task',
    type: 'text',
    choices: taskOptions,
    meant: taskMeant,
    help: 'What the model is for, where that is not what config.json says: a folder gets a fresh head for it, which is trained and saved with the adapter. classification and regression are of rows of any kind.',
  },
  labels: {
    group: 'task',
    type: 'names',
    value: 'A,B,C',
    help: 'Names of the labels of a fresh head, by number, at least two. An adapter knows its own.',
  },
  'num-labels': {
    group: 'task',
    type: 'integer',
    value: 'N',
    min: 1,
    help: 'How many labels a fresh head has, where they have no names.',
  },
  'new-head': { group: 'task', type: 'switch', help: 'Begin with a fresh head, although the model has one for the task.' },
} as const satisfies Flags

/** The same of those that open .onnx files too. */
export const headFlags = {
  ...folderHeadFlags,
  task: { ...folderHeadFlags.task, help: `${folderHeadFlags.task.help} Of an .onnx file what its output is.` },
} as const satisfies Flags

/** Of the commands that read the labels from their data. */
export const labelsOfDataFlag = {
  labels: {
    ...folderHeadFlags.labels,
    value: 'A,B,C | auto',
    help: 'Names of the labels of a fresh head, by number, at least two; auto reads them from the data, as is done unless they are said.',
  },
} as const satisfies Flags
