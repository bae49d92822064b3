import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const leastNode = 20

/** Ends the process with a clear line unless this Node.js is recent enough. */
export function requireNode() {
  const major = Number(process.versions.node.split('.')[0])
  if (major >= leastNode) return
  console.error(
    `Espalier needs Node.js ${leastNode} or newer; this is ${process.versions.node} (${process.execPath}).\n` +
      'Install a newer one from https://nodejs.org or with your version manager, then try again.',
  )
  process.exit(1)
}

const has = (command) =>
  (process.env.PATH ?? '')
    .split(delimiter)
    .some((folder) => folder !== '' && existsSync(join(folder, command)))

/**
 * The Debian packages that compiling better-sqlite3 asks for and this machine lacks.
 * @returns {string[]} package names, empty when nothing is missing
 */
export function missingCompilerPackages() {
  if (process.platform === 'win32') return []
  const wanted = [
    { package: 'python3', commands: ['python3', 'python'] },
    { package: 'make', commands: ['make', 'gmake'] },
    { package: 'g++', commands: [process.env.CXX ?? 'g++', 'c++', 'clang++'] },
  ]
  return wanted.filter(({ commands }) => !commands.some(has)).map((tool) => tool.package)
}

/** What to tell a person whose machine lacks `packages`. */
export function compilerAdvice(packages) {
  return (
    `better-sqlite3 must be compiled for this machine, and that needs ${packages.join(', ')}.\n` +
    `On Debian, Ubuntu or Raspberry Pi OS: sudo apt-get install ${packages.join(' ')}\n` +
    'On macOS: xcode-select --install'
  )
}
