import type { Layer, Sketch } from './layers.js'

/** What became of each layer, by its position before: undefined where it is gone. */
export function counterparts(before: Sketch, after: Sketch): readonly (Layer | undefined)[] {
  const home = new Map<string, number>()
  before.layers.forEach((l, i) => {
    for (const v of l.values) home.set(v, i)
  })
  const found: (Layer | undefined)[] = before.layers.map(() => undefined)
  const outputs = new Map(after.layers.filter((l) => l.kind === 'output').map((l) => [l.name, l]))
  before.layers.forEach((l, i) => {
    if (l.kind === 'output') found[i] = outputs.get(l.name)
  })
  for (const layer of after.layers) {
    const at = layer.made.map((v) => home.get(v)).find((i) => i !== undefined)
    if (at !== undefined && before.layers[at].op === layer.op) found[at] = layer
  }
  return found
}
