import { createPrivateKey, X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { EspalierError } from '@espalier/shared'
import { generate } from 'selfsigned'

/** What TLS needs, all PEM. */
export interface Certificates {
  readonly key: string
  /** The service's certificate, with what leads from it to the authority. */
  readonly cert: string
  /** The authority, for clients that do not know it already; null for one that everybody knows. */
  readonly ca: string | null
}

const dayMs = 24 * 3600 * 1000
const authorityDays = 20 * 365
const certificateDays = 397
/** A certificate of our own that is older than this is made anew. */
const renewDays = 300

/**
 * The certificates that the setting asks for: `own` for an authority of our own, made in `folder` on first use, or
 * `CERT,KEY` or `CERT,KEY,CA`, the operator's files. `names` are names and addresses that clients use besides this machine's own.
 * @throws CONFIG_INVALID naming the file that does not serve
 */
export async function certificates(
  setting: string,
  folder: string,
  names: readonly string[],
  now = Date.now(),
): Promise<Certificates> {
  if (setting !== 'own') return given(setting.split(','))
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const authority = await authorityIn(folder, now)
  const { key, cert } = await ownIn(folder, authority, [...new Set([...ownNames(), ...names])], now)
  return { key, cert: cert + authority.cert, ca: authority.cert }
}

interface Pair {
  readonly key: string
  readonly cert: string
}

function given([certFile, keyFile, caFile]: readonly string[]): Certificates {
  const [cert, key] = [read(certFile), read(keyFile)]
  const ca = caFile === undefined ? null : read(caFile)
  const pair = parsed(certFile, cert)
  if (ca !== null) parsed(caFile ?? '', ca)
  try {
    if (pair.checkPrivateKey(createPrivateKey(key))) return { cert, key, ca }
  } catch (cause) {
    throw invalid(keyFile, 'holds no private key in PEM', cause)
  }
  throw invalid(keyFile, `is not the key of the certificate in ${certFile}`)
}

async function authorityIn(folder: string, now: number): Promise<Pair> {
  const known = pairIn(folder, 'ca')
  if (known) return known
  return keep(folder, 'ca', 'Espalier authority', now, authorityDays, [
    { name: 'basicConstraints', cA: true, critical: true },
    { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
  ])
}

/** The certificate on disk while it is young enough, of this authority, and has all names; otherwise a new one. */
async function ownIn(folder: string, ca: Pair, names: readonly string[], now: number): Promise<Pair> {
  const known = pairIn(folder, 'server')
  if (known) {
    const cert = parsed(join(folder, 'server.pem'), known.cert)
    const age = now - Date.parse(cert.validFrom)
    const fits = names.every((name) => (isIP(name) ? cert.checkIP(name) : cert.checkHost(name)) !== undefined)
    if (fits && age < renewDays * dayMs && cert.verify(new X509Certificate(ca.cert).publicKey)) return known
  }
  const altNames = names.map((name) =>
    isIP(name) ? { type: 7 as const, ip: name } : { type: 2 as const, value: name },
  )
  return keep(
    folder,
    'server',
    'Espalier',
    now,
    certificateDays,
    [
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames },
    ],
    ca,
  )
}

type Extensions = NonNullable<NonNullable<Parameters<typeof generate>[1]>['extensions']>

async function keep(
  folder: string,
  name: string,
  commonName: string,
  now: number,
  days: number,
  extensions: Extensions,
  ca?: Pair,
): Promise<Pair> {
  const made = await generate([{ name: 'commonName', value: commonName }], {
    ...{ keyType: 'ec', curve: 'P-256', algorithm: 'sha256', extensions },
    ...{ notBeforeDate: new Date(now - dayMs), notAfterDate: new Date(now + days * dayMs), ca },
  })
  const pair = { key: made.private, cert: made.cert.trimEnd().concat('\n') }
  writeFileSync(join(folder, `${name}.key`), pair.key, { mode: 0o600 })
  writeFileSync(join(folder, `${name}.pem`), pair.cert)
  return pair
}

function pairIn(folder: string, name: string): Pair | undefined {
  const [certFile, keyFile] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)]
  if (!existsSync(certFile) || !existsSync(keyFile)) return undefined
  const pair = given([certFile, keyFile])
  return { key: pair.key, cert: pair.cert }
}

/** How this machine is called and where it is. */
function ownNames(): string[] {
  const addresses = Object.values(networkInterfaces())
    .flatMap((found) => found ?? [])
    .filter(({ address, scopeid }) => isIP(address) && !scopeid)
    .map(({ address }) => address)
  return ['localhost', '127.0.0.1', '::1', hostname(), ...addresses]
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw invalid(file, 'cannot be read', cause)
  }
}

function parsed(file: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (cause) {
    throw invalid(file, 'holds no certificate in PEM', cause)
  }
}

const invalid = (file: string, why: string, cause?: unknown) =>
  new EspalierError('CONFIG_INVALID', `--tls: ${file} ${why}`, { cause })
