export { ArtifactStore, type Staged } from './artifacts.js'
export { Datasets } from './datasets.js'
export { Models } from './models.js'
export { type NewVariant, type VariantQuery, Variants } from './variants.js'
