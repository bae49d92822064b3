// node secrets.mjs FOLDER USER…: makes a password for each user that has none yet: FOLDER/USER.password for the user's
// own container, FOLDER/mosquitto/passwords (hashed, as mosquitto_passwd writes it) for the broker.
import { pbkdf2Sync, randomBytes } from 'node:crypto'
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const owners = { node: 1000, mosquitto: 1883 }
const iterations = 101 // mosquitto_passwd's own number; the passwords have 192 random bits

/** In a container this runs as root and gives each file to who reads it. */
const give = (path, owner) => process.getuid() === 0 && chownSync(path, owner, owner)

function writePrivate(file, text, owner) {
  writeFileSync(file, text, { mode: 0o600 })
  chmodSync(file, 0o600)
  give(file, owner)
}

function hashed(password) {
  const salt = randomBytes(12)
  const hash = pbkdf2Sync(password, salt, iterations, 64, 'sha512')
  return `$7$${iterations}$${salt.toString('base64')}$${hash.toString('base64')}`
}

const [folder, ...users] = process.argv.slice(2)
mkdirSync(join(folder, 'mosquitto'), { recursive: true })
give(folder, owners.node)
const lines = users.map((user) => {
  const file = join(folder, `${user}.password`)
  if (!existsSync(file)) writePrivate(file, randomBytes(24).toString('base64url'), owners.node)
  return `${user}:${hashed(readFileSync(file, 'utf8'))}\n`
})
writePrivate(join(folder, 'mosquitto/passwords'), lines.join(''), owners.mosquitto)
