import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { takeLock } from '@espalier/agent/store/lock.js'
import { costsWithout, floor } from '@espalier/server/compiler/budget/index.js'
import { isOfHere, latencyModel, readTimes } from '@espalier/server/compiler/latency/index.js'
import { prunable } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { convNetwork } from '../support/networks.js'
import { runAgent } from './support/process.js'

const agent = (...args: string[]) => runAgent('profile', ...args)

t.test('a device measures its operators, and the compiler expects latency by its table', async (t) => {
  const dir = t.testdir()
  const file = join(dir, 'board.json')
  const { stdout, stderr } = await agent('-o', file, '--json', '--host-lock', join(dir, 'lock'))
  const said = JSON.parse(stdout)
  t.equal(said.file, file)
  t.match(stderr, /measuring \d+ operators: \d+0 %\n/)
  const times = await readTimes(file)
  t.ok(isOfHere(times))
  t.equal(times.operators.length, said.operators)
  t.ok(times.operators.length > 1000)
  const { coupling } = await prunable(convNetwork([32, 64], 10))
  const expect = { latency: latencyModel(times, coupling) }
  const [dense, least] = [costsWithout(coupling, [], expect), floor(coupling, expect)]
  t.ok(least.costs.latency > 0 && dense.costs.latency > least.costs.latency)
})

t.test('what is asked wrongly is refused, and one agent of a host measures at a time', async (t) => {
  const dir = t.testdir()
  const [file, lock] = [join(dir, 'board.json'), join(dir, 'lock')]
  t.match(await agent('--threads', '2'), { status: 2, stderr: /needs -o FILE/ })
  t.match(await agent('-o', file, '--threads', '-1'), { status: 2 })
  const held = takeLock(lock)
  t.ok('release' in held)
  t.match(await agent('-o', file, '--host-lock', lock), { status: 1, stderr: /STATE_LOCKED.*measures/ })
  if ('release' in held) held.release()
  writeFileSync(join(dir, 'plain'), '')
  const nowhere = await agent('-o', join(dir, 'plain', 'board.json'), '--host-lock', lock)
  t.match(nowhere, { status: 1, stderr: /WRITE_FAILED/ })
  t.match(await agent('-o', dir, '--host-lock', lock), { status: 1, stderr: /WRITE_FAILED.*no file/ })
  t.notOk(existsSync(file))
})
