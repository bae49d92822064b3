/** What everybody needs, and what loads at once; messages, signatures and topics, with their schemas, have doors of their own. */
export * from './bytes.js'
export * from './errors.js'
