import { measuringChild } from '@espalier/server/compiler/runtime/index.js'
import {
  interleave,
  type Latency,
  type Profile,
  percentile,
  profiles,
  withModel,
} from '@espalier/shared/measure/index.js'

export const about =
  'how far apart one network comes out from itself, measured in turn and one after the other: --runs (20) of --queries (130) on --model (the sample)'

/** Of a list of ratios: how far from one the middle, nine of ten, and the farthest of them are, as shares. */
function spread(ratios: readonly number[]) {
  const off = ratios.map((ratio) => Math.abs(ratio - 1)).sort((a, b) => a - b)
  const share = (q: number) => Math.round(percentile(off, q) * 1e4) / 1e4
  return { half: share(0.5), nineOfTen: share(0.9), most: share(1) }
}

/** The same file as candidate and as incumbent, so that every ratio should be one; the two ways alternate. */
export default async function turns(options: Readonly<Record<string, string>>): Promise<object> {
  const { runs = '20', queries = '130', model = 'deploy/sample/digits.onnx' } = options
  const profile: Profile = { ...profiles.brief, queries: Number(queries) }
  const open = { child: measuringChild }
  const ratios = { inTurn: [] as Latency[][], oneAfterTheOther: [] as Latency[][] }
  const alone = () => withModel(model, open, (process) => process.latency(profile))
  for (let run = 0; run < Number(runs); run++) {
    const together = await withModel(model, open, (a) =>
      withModel(model, open, (b) => interleave([a, b], profile)),
    )
    ratios.inTurn.push([...together])
    ratios.oneAfterTheOther.push([await alone(), await alone()])
  }
  const of = (pairs: readonly Latency[][], key: 'p50Ms' | 'p95Ms') =>
    spread(pairs.map(([a, b]) => (b[key] ?? Number.NaN) / (a[key] ?? Number.NaN)))
  const both = (pairs: readonly Latency[][]) => ({ p50: of(pairs, 'p50Ms'), p95: of(pairs, 'p95Ms') })
  return {
    ...{ model, runs: Number(runs), queries: Number(queries) },
    offByInTurn: both(ratios.inTurn),
    offByOneAfterTheOther: both(ratios.oneAfterTheOther),
  }
}
