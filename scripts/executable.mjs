/** @file The command line is a program: npx makes it one only when it first meets it, and a build writes the file anew. Then the build is done. */
import { chmodSync, writeFileSync } from 'node:fs'

chmodSync(new URL('../dist/cli/main.js', import.meta.url), 0o755)
// Only a compiler without a complaint gets here: tests tell by it whether what was built is whole and newer than its sources.
writeFileSync(new URL('../node_modules/.cache/build.done', import.meta.url), '')
