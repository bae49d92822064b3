export { Retention, type Swept } from './retention.js'
