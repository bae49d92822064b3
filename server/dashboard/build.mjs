// Bundles the dashboard into server/dist/dashboard, where the service finds it.
import { cpSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const out = here('../dist/dashboard')

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
  logLevel: 'warning',
})
for (const file of ['index.html', 'favicon.svg']) cpSync(here(file), `${out}/${file}`)
