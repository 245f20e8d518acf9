/** @file Reports in Node, where the chart library lies in the installed package. */
import { nodeFiles } from '../io/node-files.js'
import { reportAssets } from './node-assets.js'
import { reportOf, type ReportOptions } from './report.js'

/**
 * One HTML file of a run, or of several beside each other: curves, texts, evaluations, settings, the command. It needs no network.
 *
 * @param runs output folders of training runs, finished or not
 * @returns the document, which is also written to `out`
 * @throws InvalidOptionError naming a folder that holds no run
 * @throws FileError if it cannot be written
 * @example
 * await report(['out/first', 'out/second'], { out: 'compared.html' })
 */
export async function report(runs: string | readonly string[], options?: ReportOptions): Promise<string> {
  return reportOf(nodeFiles(), await reportAssets(), runs, options)
}
