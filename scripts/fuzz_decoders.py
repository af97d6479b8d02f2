"""Looks for a record that breaks the decoding, led by the code that each try reaches.

    python -m scripts.fuzz_decoders [--seconds 60]

A soak run may call it. It needs atheris (libFuzzer for Python), which is no dependency of ours:
without it the command says so and ends with 3. What it promises is what
`tests/streams/test_decoder_fuzz.py` promises, from whose formats it takes headers, options and
first records; the first byte of an input chooses the format. Inputs that reach something new are
kept in `build/fuzz`, so that the next run goes on from there; one that breaks the promise is
written there too and named on stderr.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any

CORPUS = Path("build/fuzz")
_BYTES_MAX = 4096


def main() -> int:
    """Fuzz for so long; the fuzzer ends the process itself, with 77 if it found something."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        print(
            "atheris is not installed; `pip install atheris` into this environment", file=sys.stderr
        )
        return 3
    with atheris.instrument_imports(include=["streams"]):
        promise = importlib.import_module("tests.streams.test_decoder_fuzz")
        bodies = importlib.import_module("tests.streams.format_bodies")
        metrics = importlib.import_module("tests.streams.metric_bodies")
    CORPUS.mkdir(parents=True, exist_ok=True)
    grammars = list(promise.GRAMMARS.values())
    _write_seeds(bodies, metrics, [*promise.GRAMMARS])

    def try_input(data: bytes) -> None:
        if data:
            _, headers, options = grammars[data[0] % len(grammars)]
            promise.check(bodies.Record(data[1:], headers, options), bodies.NOON_S)

    atheris.Setup(
        [
            sys.argv[0],
            str(CORPUS),
            f"-max_total_time={arguments.seconds}",
            f"-max_len={_BYTES_MAX}",
            f"-artifact_prefix={CORPUS}/",
            "-verbosity=0",
            "-print_final_stats=1",
        ],
        try_input,
    )
    atheris.Fuzz()
    return 0


def _write_seeds(bodies: Any, metrics: Any, names: list[str]) -> None:
    """One valid record of each format to begin with."""
    shapes = [bodies.as_json(shape) for shape in bodies.SHAPES.values()]
    packed = bodies.packed([bodies.NOON_MS, "core", "eu-west-1", "7", 3, True, 0.5]).body
    fields = {"module": "core", "time": bodies.NOON_MS, "count": 3}
    export = metrics.an_export(metrics.a_sum(metrics.a_point(7)), metrics.a_histogram(5))
    seeds = {
        "contract": [bodies.as_json(bodies.CONTRACT)],
        "shapes": shapes,
        "messages": [bodies.as_json(bodies.a_message(bodies.CONTRACT))],
        "cloudevents_binary": [bodies.as_json({"module": "core", "count": 5})],
        "jsonl": [b"\n".join(shapes)],
        "msgpack": [packed],
        "avro": [bodies.framed(bodies.AVRO_ID, bodies.avro_body(fields))],
        "protobuf": [bodies.framed(bodies.PROTOBUF_ID, bodies.protobuf_body(**fields))],
        "otlp_proto_traces": [bodies.otlp_proto(bodies.a_span(trace_state="ot=th:c")).body],
        "otlp_json_traces": [bodies.as_json(bodies.otlp_json(bodies.a_json_span()))],
        "otlp_proto_metrics": [metrics.in_protobuf(export).body],
        "otlp_json_metrics": [metrics.in_json(export).body],
        "prometheus_json": [bodies.as_json(metrics.from_adapter())],
    }
    for name, records in seeds.items():
        for number, body in enumerate(records):
            seed = CORPUS / f"seed-{name}-{number}"
            seed.write_bytes(bytes([names.index(name)]) + body)


if __name__ == "__main__":
    sys.exit(main())
