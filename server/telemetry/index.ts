export { ReportIntake } from './intake.js'
export { ReportStore } from './store.js'
export { Telemetry } from './telemetry.js'
