import type { Device, Report, Variant } from '../../http/schemas/index.js'
import { Sparkline } from '../charts/sparkline.js'
import { ms, none, percent } from '../format.js'
import { href } from '../route.js'
import { Ago } from './ago.js'
import { MemoryBar } from './bars.js'
import { Fetching } from './fetching.js'
import { DeviceState } from './mark.js'

const sparklinePoints = 32

interface DeviceTableProps {
  readonly devices: readonly Device[]
  readonly variants: readonly Variant[]
  readonly reports: readonly Report[]
}

/** A line a device: what it runs, how well, and how it has been lately. */
export function DeviceTable({ devices, variants, reports }: DeviceTableProps) {
  const byDigest = new Map(variants.map((v) => [v.digest, v]))
  const byDevice = Map.groupBy(reports, (r) => r.device)
  return (
    <table class="devices">
      <thead>
        <tr>
          <th scope="col">Device</th>
          <th scope="col">State</th>
          <th scope="col">Variant</th>
          <th scope="col">Memory</th>
          <th scope="col" class="number">
            p50 <small>ms</small>
          </th>
          <th scope="col" class="number">
            p95 <small>ms</small>
          </th>
          <th scope="col">Latency</th>
          <th scope="col" class="number">
            Last seen
          </th>
        </tr>
      </thead>
      <tbody>
        {devices.map((device) => (
          <DeviceRow
            key={device.id}
            device={device}
            variant={device.active === null ? undefined : byDigest.get(device.active.variant)}
            reports={(byDevice.get(device.id) ?? []).slice(-sparklinePoints)}
          />
        ))}
      </tbody>
    </table>
  )
}

interface DeviceRowProps {
  readonly device: Device
  readonly variant: Variant | undefined
  readonly reports: readonly Report[]
}

function DeviceRow({ device, variant, reports }: DeviceRowProps) {
  const { id, board, active, memoryBudgetBytes, measuredRamBytes, p50Ms, p95Ms, lastSeenAt } = device
  return (
    <tr data-device={id}>
      <th scope="row" class="device">
        <a href={href.device(id)}>{id}</a>
        <small>{board ?? 'board not known yet'}</small>
      </th>
      <td class="state">
        <DeviceState device={device} />
        <Fetching device={device} />
      </td>
      <td class="variant">
        {active === null ? (
          none
        ) : (
          <>
            <a href={href.model(active.model, active.version)}>
              {active.name ?? active.variant.slice(0, 12)}
            </a>
            <small>
              {active.model} v{active.version}
              {variant?.top1 != null && `, ${percent(variant.top1)} %`}
            </small>
          </>
        )}
      </td>
      <td class="ram">
        <MemoryBar measuredBytes={measuredRamBytes} allowedBytes={memoryBudgetBytes} />
      </td>
      <td class="number p50" data-label="p50" data-unit="ms">
        {ms(p50Ms)}
      </td>
      <td class="number p95" data-label="p95" data-unit="ms">
        {ms(p95Ms)}
      </td>
      <td class="spark">
        <Sparkline reports={reports} />
      </td>
      <td class="number seen">{device.online ? 'now' : <Ago at={lastSeenAt} />}</td>
    </tr>
  )
}
