"""The two framings of Avro values.

Avro single-object encoding: C3 01, the CRC-64-AVRO fingerprint of the schema, the body. With a schema registry
(SCHEMA_REGISTRY_URL): 0, the id of the writer's schema (4 bytes, big endian), the body.
"""

import io
import json
import os
import urllib.request
from pathlib import Path

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"


class SingleObject:
    """Encodes and decodes values of one schema, given by its file under schemas/."""

    def __init__(self, file: str):
        schema = json.loads((SCHEMAS / file).read_text())
        self._schema = fastavro.parse_schema(schema)
        self._writers: dict[int, dict] = {}
        canonical = to_parsing_canonical_form(schema)
        self._prefix = b"\xc3\x01" + bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO"))

    def encode(self, value: dict) -> bytes:
        out = io.BytesIO(self._prefix)
        out.seek(0, io.SEEK_END)
        fastavro.schemaless_writer(out, self._schema, value, strict=True)
        return out.getvalue()

    def decode(self, data: bytes) -> dict:
        if data.startswith(self._prefix):
            return fastavro.schemaless_reader(io.BytesIO(data[len(self._prefix) :]), self._schema)
        if data[:1] == b"\x00":
            writer = self._registered(int.from_bytes(data[1:5], "big"))
            return fastavro.schemaless_reader(io.BytesIO(data[5:]), writer, self._schema)
        raise ValueError("written with another schema or framing")

    def _registered(self, number: int) -> dict:
        if number not in self._writers:
            base = os.environ.get("SCHEMA_REGISTRY_URL")
            if base is None:
                raise ValueError(f"schema {number} is in a registry: set SCHEMA_REGISTRY_URL")
            with urllib.request.urlopen(f"{base.rstrip('/')}/schemas/ids/{number}", timeout=10) as answer:
                self._writers[number] = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
        return self._writers[number]
