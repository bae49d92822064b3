import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bestSetup, setupsOf } from '@espalier/agent/measure/setups.js'
import t from 'tap'
import { pretendedChild } from '../../shared/measure/support/pretended.js'
import { tree } from '../support/tree.js'

const auto = { cores: 4, providers: ['cpu'], threads: null, provider: null }

t.test(
  'one thread, two and all cores are tried, and what else the runtime has; what is told is not',
  async (t) => {
    const said = (known: object) => setupsOf({ ...auto, ...known }).map((s) => `${s.provider} ${s.threads}`)
    t.same(said({}), ['cpu 1', 'cpu 2', 'cpu 4'])
    t.same(said({ cores: 2 }), ['cpu 1', 'cpu 2'])
    t.same(said({ cores: 1 }), ['cpu 1'])
    t.same(said({ providers: ['xnnpack', 'cpu', 'webgpu'] }), [
      'cpu 1',
      'cpu 2',
      'cpu 4',
      'xnnpack 1',
      'webgpu 1',
    ])
    t.same(said({ threads: 3 }), ['cpu 3'])
    t.same(said({ threads: 3, provider: 'cuda' }), ['cuda 3'])
  },
)

t.test('the fastest is kept where it is clearly faster, though the machine grows hot', async (t) => {
  const folder = t.testdir()
  const child = pretendedChild(folder, 0.001)
  const told: string[] = []
  const roomy = tree({ 'proc/meminfo': 'MemAvailable: 4000000 kB\n' })
  const best = async (ms: object, known: object = {}) => {
    writeFileSync(join(folder, 'model'), JSON.stringify(ms))
    const options = { child, root: roomy, log: (line: string) => told.push(line), ...known }
    const { threads, provider } = await bestSetup(
      join(folder, 'model'),
      setupsOf({ ...auto, providers: ['cpu', 'webgpu'] }),
      options,
    )
    return `${provider} ${threads}`
  }
  t.equal(await best({ 'cpu 1': 4, 'cpu 2': 2.2, 'cpu 4': 2.1, 'webgpu 1': 9 }), 'cpu 2')
  t.same(told, [])
  t.equal(await best({ 'cpu 1': 4, 'cpu 2': 2, 'cpu 4': 1 }), 'cpu 4')
  t.match(told, [/^webgpu with 1 threads is left out: .*no kernel for this network/])
  const narrow = tree({ 'proc/meminfo': 'MemAvailable: 1000 kB\n' })
  t.equal(await best({ 'cpu 1': 4, 'cpu 2': 2 }, { root: narrow }), 'cpu 2')
  const golden = [{ name: 'y', dims: [1], values: [1], scale: 1 }]
  t.equal(await best({ 'cpu 1': 4, 'cpu 2': 2 }, { golden }), 'cpu 1', 'none answers what it should')
})
