import type { Migration } from '../migration.js'
import { catalog } from './001-catalog.js'
import { compilations } from './002-compilations.js'
import { idempotency } from './003-idempotency.js'
import { delivery } from './010-delivery.js'
import { fleet } from './011-fleet.js'
import { telemetry } from './012-telemetry.js'
import { enrolment } from './013-enrolment.js'
import { drawings } from './014-drawings.js'
import { sealedAnswers } from './015-sealed-answers.js'
import { latency } from './016-latency.js'
import { wishes } from './017-wishes.js'
import { deviceLogs } from './018-device-logs.js'
import { unused } from './019-unused.js'

/** Every step, in rising order. */
export const migrations: readonly Migration[] = [
  catalog,
  compilations,
  idempotency,
  delivery,
  fleet,
  telemetry,
  enrolment,
  drawings,
  sealedAnswers,
  latency,
  wishes,
  deviceLogs,
  unused,
]
