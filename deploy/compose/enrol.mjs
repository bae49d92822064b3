// node enrol.mjs FOLDER BROKER DEVICE…: registers each device with the service on this host and writes
// FOLDER/DEVICE.json, the credential its agent reads: with the broker's address and the broker's password for it.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const service = process.env.ESPALIER_SERVER ?? 'http://127.0.0.1:8080'
const [folder, broker, ...devices] = process.argv.slice(2)

for (const id of devices) {
  const file = join(folder, `${id}.json`)
  if (existsSync(file)) continue
  const response = await fetch(`${service}/v1/devices`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ id }),
  })
  const answer = await response.json()
  if (!response.ok) throw new Error(`${id}: ${answer.detail} (${answer.code})`)
  const password = readFileSync(join(folder, `${id}.password`), 'utf8')
  writeFileSync(`${file}.new`, JSON.stringify({ ...answer, password, broker }), { mode: 0o600 })
  renameSync(`${file}.new`, file)
  console.log(`${id} is registered`)
}
