export { type Artifacts, type BlockList, blockBytes } from './artifact-blocks.js'
export { BlockServer, type BlockServerOptions } from './block-server.js'
export { Catalogues, type CataloguesOptions, lifetimeMs, type Offer, type Published } from './catalogues.js'
export { serviceKey } from './keys.js'
