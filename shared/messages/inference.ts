import * as Type from 'typebox'
import { defineMessage } from './message.js'

/** An inference request may have so many bytes, its tensors included. */
export const MAX_INFERENCE_BYTES = 64 * 2 ** 20

const Name = Type.String({ minLength: 1, maxLength: 1024 })
const Input = Type.Object({
  name: Name,
  shape: Type.Array(Type.Integer({ minimum: 0, maximum: 2 ** 31 }), { maxItems: 16 }),
  datatype: Type.String({ maxLength: 16 }),
  parameters: Type.Optional(
    Type.Object({
      binary_data_size: Type.Optional(Type.Integer({ minimum: 0, maximum: MAX_INFERENCE_BYTES })),
    }),
  ),
  data: Type.Optional(Type.Array(Type.Unknown())),
})
const Output = Type.Object({
  name: Name,
  parameters: Type.Optional(Type.Object({ binary_data: Type.Optional(Type.Boolean()) })),
})
export const InferenceRequest = Type.Object({
  id: Type.Optional(Type.String({ maxLength: 256 })),
  parameters: Type.Optional(Type.Object({ binary_data_output: Type.Optional(Type.Boolean()) })),
  inputs: Type.Array(Input, { minItems: 1, maxItems: 64 }),
  outputs: Type.Optional(Type.Array(Output, { maxItems: 64 })),
})
export type InferenceRequest = Type.Static<typeof InferenceRequest>

/** What an application asks of the agent's endpoint, without the binary tensors that may follow it. */
export const inferenceRequest = defineMessage('inference request', MAX_INFERENCE_BYTES, InferenceRequest)
