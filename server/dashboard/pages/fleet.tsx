import type { Compilation, Device, Model, Variant } from '../../http/schemas/index.js'
import { ms, none, percent, plural, withUnit } from '../format.js'
import { Ago } from '../parts/ago.js'
import { DeviceTable } from '../parts/device-table.js'
import { PageFrame, Section } from '../parts/layout.js'
import { Loading } from '../parts/loading.js'
import { CompilationStateMark } from '../parts/mark.js'
import { Running } from '../parts/running.js'
import { useCompilations, useDevices, useModels, useReports, useVariants } from '../reads.js'
import { href } from '../route.js'

const endedShown = 5

export function FleetPage() {
  const devices = useDevices()
  const models = useModels()
  const variants = useVariants()
  const compilations = useCompilations()
  const reports = useReports()
  return (
    <PageFrame title="Fleet">
      <Loading of={devices}>
        {(devices) => (
          <>
            <Summary
              devices={devices}
              models={models.data ?? []}
              variants={variants.data ?? []}
              compilations={compilations.data ?? []}
            />
            <Section title="Devices">
              {devices.length === 0 ? (
                <NoDevices models={models.data ?? []} />
              ) : (
                <DeviceTable devices={devices} variants={variants.data ?? []} reports={reports.data ?? []} />
              )}
            </Section>
          </>
        )}
      </Loading>
      <Loading of={models}>
        {(models) => (
          <Section title="Models">
            {models.length === 0 ? (
              <NoModels />
            ) : (
              <ModelTable models={models} variants={variants.data ?? []} devices={devices.data ?? []} />
            )}
          </Section>
        )}
      </Loading>
      <Ended compilations={compilations.data ?? []} />
    </PageFrame>
  )
}

interface SummaryProps {
  readonly devices: readonly Device[]
  readonly models: readonly Model[]
  readonly variants: readonly Variant[]
  readonly compilations: readonly Compilation[]
}

function Summary({ devices, models, variants, compilations }: SummaryProps) {
  const online = devices.filter((d) => d.online).length
  const offered = variants.filter((v) => v.withdrawnAt === null).length
  const slowest = Math.max(...devices.map((d) => d.p95Ms ?? 0))
  const running = compilations.filter((c) => c.state === 'running' || c.state === 'queued')
  return (
    <>
      <dl class="summary">
        <div>
          <dt>devices online</dt>
          <dd>
            {online} <small>of {devices.length}</small>
          </dd>
        </div>
        <div>
          <dt>{models.length === 1 ? 'model' : 'models'}</dt>
          <dd>{models.length}</dd>
        </div>
        <div>
          <dt>{offered === 1 ? 'variant offered' : 'variants offered'}</dt>
          <dd>{offered}</dd>
        </div>
        <div>
          <dt>highest p95</dt>
          <dd>
            {slowest > 0 ? (
              <>
                {ms(slowest)} <small>ms</small>
              </>
            ) : (
              none
            )}
          </dd>
        </div>
      </dl>
      {running.length > 0 && (
        <Section title="Compiling">
          {running.map((c) => (
            <Running key={c.id} compilation={c} />
          ))}
        </Section>
      )}
    </>
  )
}

interface ModelTableProps {
  readonly models: readonly Model[]
  readonly variants: readonly Variant[]
  readonly devices: readonly Device[]
}

function ModelTable({ models, variants, devices }: ModelTableProps) {
  return (
    <table class="models">
      <thead>
        <tr>
          <th scope="col">Model</th>
          <th scope="col" class="number">
            Version
          </th>
          <th scope="col" class="number">
            Variants
          </th>
          <th scope="col" class="number">
            Best top-1
          </th>
          <th scope="col" class="number">
            Devices
          </th>
        </tr>
      </thead>
      <tbody>
        {models.map(({ id, name, latest }) => {
          const offered = variants.filter(
            (v) => v.model === id && v.version === latest && v.withdrawnAt === null,
          )
          const best = offered.reduce<number | null>(
            (b, { top1 }) => (top1 !== null && top1 > (b ?? -1) ? top1 : b),
            null,
          )
          return (
            <tr key={id}>
              <th scope="row">
                <a href={href.model(id)}>{name}</a>
                {name !== id && <small>{id}</small>}
              </th>
              <td class="number">{latest === null ? none : `v${latest}`}</td>
              <td class="number">{offered.length}</td>
              <td class="number">{withUnit(percent(best), '%')}</td>
              <td class="number">{devices.filter((d) => d.active?.model === id).length}</td>
            </tr>
          )
        })}
      </tbody>
    </table>
  )
}

function Ended({ compilations }: { compilations: readonly Compilation[] }) {
  const ended = compilations.filter((c) => c.endedAt !== null)
  if (ended.length === 0) return null
  return (
    <Section title="Compilations">
      <ul class="ended">
        {ended.slice(0, endedShown).map((c) => (
          <li key={c.id}>
            <CompilationStateMark state={c.state} />
            <a href={href.compilation(c.id)}>
              {c.model} v{c.version}
            </a>
            <span class="what">{outcome(c)}</span>
            <span class="when">
              <Ago at={c.endedAt} />
            </span>
          </li>
        ))}
      </ul>
    </Section>
  )
}

function outcome({ state, error, variants }: Compilation): string {
  if (state === 'cancelled') return ''
  return error?.message ?? plural(variants.length, 'variant')
}

/** Nothing to see yet: what to type so that there is. */
function NoDevices({ models }: { models: readonly Model[] }) {
  return (
    <div class="empty">
      <p>No device has been registered yet. Register one, then start its agent with the credential:</p>
      <pre>
        <code>{`npx espalier devices create pi-4
npx espalier agent run --credential pi-4.credential.json --state pi-4`}</code>
      </pre>
      {models.length > 0 && (
        <>
          <p>Then say what it should serve:</p>
          <pre>
            <code>{`npx espalier devices assign pi-4 ${models[0].id}`}</code>
          </pre>
        </>
      )}
    </div>
  )
}

function NoModels() {
  return (
    <div class="empty">
      <p>
        No model has been registered yet. Upload a trained network and data, then compile it to the memory
        your devices have:
      </p>
      <pre>
        <code>{`npx espalier models create digits model.onnx
npx espalier datasets create train idx:images.gz,labels.gz
npx espalier compilations create digits --data train --memory 4MB`}</code>
      </pre>
    </div>
  )
}
