import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compilerAdvice, missingCompilerPackages } from './prerequisites.mjs'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Progress is for people: it goes to standard error, so that `--json` keeps standard output to itself. */
const say = (text) => process.stderr.write(text)

/** The npm that runs this script, so that one install never mixes two of them. */
const npm = process.env.npm_execpath?.endsWith('.js')
  ? [process.execPath, process.env.npm_execpath]
  : [process.platform === 'win32' ? 'npm.cmd' : 'npm']

/**
 * Runs a program on this terminal and waits for it. Ctrl-C reaches it as well; it decides how to end.
 * @returns {Promise<number>} its exit status; 128 + the signal's number if a signal ended it
 */
export function runInForeground(command, args, env = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } })
    const forward = (signal) => child.kill(signal)
    const leaveToChild = () => say('\n')
    process.on('SIGINT', leaveToChild)
    process.on('SIGTERM', forward)
    child.once('error', reject)
    child.once('close', (status, signal) => {
      process.off('SIGINT', leaveToChild)
      process.off('SIGTERM', forward)
      resolve(status ?? (signal === 'SIGINT' ? 130 : 143))
    })
  })
}

/** Runs one quiet step with its elapsed time; on failure shows what it printed, then `advice`, and ends. */
async function step(title, command, args, { env = {}, advice = '' } = {}) {
  const started = Date.now()
  const seconds = () => `${Math.round((Date.now() - started) / 1000)} s`
  const live = process.stderr.isTTY
  say(live ? `  ${title} …` : `  ${title}\n`)
  const timer = live ? setInterval(() => say(`\r  ${title} … ${seconds()}`), 1000) : undefined
  const printed = []
  const end = (signal) => child.kill(signal)
  const child = spawn(command, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout.on('data', (chunk) => printed.push(chunk))
  child.stderr.on('data', (chunk) => printed.push(chunk))
  process.on('SIGTERM', end)
  const status = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(code ?? signal))
  })
  process.off('SIGTERM', end)
  clearInterval(timer)
  if (status === 0) {
    if (live) say(`\r\x1b[K  ${title} ✓ ${seconds()}\n`)
    return
  }
  say(`\n${Buffer.concat(printed)}\n${title} failed (${status}).\n${advice === '' ? '' : `${advice}\n`}`)
  process.exit(1)
}

const packagesOf = (file) => JSON.parse(readFileSync(file, 'utf8')).packages

/**
 * Whether node_modules holds every version that the lock file names. Versions are compared, not dates: a checkout
 * touches files, and a needless clean install costs two minutes of compiling.
 */
function installed() {
  const record = join(root, 'node_modules/.package-lock.json')
  if (!existsSync(record)) return false
  const wanted = packagesOf(join(root, 'package-lock.json'))
  const present = packagesOf(record)
  return Object.entries(wanted).every(
    ([path, entry]) =>
      !path.startsWith('node_modules/') ||
      entry.optional === true ||
      entry.devOptional === true ||
      (present[path] !== undefined && present[path].version === entry.version),
  )
}

const databaseCompiled = () =>
  existsSync(join(root, 'node_modules/better-sqlite3/build/Release/better_sqlite3.node'))

/** Installs what the lock file names, if it is not there yet. */
export async function install() {
  if (installed() && databaseCompiled()) return
  const missing = missingCompilerPackages()
  const advice = missing.length > 0 ? compilerAdvice(missing) : ''
  if (advice !== '') say(`${advice}\nTrying all the same: for some machines a compiled one can be fetched.\n`)
  await step('Installing (better-sqlite3 may compile for two minutes)', npm[0], [...npm.slice(1), 'ci'], {
    env: { JOBS: 'max' },
    advice,
  })
}

/** Builds the workspaces and the dashboard. */
export async function build() {
  await step('Building', npm[0], [...npm.slice(1), 'run', '--silent', 'build'])
}
