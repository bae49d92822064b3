export type { BlockAddress, Broker, Handler, Incoming, Logger } from './broker.js'
export { EmbeddedBroker, type EmbeddedOptions } from './embedded.js'
export { type Exporter, exporters } from './export.js'
export { OutsideBroker, type OutsideOptions } from './outside.js'
