export type Random = () => number
export const below = (random: Random, n: number): number => Math.floor(random() * n)
export const pick = <T>(random: Random, list: readonly T[]): T => list[below(random, list.length)]

const joined = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts))
const noise = (random: Random, n: number) => Uint8Array.from({ length: n }, () => below(random, 256))

/** Ways to damage a file without knowing what is in it. */
export const damages: Readonly<Record<string, (bytes: Uint8Array, random: Random) => Uint8Array>> = {
  'bits flipped': (bytes, random) => {
    const out = bytes.slice()
    for (let k = 1 + below(random, 16); k > 0; k--) out[below(random, out.length)] ^= 1 << below(random, 8)
    return out
  },
  // Most of a file is weights; its structure is where bytes are small or letters.
  'structure flipped': (bytes, random) => {
    const out = bytes.slice()
    const end = Math.min(out.length, 2_000)
    for (let k = 1 + below(random, 4); k > 0; k--) out[below(random, end)] = below(random, 256)
    return out
  },
  truncated: (bytes, random) => bytes.slice(0, below(random, bytes.length)),
  'a length that lies': (bytes, random) => {
    const out = bytes.slice()
    // A tag of wire type 2, then its length: make that one longer, shorter or endless.
    for (let tries = 0; tries < 200; tries++) {
      const at = below(random, out.length - 2)
      if ((out[at] & 7) !== 2 || out[at + 1] === 0) continue
      out[at + 1] = pick(random, [0, 1, 0x7f, 0x80, 0xff, out[at + 1] + 1, out[at + 1] - 1])
      return out
    }
    return out
  },
  'a piece taken out': (bytes, random) => {
    const at = below(random, bytes.length)
    return joined(bytes.subarray(0, at), bytes.subarray(at + 1 + below(random, 64)))
  },
  'a piece twice': (bytes, random) => {
    const at = below(random, bytes.length)
    const end = at + 1 + below(random, 256)
    return joined(bytes.subarray(0, end), bytes.subarray(at))
  },
  'noise put in': (bytes, random) => {
    const at = below(random, bytes.length)
    return joined(bytes.subarray(0, at), noise(random, 1 + below(random, 32)), bytes.subarray(at))
  },
  'noise behind': (bytes, random) => joined(bytes, noise(random, 1 + below(random, 64))),
  'nothing but noise': (_, random) => noise(random, below(random, 2_000)),
}
