import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

/** What is made or fetched, never written. */
const made = new Set(['node_modules', 'dist', '.build', '.tap', '.git', '.espalier'])

/** Every file of the repository, as paths from its root. */
export function repositoryFiles(folder = '.'): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !made.has(entry.name))
    .flatMap((entry) => {
      const path = join(folder, entry.name)
      return entry.isDirectory() ? repositoryFiles(path) : entry.isFile() ? [path] : []
    })
}

export interface Import {
  /** The importing file. */
  from: string
  /** What it names: a package (`mqtt`, `@espalier/shared`, `node:fs`) or the path of a source file from the root. */
  to: string
  kind: 'package' | 'file'
  /** `import type`: nothing is left of it at run time. */
  typeOnly: boolean
}

const importing = /(?:\b(?:import|export)\s+(type\s)?[^'"();]*?\bfrom|\bimport)\s*\(?\s*'([^']+)'/g

/** Every import of the TypeScript sources below `folder`, types included. */
export function importsBelow(folder: string): Import[] {
  return repositoryFiles(folder)
    .filter((file) => /\.tsx?$/.test(file))
    .flatMap((from) =>
      [...readFileSync(from, 'utf8').matchAll(importing)].map(([, type, specifier]) => ({
        ...resolved(from, specifier),
        typeOnly: type !== undefined,
      })),
    )
}

function resolved(from: string, specifier: string): Omit<Import, 'typeOnly'> {
  if (specifier.startsWith('node:')) return { from, to: specifier, kind: 'package' }
  if (!specifier.startsWith('.')) {
    const parts = specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1)
    return { from, to: parts.join('/'), kind: 'package' }
  }
  const path = normalize(join(dirname(from), specifier))
  const source = [path.replace(/\.js$/, '.ts'), path.replace(/\.js$/, '.tsx'), path].find(existsSync)
  return { from, to: source ?? path, kind: 'file' }
}
