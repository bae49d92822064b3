import { existsSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import t from 'tap'
import { type Import, importsBelow } from './sources.js'

const all = ['shared', 'agent', 'server'].flatMap(importsBelow)
const within = (folder: string) => all.filter(({ from }) => from.startsWith(`${folder}/`))
const dependencies = (workspace: string): string[] =>
  Object.keys(JSON.parse(readFileSync(`${workspace}/package.json`, 'utf8')).dependencies)
const show = ({ from, to }: Import) => `${from} imports ${to}`

t.test('the reader of imports sees them', (t) => {
  t.ok(all.length > 100, `${all.length} imports`)
  for (const kind of ['package', 'file']) t.ok(all.some((i) => i.kind === kind))
  t.end()
})

t.test('agent → shared ← server, and none leaves its workspace by a path', (t) => {
  for (const workspace of ['shared', 'agent', 'server']) {
    const strays = within(workspace).filter(
      ({ to, kind }) => kind === 'file' && !to.startsWith(`${workspace}/`),
    )
    t.strictSame(strays.map(show), [])
  }
  const ours = (workspace: string) => [
    ...new Set(within(workspace).flatMap(({ to }) => (to.startsWith('@espalier/') ? [to] : []))),
  ]
  t.strictSame(ours('shared'), [])
  t.strictSame(ours('agent'), ['@espalier/shared'])
  t.strictSame(ours('server'), ['@espalier/shared'])
  t.end()
})

t.test('a workspace imports only what its package.json declares', (t) => {
  const bundled = ['preact', 'uplot', '@preact/signals'] // built into the dashboard's page, so not needed at run time
  for (const workspace of ['shared', 'agent', 'server']) {
    const declared = new Set([...dependencies(workspace), ...(workspace === 'server' ? bundled : [])])
    const strays = within(workspace).filter(
      ({ to, kind, typeOnly }) =>
        kind === 'package' && !typeOnly && !to.startsWith('node:') && !declared.has(to),
    )
    t.strictSame(strays.map(show), [])
  }
  t.end()
})

t.test('the agent needs four packages at run time and no more', (t) => {
  t.strictSame(dependencies('agent').sort(), [
    '@espalier/shared',
    'mqtt',
    'onnxruntime-node',
    'systeminformation',
  ])
  t.end()
})

t.test('the compiler knows no HTTP, database, broker or command line', (t) => {
  const compiler = within('server/compiler')
  const outside = compiler.filter(({ to, kind }) => kind === 'file' && !to.startsWith('server/compiler/'))
  t.strictSame(outside.map(show), [])
  const engines = /^(@?fastify|mqtt|aedes|better-sqlite3|pino|commander|node:(http|https|net))/
  t.strictSame(compiler.filter(({ to }) => engines.test(to)).map(show), [])
  t.end()
})

t.test('each engine has one room', (t) => {
  const rooms: Record<string, string[]> = {
    'onnx-buf': ['server/compiler/onnx/'],
    '@bufbuild/protobuf': ['server/compiler/onnx/'],
    'better-sqlite3': ['server/store/'],
    aedes: ['server/broker/'],
    sharp: ['server/compiler/data/'],
  }
  for (const [engine, folders] of Object.entries(rooms)) {
    const strays = all.filter(({ from, to }) => to === engine && !folders.some((f) => from.startsWith(f)))
    t.strictSame(strays.map(show), [], engine)
  }
  t.end()
})

t.test('in agent and server a folder is entered by its door', (t) => {
  const strays = all.filter(({ from, to, kind }) => {
    if (kind !== 'file' || to.endsWith('/index.ts') || to.startsWith('shared/')) return false
    const folder = dirname(to)
    return existsSync(`${folder}/index.ts`) && !`${from}/`.startsWith(`${folder}/`)
  })
  t.strictSame(strays.map(show), [])
  t.end()
})
