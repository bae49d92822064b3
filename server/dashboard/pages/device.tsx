import type { Device, Report, Variant } from '../../http/schemas/index.js'
import { LatencyChart } from '../charts/latency-chart.js'
import { bytes, count, digest, ms, none, percent, plural, time, withUnit } from '../format.js'
import { Ago } from '../parts/ago.js'
import { MemoryBar } from '../parts/bars.js'
import { BoardMemory } from '../parts/board-memory.js'
import { Fetching } from '../parts/fetching.js'
import { Facts, PageFrame, Section, WideTable } from '../parts/layout.js'
import { Loading } from '../parts/loading.js'
import { DeviceState } from '../parts/mark.js'
import { useDevice, useReports, useVariants } from '../reads.js'
import { href } from '../route.js'

const reportsShown = 20

export function DevicePage({ id }: { id: string }) {
  const device = useDevice(id)
  const reports = useReports(id)
  const variants = useVariants()
  const byDigest = new Map((variants.data ?? []).map((v) => [v.digest, v]))
  const nameOf = (hex: string) => byDigest.get(hex)?.name ?? digest(hex)
  return (
    <PageFrame title={id} kind="Device">
      <Loading of={device}>
        {(device) => (
          <>
            <p class="lede">
              <DeviceState device={device} />
              <span>{device.board ?? 'board not known yet'}</span>
              {device.online ? (
                <span>connected</span>
              ) : (
                device.lastSeenAt !== null && (
                  <span>
                    last seen <Ago at={device.lastSeenAt} />
                  </span>
                )
              )}
            </p>
            {device.error !== null && (
              <p class="failure">
                {device.error.message} <span class="code">{device.error.code}</span>
              </p>
            )}
            {device.wish !== null && <Wished wish={device.wish} />}
            <Serving device={device} byDigest={byDigest} />
          </>
        )}
      </Loading>
      <Loading of={reports}>
        {(reports) => (
          <Section title="Latency over time">
            {reports.length === 0 ? (
              <p class="empty">No report yet. The agent reports once it has measured a variant.</p>
            ) : (
              <LatencyChart reports={reports} nameOf={nameOf} />
            )}
          </Section>
        )}
      </Loading>
      {reports.data !== null && reports.data.length > 0 && <Reports reports={reports.data} nameOf={nameOf} />}
      {device.data?.board != null && device.data.active !== null && (
        <BoardMemory
          board={device.data.board}
          model={device.data.active.model}
          version={device.data.active.version}
        />
      )}
      {device.data !== null && <About device={device.data} />}
    </PageFrame>
  )
}

/** What no variant satisfies on this device, and how near one comes. */
function Wished({ wish }: { wish: NonNullable<Device['wish']> }) {
  const { memoryBytes, p95Ms, top1, nearest } = wish
  return (
    <Section
      title="No variant satisfies this device"
      note="It keeps what it has, and takes the first variant that fits."
    >
      <Facts
        items={[
          ['Memory, at most', bytes(memoryBytes)],
          ['p95, at most', withUnit(ms(p95Ms), 'ms')],
          ['Top-1, at least', withUnit(percent(top1), '%')],
          ...(nearest === null
            ? []
            : [
                ['Nearest variant', nearest.name] as const,
                [
                  nearest.measured ? 'It takes here' : 'It takes elsewhere',
                  `${bytes(nearest.memoryBytes)}, ${withUnit(ms(nearest.p95Ms), 'ms p95')}, ${withUnit(percent(nearest.top1), '%')}`,
                ] as const,
              ]),
        ]}
      />
    </Section>
  )
}

interface ServingProps {
  readonly device: Device
  readonly byDigest: ReadonlyMap<string, Variant>
}

function Serving({ device, byDigest }: ServingProps) {
  const {
    active,
    previous,
    candidate,
    assigned,
    measuredRamBytes,
    memoryBudgetBytes,
    p50Ms,
    p95Ms,
    p95LimitMs,
  } = device
  return (
    <div class="serving">
      <Slot title="Active variant" held={active} byDigest={byDigest} />
      <div>
        <h2>Memory</h2>
        <MemoryBar measuredBytes={measuredRamBytes} allowedBytes={memoryBudgetBytes} />
      </div>
      <div>
        <h2>Latency</h2>
        <p class="figure">
          {ms(p50Ms)} <small>ms p50</small>
        </p>
        <p class="sub">
          {ms(p95Ms)} ms p95{p95LimitMs !== null && `, at most ${ms(p95LimitMs)} ms wanted`}
        </p>
      </div>
      {candidate === null ? (
        <Slot title="Previous variant" held={previous} byDigest={byDigest} />
      ) : (
        <Slot title="Candidate" held={candidate} byDigest={byDigest}>
          <Fetching device={device} />
        </Slot>
      )}
      {active === null && assigned === null && (
        <div class="empty">
          <p>Nothing is assigned to this device yet. Say which model it should serve:</p>
          <pre>
            <code>npx espalier devices assign {device.id} MODEL</code>
          </pre>
        </div>
      )}
    </div>
  )
}

interface SlotProps {
  readonly title: string
  readonly held: Device['active']
  readonly byDigest: ReadonlyMap<string, Variant>
  readonly children?: preact.ComponentChildren
}

function Slot({ title, held, byDigest, children }: SlotProps) {
  const variant = held === null ? undefined : byDigest.get(held.variant)
  return (
    <div>
      <h2>{title}</h2>
      {held === null ? (
        <p class="figure none">{none}</p>
      ) : (
        <>
          <p class="figure">
            <a href={href.model(held.model, held.version)}>
              {held.name ?? variant?.name ?? digest(held.variant)}
            </a>
          </p>
          <p class="sub">
            {held.model} v{held.version}
            {variant?.top1 != null && `, top-1 ${percent(variant.top1)} %`}
            {variant?.withdrawnAt != null && ', withdrawn'}
          </p>
          {children}
        </>
      )}
    </div>
  )
}

function Reports({ reports, nameOf }: { reports: readonly Report[]; nameOf: (digest: string) => string }) {
  return (
    <Section
      title="Last reports"
      note={
        reports.length > reportsShown
          ? `The newest ${reportsShown} of ${plural(reports.length, 'report')} read.`
          : undefined
      }
    >
      <WideTable label="Last reports">
        <thead>
          <tr>
            <th scope="col">At</th>
            <th scope="col">Variant</th>
            {['p50', 'p90', 'p95', 'p99'].map((p) => (
              <th scope="col" class="number" key={p}>
                {p} <small>ms</small>
              </th>
            ))}
            <th scope="col" class="number">
              Memory
            </th>
            <th scope="col" class="number">
              Cold load <small>ms</small>
            </th>
            <th scope="col" class="number">
              Runs
            </th>
            <th scope="col" class="number">
              Temp. <small>°C</small>
            </th>
            <th scope="col" class="number">
              Clock <small>MHz</small>
            </th>
            <th scope="col" class="number">
              Power <small>W</small>
            </th>
            <th scope="col">Throttled</th>
          </tr>
        </thead>
        <tbody>
          {reports
            .slice(-reportsShown)
            .toReversed()
            .map((r) => (
              <tr key={r.id} data-report={r.id}>
                <th scope="row">{time(r.at)}</th>
                <td>{nameOf(r.variant)}</td>
                <td class="number">{ms(r.p50Ms)}</td>
                <td class="number">{ms(r.p90Ms)}</td>
                <td class="number">{ms(r.p95Ms)}</td>
                <td class="number">{ms(r.p99Ms)}</td>
                <td class="number">{bytes(r.measuredRamBytes)}</td>
                <td class="number">{ms(r.coldLoadMs)}</td>
                <td class="number">{count(r.runs)}</td>
                <td class="number">{r.temperatureC === null ? none : r.temperatureC.toFixed(1)}</td>
                <td class="number">{r.frequencyMhz == null ? none : r.frequencyMhz.toFixed(0)}</td>
                <td class="number">{r.powerW == null ? none : r.powerW.toFixed(1)}</td>
                <td>{r.throttled ? 'yes' : 'no'}</td>
              </tr>
            ))}
        </tbody>
      </WideTable>
    </Section>
  )
}

function About({ device: d }: { device: Device }) {
  const labels = Object.entries(d.labels).map(([key, value]) => `${key}=${value}`)
  return (
    <Section title="About this device">
      <Facts
        items={[
          ['Board', d.board ?? none],
          [
            'Processor',
            d.arch === null ? none : `${d.arch}${d.cores === null ? '' : `, ${plural(d.cores, 'core')}`}`,
          ],
          ['Memory', bytes(d.memoryBytes)],
          ['Allowed for a model', bytes(d.memoryBudgetBytes)],
          ['p95 limit', withUnit(ms(d.p95LimitMs), 'ms')],
          [
            'Assigned',
            d.assigned === null
              ? none
              : `${d.assigned.model} v${d.assigned.version}, revision ${d.assigned.revision}`,
          ],
          ['Agent', d.agentVersion ?? none],
          ['Reports dropped', d.droppedReports === null ? none : count(d.droppedReports)],
          ['Groups', d.groups.join(', ') || none],
          ['Labels', labels.join(', ') || none],
          ['Registered', time(d.createdAt)],
        ]}
      />
    </Section>
  )
}
