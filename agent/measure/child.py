"""A measuring process over Python's onnxruntime (or onnxruntime-gpu): see docs/measuring.md for what it answers.

The same pattern, settings and steps as shared/measure/child.ts, so that figures of the two can be compared.
"""

import base64
import json
import os
import re
import statistics
import sys
import time

import numpy
import onnxruntime

MEMORY_RUNS = 5
WINDOW = 8
MAX_WINDOWS = 16
MOST_VALUES = 64
MOST_OUTPUTS = 16

NAMES = {'tensor(float)': 'float32', 'tensor(double)': 'float64', 'tensor(float16)': 'float16', 'tensor(bool)': 'bool'}
NAMES.update({f'tensor({kind}{bits})': f'{kind}{bits}' for kind in ('int', 'uint') for bits in (8, 16, 32, 64)})


class Failure(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def one_line(error):
    return re.sub(r'\s+', ' ', str(error))[:400]


def providers():
    """By the names that sessions are asked for with: cpu, cuda, tensorrt, … Azure's computes elsewhere."""
    found = (name for name in onnxruntime.get_available_providers() if not name.startswith('Azure'))
    return {re.sub('ExecutionProvider$', '', name).lower(): name for name in found}


def session_of(model, threads, provider):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    options.add_session_config_entry('session.inter_op.allow_spinning', '0')
    if provider not in providers():
        raise Failure('OPTION_INVALID', f"there is no provider '{provider}'; there are {', '.join(providers())}")
    return onnxruntime.InferenceSession(model, options, providers=[providers()[provider]])


def dims_of(name, declared, given):
    dynamic = [not isinstance(d, int) for d in declared]
    if given is not None:
        if len(given) != len(declared) or any(not free and d != g for free, d, g in zip(dynamic, declared, given)):
            raise Failure('OPTION_INVALID', f"input '{name}' is declared as {declared}; {given} does not fit it")
        return given
    if any(dynamic[1:]):
        raise Failure('DIMENSION_UNKNOWN', f"input '{name}' has the dynamic shape {declared}")
    return [1 if free else d for free, d in zip(dynamic, declared)]


def filled(kind, dims):
    count = int(numpy.prod(dims, dtype=numpy.int64))
    if kind != 'float32':
        return numpy.zeros(dims, dtype=kind)
    return (((numpy.arange(count, dtype=numpy.int64) * 7919) % 257) / 128.5 - 1).astype(numpy.float32).reshape(dims)


def peak_bytes():
    with open('/proc/self/status') as status:
        return int(re.search(r'^VmHWM:\s+(\d+) kB$', status.read(), re.M)[1]) * 1024


class Measured:
    def __init__(self):
        self.session = None
        self.feeds = {}

    def start(self, network, **_):
        session = session_of(base64.b64decode(network), 1, 'cpu')
        for _ in range(MEMORY_RUNS):
            session.run(None, {'x': filled('float32', [1, 3, 16, 16])})
        del session
        return {
            'runtimeBaseBytes': peak_bytes(),
            'runtime': 'onnxruntime-python',
            'runtimeVersion': onnxruntime.__version__,
            'providers': list(providers()),
        }

    def load(self, path, threads=1, provider=None, shapes=None, **_):
        provider = provider or 'cpu'
        began = time.perf_counter()
        try:
            self.session = session_of(path, threads, provider)
        except Failure:
            raise
        except Exception as e:
            raise Failure('MODEL_UNSUPPORTED', f"the runtime cannot load '{path}': {one_line(e)}")
        cold_load_ms = (time.perf_counter() - began) * 1000
        inputs = []
        for given in self.session.get_inputs():
            if given.type not in NAMES:
                raise Failure('MODEL_UNSUPPORTED', f"input '{given.name}' is no tensor of numbers")
            dims = dims_of(given.name, given.shape, (shapes or {}).get(given.name))
            inputs.append({'name': given.name, 'type': NAMES[given.type], 'dims': dims})
            self.feeds[given.name] = filled(NAMES[given.type], dims)
        try:
            first_run_ms = self.query()
        except Exception as e:
            raise Failure('MODEL_UNRUNNABLE', f"the model '{path}' does not run: {one_line(e)}")
        used = {full: name for name, full in providers().items()}[self.session.get_providers()[0]]
        return {'provider': used, 'coldLoadMs': cold_load_ms, 'firstRunMs': first_run_ms, 'inputs': inputs}

    def memory(self, **_):
        for _ in range(MEMORY_RUNS):
            self.query()
        return {'processBytes': peak_bytes()}

    def golden(self, **_):
        names = [output.name for output in self.session.get_outputs()]
        found = []
        for name, output in zip(names, self.session.run(None, self.feeds)):
            if getattr(output, 'dtype', None) not in (numpy.float32, numpy.float64) or len(found) == MOST_OUTPUTS:
                continue
            flat = output.reshape(-1)
            count = min(MOST_VALUES, flat.size)
            scale = float(numpy.max(numpy.abs(flat))) if flat.size else 0.0
            if count == 0 or not numpy.isfinite(scale):
                continue
            values = [float(flat[i * flat.size // count]) for i in range(count)]
            found.append({'name': name, 'dims': list(output.shape), 'values': values, 'scale': scale})
        return found

    def warm(self, queries, leastSeconds, seconds, **_):
        began = time.perf_counter()
        warm_ups, unsteady, before = 0, 0, float('nan')
        while unsteady < MAX_WINDOWS:
            window = []
            while len(window) < WINDOW and time.perf_counter() - began < seconds:
                window.append(self.query())
            warm_ups += len(window)
            if len(window) < WINDOW:
                break
            now = statistics.median(window)
            steady = abs(now - before) <= 0.05 * before
            before = now
            if warm_ups < queries or time.perf_counter() - began < leastSeconds:
                continue
            if steady:
                return {'warmUps': warm_ups, 'steady': True}
            unsteady += 1
        return {'warmUps': warm_ups, 'steady': False}

    def time(self, untimed, queries, leastSeconds, seconds, **_):
        for _ in range(untimed):
            self.query()
        began = time.perf_counter()
        latencies = []
        while True:
            latencies.append(round(self.query(), 5))
            lasted = time.perf_counter() - began
            if lasted >= seconds or (len(latencies) >= queries and lasted >= leastSeconds):
                return {'latenciesMs': latencies}

    def query(self):
        if self.session is None:
            raise Failure('MEASURING_FAILED', 'load a model first')
        began = time.perf_counter()
        self.session.run(None, self.feeds)
        return (time.perf_counter() - began) * 1000


def main():
    # Whatever a library prints is none of the conversation.
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    measured = Measured()
    does = {name: getattr(measured, name) for name in ('start', 'load', 'memory', 'golden', 'warm', 'time')}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request['do'] not in does:
                raise Failure('MEASURING_FAILED', f"'{request['do']}' is not measured by Python's onnxruntime")
            answer = {'ok': does[request['do']](**request)}
        except Failure as e:
            answer = {'error': {'code': e.code, 'message': str(e)}}
        except Exception as e:
            answer = {'error': {'code': 'MEASURING_FAILED', 'message': one_line(e)}}
        answers.write(json.dumps({'id': request['id'], **answer}) + '\n')
        answers.flush()


main()
