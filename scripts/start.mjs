// npm start: from a fresh clone to three devices' reports. Options are the quickstart's own (-- --help).
import { requireNode } from './prerequisites.mjs'
import { build, install, runInForeground } from './steps.mjs'

requireNode()
await install()
await build()
process.exitCode = await runInForeground(process.execPath, [
  'server/dist/quickstart/main.js',
  ...process.argv.slice(2),
])
