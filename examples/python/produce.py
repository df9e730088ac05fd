"""Writes events from JSON lines on standard input: KAFKA_BROKERS=localhost:9092 python produce.py < events.jsonl"""

import json
import os
import sys

from confluent_kafka import Producer
from single_object import SingleObject

event = SingleObject("events/event.avsc")
producer = Producer(
    {
        "bootstrap.servers": os.environ["KAFKA_BROKERS"],
        # The default, CRC32, would write users to partitions where Freshet rejects them.
        "partitioner": "murmur2_random",
        "acks": "all",
        "enable.idempotence": True,
    }
)
failed = []


def delivered(error, _message):
    if error is not None:
        failed.append(error)


count = 0
for line in sys.stdin:
    value = {"category": None, **json.loads(line)}
    # Keyed by user_id; fastavro also takes a datetime for ts.
    producer.produce("events", key=value["user_id"], value=event.encode(value), on_delivery=delivered)
    producer.poll(0)
    count += 1
producer.flush()
if failed:
    sys.exit(f"{len(failed)} of {count} events were not written: {failed[0]}")
print(f"{count} events are in the log")
