"""Asks an Open Inference Protocol endpoint with Triton's own client and prints what came back, one JSON object a line.

Its argument is {"url", "width", "clients", "requests"}. Every hundred requests it prints {"done": n}, at the end
{"answers": {version: count}, "wrong": [...], "failed": [...], "failures": n}; every answer is compared with the
first of its version.
"""
import json
import sys
import threading

import numpy
import tritonclient.http as triton

settings = json.loads(sys.argv[1])
x = numpy.sin(numpy.arange(1, settings["width"] + 1, dtype=numpy.float32)).reshape(1, -1)
lock = threading.Lock()
answers, expected, wrong, failed = {}, {}, [], []
asked = 0


def another():
    """Whether one more request is to be made."""
    global asked
    with lock:
        if asked == settings["requests"]:
            return False
        asked += 1
        if asked % 100 == 0:
            print(json.dumps({"done": asked}), flush=True)
        return True


def ask():
    client = triton.InferenceServerClient(settings["url"])
    tensor = triton.InferInput("x", list(x.shape), "FP32")
    tensor.set_data_from_numpy(x)
    wanted = [triton.InferRequestedOutput("y1", binary_data=True)]
    while another():
        try:
            result = client.infer("digits", [tensor], outputs=wanted)
        except Exception as problem:  # whatever it is, it is a request that was not answered
            with lock:
                failed.append(str(problem))
            continue
        version = result.get_response()["model_version"]
        y = result.as_numpy("y1")
        with lock:
            answers[version] = answers.get(version, 0) + 1
            if not numpy.array_equal(expected.setdefault(version, y), y):
                wrong.append(version)


first = triton.InferenceServerClient(settings["url"])
assert first.is_server_live() and first.is_server_ready() and first.is_model_ready("digits")
metadata = first.get_model_metadata("digits")
assert metadata["inputs"][0]["datatype"] == "FP32", metadata
threads = [threading.Thread(target=ask) for _ in range(settings["clients"])]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps({"answers": answers, "wrong": wrong, "failed": failed[:10], "failures": len(failed)}))
