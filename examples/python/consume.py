"""Prints changes of popularity, existing rows first: KAFKA_BROKERS=localhost:9092 python consume.py [how many]"""

import os
import sys

from confluent_kafka import Consumer, TopicPartition
from single_object import SingleObject

TOPIC = "popularity.v1"
popularity = SingleObject("features/popularity.avsc")
consumer = Consumer(
    {
        "bootstrap.servers": os.environ["KAFKA_BROKERS"],
        # Every reader reads the whole table, so partitions are not shared and no offsets are committed.
        "group.id": "not-used",
        "enable.auto.commit": False,
        # Only committed records: the other half of exactly once.
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
    }
)
partitions = consumer.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions
consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in partitions])
left = int(sys.argv[1]) if len(sys.argv) > 1 else -1
while left != 0:
    message = consumer.poll(1.0)
    if message is None:
        continue
    if message.error():
        sys.exit(str(message.error()))
    if message.value() is None:
        print(message.key().decode(), "gone", flush=True)
    else:
        row = popularity.decode(message.value())
        print(row["product_id"], row["score"], row["as_of"].isoformat(), flush=True)
    left -= 1
consumer.close()
