import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { call, listen } from '../support/service.js'
import { tinyData, tinyOnnx } from '../support/tiny.js'

const cli = 'server/dist/cli/main.js'

/** Runs the command line to its end. */
function espalier(args: string[], env: Record<string, string> = {}) {
  return new Promise<{ status: number; out: string; err: string }>((resolve) => {
    const child = execFile(
      process.execPath,
      [cli, ...args],
      { env: { ...process.env, ...env } },
      (_e, out, err) => resolve({ status: child.exitCode ?? -1, out, err }),
    )
  })
}

/** `espalier up` on free ports; resolves when it says where it is. */
async function up(
  t: Test,
  data: string,
): Promise<{ url: string; child: ChildProcess; ended: Promise<unknown[]> }> {
  const child = spawn(
    process.execPath,
    [cli, 'up', '--json', '--data', data, '--port', '0', '--mqtt-port', '0'],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  )
  const ended = once(child, 'exit')
  t.teardown(() => child.kill('SIGKILL'))
  let text = ''
  for await (const chunk of child.stdout!) {
    text += chunk
    if (text.includes('\n')) break
  }
  return { url: JSON.parse(text).url, child, ended }
}

t.test('up serves until SIGTERM, ends with status 0, and goes on with its data', async (t) => {
  const data = t.testdir()
  const first = await up(t, data)
  const server = ['--server', first.url]
  const file = join(data, 'm.onnx')
  writeFileSync(file, tinyOnnx)
  const created = await espalier(['models', 'create', 'tiny', file, '--json', ...server])
  t.match(JSON.parse(created.out), { model: 'tiny', version: 1 })
  t.equal(
    JSON.parse((await espalier(['models', 'create', 'tiny', file, '--json', ...server])).out).version,
    2,
  )

  const credential = join(data, 'pi.json')
  const device = await espalier(['devices', 'create', 'pi', '-o', credential, ...server])
  t.match(device, { status: 0, out: /espalier-agent run --credential/ })
  t.equal(statSync(credential).mode & 0o777, 0o600)
  t.match(JSON.parse(readFileSync(credential, 'utf8')), { id: 'pi', password: /.+/, broker: /^mqtt:/ })
  t.match(await espalier(['devices', 'create', 'pi', '-o', credential, ...server]), {
    status: 1,
    err: /cannot be written.*WRITE_FAILED/,
  })
  const again = join(data, 'again.json')
  t.match(await espalier(['devices', 'create', 'pi', '-o', again, ...server]), {
    status: 1,
    err: /DEVICE_EXISTS/,
  })
  t.throws(() => statSync(again), { code: 'ENOENT' }, 'no empty credential stays')

  first.child.kill('SIGTERM')
  t.same(await first.ended, [0, null])
  const second = await up(t, data)
  const shown = await espalier(['models', 'show', 'tiny'], { ESPALIER_SERVER: second.url })
  t.match(shown, { status: 0, out: /Model\s+tiny[\s\S]*VERSION\s+FILE/ })
  second.child.kill('SIGINT')
  t.same(await second.ended, [0, null])
})

t.test('a compilation is created, followed to its end, and its variants listed and withdrawn', async (t) => {
  const { folder, spec } = tinyData(t)
  const { url, close } = await listen(folder)
  t.teardown(close)
  const server = ['--server', url]
  await call(url, 'POST', '/v1/models', { id: 'm' })
  await call(url, 'POST', '/v1/models/m/versions', tinyOnnx)
  t.match(await espalier(['datasets', 'create', 'd', spec, ...server]), {
    status: 0,
    out: /SAMPLES[\s\S]*\bd\b/,
  })
  const run = await espalier([
    'compilations',
    'create',
    'm',
    '--data',
    'd',
    '--memory',
    '4kB',
    '--json',
    ...server,
  ])
  const done = JSON.parse(run.out)
  t.match(done, { state: 'done', variants: [{ name: 'one', memoryBudgetBytes: 4000 }] })
  t.match(await espalier(['compilations', 'ls', ...server]), { status: 0, out: /m v1\s+done/ })
  t.match(await espalier(['compilations', 'show', done.id, ...server]), {
    status: 0,
    out: /Dense top-1\s+99.00 %/,
  })
  const id = done.variants[0].id
  t.match(await espalier(['variants', 'show', id, ...server]), { status: 0, out: /Memory budget\s+4.00 kB/ })
  t.match(await espalier(['variants', 'withdraw', id, ...server]), { status: 0, out: /withdrawn/ })
  const list = JSON.parse((await espalier(['variants', 'ls', '--model', 'm', '--json', ...server])).out)
  t.type(list.items[0].withdrawnAt, 'number')
})

t.test('a failed compilation is a failure that says why', async (t) => {
  const { folder, spec } = tinyData(t)
  const worker = new URL('../support/workers/endless.mjs', import.meta.url)
  const { url, close } = await listen(folder, { worker, compileMs: 1_500 })
  t.teardown(close)
  await call(url, 'POST', '/v1/models', { id: 'm' })
  await call(url, 'POST', '/v1/models/m/versions', tinyOnnx)
  await call(url, 'POST', '/v1/datasets', { id: 'd', spec })
  const run = await espalier(['compilations', 'create', 'm', '--data', 'd', '--macs', '0.5', '--server', url])
  t.match(run, { status: 1, err: /time limit.*COMPILATION_FAILED/ })
})

t.test('what cannot be done is one line and status 1, what cannot be meant is status 2', async (t) => {
  const away = ['--server', 'http://127.0.0.1:9']
  const cases: [string[], number, RegExp][] = [
    [['models', 'ls', ...away], 1, /^espalier: no service answers.*\(SERVICE_UNREACHABLE\)\n$/],
    [['models', 'create', 'm', 'nowhere.onnx', ...away], 1, /SERVICE_UNREACHABLE/],
    [['models', 'ls', '--server', 'nonsense'], 2, /--server 'nonsense' is not a URL/],
    [
      ['compilations', 'create', 'm', '--data', 'd', '--memory', '4 apples', ...away],
      2,
      /'4 apples' is not a size/,
    ],
    [
      ['compilations', 'create', 'm', '--data', 'd', ...away],
      2,
      /--memory, --macs, --params, --artifact or --latency/,
    ],
    [['compilations', 'create', 'm', ...away], 2, /--data/],
    [['compilations', 'create', 'm', '--data', 'd', '--macs', '2', ...away], 2, /--macs: '2' is not a share/],
    [['datasets', 'create', 'd', ...away], 2, /either a data spec or --upload/],
    [['frobnicate'], 2, /unknown command/],
    [['models', 'frobnicate'], 2, /unknown command/],
    [['up', '--port', 'x'], 1, /--port: 'x' is not a port.*CONFIG_INVALID/],
    [['--help'], 0, /^$/],
    [['devices', 'assign', '--help'], 0, /^$/],
  ]
  for (const [args, status, err] of cases) t.match(await espalier(args), { status, err }, args.join(' '))
  const json = await espalier(['models', 'ls', '--json', ...away])
  t.match(JSON.parse(json.out), { error: { code: 'SERVICE_UNREACHABLE' } })
})
