import type { Compilation, ModelVersion, Report, Variant } from '../../http/schemas/index.js'
import { denseOf, plotPoints } from '../charts/points.js'
import { VariantPlot } from '../charts/variant-plot.js'
import { boundNames, bytes, count, digest, ms, none, percent, plural, short, time } from '../format.js'
import { Compile } from '../parts/compile.js'
import { Facts, PageFrame, Section, WideTable } from '../parts/layout.js'
import { Loading } from '../parts/loading.js'
import { Network } from '../parts/network.js'
import { useCompilations, useLatestReports, useVariants, useVersions } from '../reads.js'
import { href } from '../route.js'

export function ModelPage({ id, version: asked }: { id: string; version: number | null }) {
  const versions = useVersions(id)
  return (
    <PageFrame title={id} kind="Model">
      <Loading of={versions}>
        {(versions) => {
          const shown = asked === null ? versions[0] : versions.find((v) => v.version === asked)
          if (shown === undefined) return <NoVersion id={id} asked={asked} />
          return (
            <>
              <Versions versions={versions} shown={shown} />
              <Compiled key={shown.version} model={id} version={shown} />
              <About version={shown} />
            </>
          )
        }}
      </Loading>
    </PageFrame>
  )
}

/** What was made of one version, and what devices say of it. */
function Compiled({ model, version }: { model: string; version: ModelVersion }) {
  const variants = useVariants(model)
  const compilations = useCompilations(model)
  const reports = useLatestReports(model, version.version)
  const of = (it: { version: number }) => it.version === version.version
  return (
    <Loading of={variants}>
      {(variants) => (
        <>
          <Variants
            variants={variants.filter(of)}
            reports={(reports.data ?? []).toSorted(byDevice)}
            dense={denseOf((compilations.data ?? []).filter(of))}
            model={model}
          />
          <Section
            title="Compile"
            note="One variant for each value. Where several kinds of limit are given, each variant meets all of them."
          >
            <details open={!variants.some(of)}>
              <summary>
                {variants.some(of) ? 'Compile further variants' : 'Compile the first variants'}
              </summary>
              <Compile model={model} version={version.version} />
            </details>
          </Section>
          <Network version={version} variants={variants.filter(of).toSorted(bySize)} />
        </>
      )}
    </Loading>
  )
}

const NoVersion = ({ id, asked }: { id: string; asked: number | null }) => (
  <div class="empty">
    {asked === null ? (
      <>
        <p>This model has no version yet. Upload its ONNX file:</p>
        <pre>
          <code>npx espalier models create {id} model.onnx</code>
        </pre>
      </>
    ) : (
      <p>
        This model has no version {asked}. <a href={href.model(id)}>See the newest.</a>
      </p>
    )}
  </div>
)

function Versions({ versions, shown }: { versions: readonly ModelVersion[]; shown: ModelVersion }) {
  return (
    <nav class="versions" aria-label="Versions">
      {versions.map(({ model, version }) => (
        <a
          key={version}
          href={href.model(model, version)}
          aria-current={version === shown.version ? 'page' : undefined}
        >
          v{version}
        </a>
      ))}
      <span>
        {count(shown.facts.params)} parameters, {bytes(shown.fileBytes)}, opset {shown.facts.opset}, uploaded{' '}
        {time(shown.createdAt)}
      </span>
    </nav>
  )
}

interface VariantsProps {
  readonly model: string
  readonly variants: readonly Variant[]
  readonly reports: readonly Report[]
  readonly dense: Compilation['dense']
}

function Variants({ model, variants, reports, dense }: VariantsProps) {
  if (variants.length === 0) {
    return (
      <div class="empty">
        <p>
          No variant has been compiled yet. Ask for one for each memory budget that your devices have, below
          or with:
        </p>
        <pre>
          <code>npx espalier compilations create {model} --data DATASET --memory 4MB</code>
        </pre>
      </div>
    )
  }
  const points = plotPoints(variants, reports, dense)
  const undrawn = variants.filter((v) => !points.some((p) => p.variant === v))
  return (
    <>
      <Section title="Accuracy, latency, memory">
        <VariantPlot points={points} />
        {undrawn.length > 0 && (
          <p class="note">
            Not drawn, since latency or accuracy is not known: {undrawn.map((v) => v.name).join(', ')}.
          </p>
        )}
      </Section>
      <Section
        title="Variants"
        note={`${plural(variants.filter((v) => v.withdrawnAt === null).length, 'variant')} offered to devices. Each line below a variant is what a device measured of it last.`}
      >
        <VariantTable variants={variants} reports={reports} dense={dense} />
      </Section>
    </>
  )
}

const byDevice = (a: Report, b: Report) => a.device.localeCompare(b.device, 'en', { numeric: true })

const bySize = (a: Variant, b: Variant) =>
  (b.measuredRamBytes ?? b.predictedRamBytes ?? b.fileBytes) -
  (a.measuredRamBytes ?? a.predictedRamBytes ?? a.fileBytes)

function VariantTable({ variants, reports, dense }: Omit<VariantsProps, 'model'>) {
  return (
    <WideTable label="Variants">
      <thead>
        <tr>
          <th scope="col" rowSpan={2}>
            Variant
          </th>
          <th scope="colgroup" class="group" colSpan={3}>
            Memory
          </th>
          <th scope="col" class="number" rowSpan={2}>
            Top-1 <small>%</small>
          </th>
          <th scope="colgroup" class="group" colSpan={2}>
            Latency <small>ms</small>
          </th>
          <th scope="col" class="number" rowSpan={2}>
            MACs
          </th>
          <th scope="col" class="number" rowSpan={2}>
            Parameters
          </th>
          <th scope="col" class="number" rowSpan={2}>
            Artifact
          </th>
          <th scope="col" rowSpan={2}>
            Digest
          </th>
        </tr>
        <tr>
          {['budget', 'predicted', 'measured', 'p50', 'p95'].map((name) => (
            <th scope="col" class="number" key={name}>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      {dense !== null && (
        <tbody>
          <tr class="dense">
            <th scope="row">
              dense<small>the same recipe, nothing removed</small>
            </th>
            <td class="number">{none}</td>
            <td class="number">{none}</td>
            <td class="number">{bytes(dense.measuredRamBytes)}</td>
            <td class="number">{percent(dense.top1)}</td>
            <td class="number">{ms(dense.p50Ms)}</td>
            <td class="number">{none}</td>
            <td class="number">{short(dense.macs)}</td>
            <td class="number">{short(dense.params)}</td>
            <td class="number">{none}</td>
            <td>{none}</td>
          </tr>
        </tbody>
      )}
      {[...variants].sort(bySize).map((v) => (
        <tbody key={v.id} class={v.withdrawnAt === null ? undefined : 'withdrawn'} data-variant={v.id}>
          <tr>
            <th scope="row">
              {v.name}
              {v.bound && <small>bound by {boundNames[v.bound]}</small>}
              {v.withdrawnAt !== null && <small>withdrawn {time(v.withdrawnAt)}</small>}
            </th>
            <td class="number">{bytes(v.memoryBudgetBytes)}</td>
            <td class="number">{bytes(v.predictedRamBytes)}</td>
            <td class="number">{bytes(v.measuredRamBytes)}</td>
            <td class="number">{percent(v.top1)}</td>
            <td class="number">{ms(v.p50Ms)}</td>
            <td class="number">{none}</td>
            <td class="number">{short(v.macs)}</td>
            <td class="number">{short(v.params)}</td>
            <td class="number">{bytes(v.artifactBytes)}</td>
            <td>
              <code title={v.digest}>{digest(v.digest)}</code>
            </td>
          </tr>
          {reports
            .filter((r) => r.variant === v.digest)
            .map((r) => (
              <tr key={r.device} class="on-device">
                <th scope="row">
                  <a href={href.device(r.device)}>{r.device}</a>
                </th>
                <td />
                <td />
                <td class="number">{bytes(r.measuredRamBytes)}</td>
                <td />
                <td class="number">{ms(r.p50Ms)}</td>
                <td class="number">{ms(r.p95Ms)}</td>
                <td colSpan={4}>{r.throttled ? 'throttled' : ''}</td>
              </tr>
            ))}
        </tbody>
      ))}
    </WideTable>
  )
}

function About({ version: { digest: hex, fileBytes, facts, createdAt } }: { version: ModelVersion }) {
  const port = ({ name, dtype, dims }: ModelVersion['facts']['inputs'][number]) =>
    `${name}: ${dtype} ${dims === null ? 'of any shape' : dims.map((d) => d ?? '?').join(' × ')}`
  const ops = Object.entries(facts.ops).sort(([, a], [, b]) => b - a)
  return (
    <Section title="About this version">
      <Facts
        items={[
          ['Input', facts.inputs.map(port).join(', ')],
          ['Output', facts.outputs.map(port).join(', ')],
          ['Operators', ops.map(([op, n]) => `${n} ${op}`).join(', ')],
          ['File', `${bytes(fileBytes)}, opset ${facts.opset}`],
          ['Digest', <code key="digest">{hex}</code>],
          ['Uploaded', time(createdAt)],
        ]}
      />
    </Section>
  )
}
