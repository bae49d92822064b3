import type { Logs } from '@espalier/shared/messages/index.js'
import type { Page } from '../store/index.js'
import type {
  Assignment,
  Board,
  BoardMemory,
  BoardMemoryQuery,
  CreatedToken,
  Credential,
  Device,
  DeviceCommand,
  EnrolmentToken,
  Group,
  Latency,
  LatencyQuery,
  NewDevice,
  NewEnrolmentToken,
  PageQuery,
  Report,
  ReportQuery,
} from './schemas/index.js'

/** What the routes ask of the fleet. Unknown ids throw DEVICE_UNKNOWN or GROUP_UNKNOWN. */
export interface FleetPart {
  devices(page: PageQuery): Page<Device>
  device(id: string): Device
  /** Signs and publishes what the device should run. The newest version where none is named. */
  assign(device: string, assignment: Assignment): Promise<Device>
  /** Sends a command. @returns its number. */
  command(device: string, command: DeviceCommand): { n: number }
  logs(device: string): Logs | null
  groups(page: PageQuery): Page<Group>
  group(id: string): Group
  /** Makes the group consist of exactly these devices. */
  setGroup(id: string, devices: readonly string[]): Group
  assignGroup(id: string, assignment: Assignment): Promise<Group>
}

/** What the routes ask of admission. Unknown ids throw DEVICE_UNKNOWN. */
export interface AdmissionPart {
  /** @throws DEVICE_EXISTS */
  create(device: NewDevice): Credential
  /** Takes the device's credential back and ends its connection; it can enrol anew. */
  revoke(device: string): void
  /** Takes the device out of the fleet; its reports stay. */
  retire(device: string): void
  /** Gives the device a new password when it is next heard of. @throws DEVICE_RETIRED if its credential was revoked */
  rotate(device: string): void
  /** @throws ENROLMENT_UNAVAILABLE */
  createToken(token: NewEnrolmentToken): CreatedToken
  tokens(page: PageQuery): Page<EnrolmentToken>
  /** @throws ENROLMENT_TOKEN_UNKNOWN */
  revokeToken(id: string): EnrolmentToken
}

/** What the routes ask of telemetry. */
export interface TelemetryPart {
  reports(query: ReportQuery): Page<Report>
  latency(query: LatencyQuery): Latency
}

/** What the routes ask about kinds of boards; unknown ones throw BOARD_UNKNOWN. */
export interface BoardsPart {
  list(): Board[]
  get(board: string): Board
  memory(board: string, which: BoardMemoryQuery): BoardMemory[]
}
