import { serveMeasuring } from '@espalier/shared/measure/child.js'
import * as runtime from 'onnxruntime-node'

serveMeasuring(runtime)
