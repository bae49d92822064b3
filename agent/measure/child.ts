/** Run as a child: measures one model with onnxruntime-node, which the agent itself never loads. */
import { serveMeasuring } from '@espalier/shared/measure/child.js'
import * as onnxruntime from 'onnxruntime-node'

serveMeasuring(onnxruntime)
