/** @file The chart library's files, read from the installed package, so that a report carries them inside. */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { ReportAssets } from './html.js'

/** uPlot's script and style. */
export async function reportAssets(): Promise<ReportAssets> {
  const { resolve } = createRequire(import.meta.url)
  const read = (file: string): Promise<string> => readFile(resolve(`uplot/dist/${file}`), 'utf8')
  const [script, style] = await Promise.all([read('uPlot.iife.min.js'), read('uPlot.min.css')])
  return { script, style }
}
