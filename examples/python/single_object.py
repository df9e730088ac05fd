"""Avro single-object encoding: C3 01, the CRC-64-AVRO fingerprint of the schema, the body."""

import io
import json
from pathlib import Path

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"


class SingleObject:
    """Encodes and decodes values of one schema, given by its file under schemas/."""

    def __init__(self, file: str):
        schema = json.loads((SCHEMAS / file).read_text())
        self._schema = fastavro.parse_schema(schema)
        canonical = to_parsing_canonical_form(schema)
        self._prefix = b"\xc3\x01" + bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO"))

    def encode(self, value: dict) -> bytes:
        out = io.BytesIO(self._prefix)
        out.seek(0, io.SEEK_END)
        fastavro.schemaless_writer(out, self._schema, value, strict=True)
        return out.getvalue()

    def decode(self, data: bytes) -> dict:
        if not data.startswith(self._prefix):
            raise ValueError("written with another schema or framing (with a registry, use its deserializer)")
        return fastavro.schemaless_reader(io.BytesIO(data[len(self._prefix) :]), self._schema)
