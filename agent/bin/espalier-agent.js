#!/usr/bin/env node
// What npm links: a file that is there before anything is built, as it is when `npm ci` looks for it.
import { existsSync } from 'node:fs'

const program = new URL('../dist/main.js', import.meta.url)
if (existsSync(program)) {
  await import(program.href)
} else {
  process.stderr.write('espalier-agent: not built yet; run: npm run build\n')
  process.exitCode = 1
}
