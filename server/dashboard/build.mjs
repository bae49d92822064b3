// Bundles the dashboard into server/dist/dashboard, where the service finds it.
import { cpSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const out = here('../dist/dashboard')
const recipes = here('../../docs/recipes')
const recipe = (file) => [file.replace('.json', ''), JSON.parse(readFileSync(`${recipes}/${file}`, 'utf8'))]
/** `one-shot`, what happens if nothing is said, comes first. */
const files = readdirSync(recipes)
  .filter((file) => file.endsWith('.json'))
  .sort()
const ordered = ['one-shot.json', ...files.filter((file) => file !== 'one-shot.json')]

await build({
  entryPoints: [here('main.tsx'), here('style.css')],
  outdir: out,
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['es2022'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'linked',
  define: { RECIPES: JSON.stringify(Object.fromEntries(ordered.map(recipe))) },
  logLevel: 'warning',
})
for (const file of ['index.html', 'favicon.svg']) cpSync(here(file), `${out}/${file}`)
