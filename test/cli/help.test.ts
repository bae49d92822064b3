import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'

const help = async (...command: string[]) => {
  const env = { ...process.env, ESPALIER_TOKEN: 'kept-secret', ESPALIER_CA: 'ca.pem', COLUMNS: '200' }
  const words = ['server/dist/cli/main.js', ...command, '--help']
  return (await promisify(execFile)(process.execPath, words, { env })).stdout
}

t.test('defaults are shown as one would type them', async (t) => {
  t.match(await help('up'), /ESPALIER_MAX_UPLOAD,\s+default 2GiB/)
  t.match(await help('tokens', 'create'), /\(default:\s+24h\)/)
  t.match(await help('keys', 'rotate'), /\(default:\s+30d\)/)
})

t.test(
  'the environment may say where the service is and who calls, and help does not tell secrets',
  async (t) => {
    const text = await help('devices', 'ls')
    for (const variable of ['ESPALIER_SERVER', 'ESPALIER_CA', 'ESPALIER_TOKEN']) t.match(text, variable)
    t.notMatch(text, 'kept-secret')
    t.notMatch(await help('up'), 'kept-secret')
  },
)
