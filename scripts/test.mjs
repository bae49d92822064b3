// npm test [-- FILE…]: installs what is missing, builds, runs tap, and ends with tap's counts.
// With CI set, a skipped test is a failed one: CI has everything that a test may ask for.
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { requireNode } from './prerequisites.mjs'
import { build, install, root, runInForeground } from './steps.mjs'

/**
 * The counts on the last line of the form `# { total: 5, pass: 3, fail: 1, skip: 1 }` that stands at the left margin:
 * tap's summary of the whole run (a test file's own summary is indented).
 */
function counts(tap) {
  const summary = tap.split('\n').findLast((line) => /^# \{ total: \d/.test(line))
  const of = (name) => Number(summary?.match(new RegExp(`\\b${name}: (\\d+)`))?.[1] ?? 0)
  return { total: of('total'), pass: of('pass'), fail: of('fail'), skipped: of('skip') + of('todo') }
}

/** `name: reason` of every test that was skipped. */
const skips = (tap) =>
  [...tap.matchAll(/^ *ok \d+ - (.*?) # (?:SKIP|TODO)\b ?(.*)$/gim)].map(
    ([, name, reason]) => `${name}: ${reason}`,
  )

requireNode()
await install()
await build()
mkdirSync(join(root, '.tap'), { recursive: true })
const output = join(root, '.tap/output.tap')
const status = await runInForeground(
  process.execPath,
  [
    'node_modules/tap/dist/esm/run.mjs',
    // `dot` writes all its dots again for every test: with ten thousand it takes longer than they do
    `--reporter=${process.stdout.isTTY ? 'base' : 'terse'}`,
    `--output-file=${output}`,
    ...process.argv.slice(2),
  ],
  { CI: undefined }, // with CI set, tap's reporters keep the failures to themselves
)
const tap = readFileSync(output, 'utf8')
const { total, pass, fail, skipped } = counts(tap)
for (const skip of skips(tap)) console.log(`skipped  ${skip}`)
const unsuccessful = fail + (process.env.CI ? skipped : 0)
const failed = status === 0 && total > 0 ? unsuccessful : Math.max(unsuccessful, 1)
// Reporters leave escape codes on the last line: the counts get a line of their own.
console.log(`\n${pass} passed, ${failed} failed, ${skipped} skipped`)
process.exitCode = failed === 0 ? 0 : 1
