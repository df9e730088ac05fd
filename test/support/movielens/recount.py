#!/usr/bin/env python3
"""Recounts popularity and affinity from files, in another language and from the formulas alone.

  recount.py EVENTS.jsonl PRODUCTS.jsonl ANSWERS.jsonl [--popularity-days 14] [--affinity-days 30] [--tolerance 1e-9]

ANSWERS contains the answers of the product, one JSON object per line:
  {"source", "kind": "popularity", "id", "as_of", "score", "category"?, "views"?, "add_to_carts"?, "purchases"?}
  {"source", "kind": "affinity", "id", "as_of", "scores": {category: share}}
Times are milliseconds since 1970 UTC. Every answer is checked at its own as_of; every source and kind must include all
ids with anything in the window. Prints one JSON object; exits 1 on any difference. Standard library only.

Files are assumed to contain only in-time events: late and future events depend on the log's clock, which files lack.
"""

import argparse
import json
import math
import sys
from collections import defaultdict

DAY_MS = 24 * 60 * 60 * 1000
WEIGHTS = {"view": 1.0, "add_to_cart": 2.0, "purchase": 3.0}
COUNTS = {"view": "views", "add_to_cart": "add_to_carts", "purchase": "purchases"}
SHOWN_MAX = 20


def json_lines(path):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def distinct(events):
    """The first event of every (user, id): files are produced within the duplicate horizon."""
    seen = set()
    for event in events:
        identity = (event["user_id"], event["event_id"])
        if identity not in seen:
            seen.add(identity)
            yield event


def in_window(events, as_of):
    last = as_of // DAY_MS
    return [event for event in events if last - 90 < event["ts"] // DAY_MS <= last]


def decayed(events, as_of, half_life_days):
    rate = math.log(2.0) / (half_life_days * DAY_MS)
    return math.fsum(WEIGHTS[event["event_type"]] * math.exp(-rate * (as_of - event["ts"])) for event in events)


class Recount:
    def __init__(self, events, products, popularity_days, affinity_days):
        self.categories = {product["product_id"]: product["category"] for product in products}
        self.days = {"popularity": popularity_days, "affinity": affinity_days}
        self.by_id = {"popularity": defaultdict(list), "affinity": defaultdict(list)}
        for event in distinct(events):
            self.by_id["popularity"][event["product_id"]].append(event)
            self.by_id["affinity"][event["user_id"]].append(event)

    def ids(self, kind, as_of):
        return {one for one, events in self.by_id[kind].items() if in_window(events, as_of)}

    def popularity(self, product, as_of):
        events = in_window(self.by_id["popularity"].get(product, []), as_of)
        if not events:
            return None
        answer = {
            "score": decayed(events, as_of, self.days["popularity"]),
            "category": self.categories.get(product, "unknown"),
        }
        for event_type, name in COUNTS.items():
            answer[name] = sum(1 for event in events if event["event_type"] == event_type)
        return answer

    def affinity(self, user, as_of):
        events = in_window(self.by_id["affinity"].get(user, []), as_of)
        if not events:
            return None
        parts = defaultdict(list)
        for event in events:
            category = event.get("category") or self.categories.get(event["product_id"], "unknown")
            parts[category].append(event)
        total = decayed(events, as_of, self.days["affinity"])
        return {category: decayed(part, as_of, self.days["affinity"]) / total for category, part in parts.items()}


def relative(a, b):
    if a == b:
        return 0.0
    return abs(a - b) / max(abs(a), abs(b))


def differences(answer, recount):
    """Yields (what, error) for every number compared; an error of infinity is a difference in kind."""
    if answer["kind"] == "popularity":
        expected = recount.popularity(answer["id"], answer["as_of"])
        if expected is None:
            yield "there is nothing in the window", math.inf
            return
        yield "score", relative(answer["score"], expected["score"])
        for name in ("category", "views", "add_to_carts", "purchases"):
            if name in answer and answer[name] != expected[name]:
                yield f"{name} {answer[name]!r} where {expected[name]!r} is right", math.inf
        return
    expected = recount.affinity(answer["id"], answer["as_of"])
    if expected is None:
        yield "there is nothing in the window", math.inf
        return
    if answer["scores"].keys() != expected.keys():
        yield f"categories {sorted(answer['scores'])} where {sorted(expected)} are right", math.inf
        return
    for category, share in expected.items():
        yield f"share of {category}", relative(answer["scores"][category], share)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("events")
    parser.add_argument("products")
    parser.add_argument("answers")
    parser.add_argument("--popularity-days", type=float, default=14)
    parser.add_argument("--affinity-days", type=float, default=30)
    parser.add_argument("--tolerance", type=float, default=1e-9)
    options = parser.parse_args()
    recount = Recount(
        json_lines(options.events), json_lines(options.products), options.popularity_days, options.affinity_days
    )
    checked = defaultdict(int)
    worst = 0.0
    wrong = []
    named = defaultdict(set)
    newest = defaultdict(int)
    for answer in json_lines(options.answers):
        group = f"{answer['source']} {answer['kind']}"
        checked[group] += 1
        named[group].add(answer["id"])
        newest[group] = max(newest[group], answer["as_of"])
        for what, error in differences(answer, recount):
            if error > options.tolerance or math.isnan(error):
                wrong.append(f"{group} of {answer['id']}: {what}" + (f": off by {error:.3g}" if error < math.inf else ""))
            else:
                worst = max(worst, error)
    for group, ids in named.items():
        for missing in sorted(recount.ids(group.rsplit(" ", 1)[1], newest[group]) - ids):
            wrong.append(f"{group} of {missing}: missing")
    print(json.dumps({"checked": checked, "worst": worst, "wrong": len(wrong), "examples": wrong[:SHOWN_MAX]}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
