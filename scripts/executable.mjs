/** @file The command line is a program: npx makes it one only when it first meets it, and a build writes the file anew. */
import { chmodSync } from 'node:fs'

chmodSync(new URL('../dist/cli/main.js', import.meta.url), 0o755)
