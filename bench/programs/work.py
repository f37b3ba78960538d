"""What a Python service does all day: objects, dictionaries, strings, JSON; the argument is how many records."""

import json
import random
import re
import sys


class Record:
    def __init__(self, key, words):
        self.key = key
        self.words = words
        self.tags = {word: len(word) for word in words}


def main(count):
    rng = random.Random(1)
    alphabet = ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(3, 12))) for _ in range(2000)]
    records = {}
    for i in range(count):
        key = f"{rng.randrange(count)}-{i % 7}"
        records[key] = Record(key, [rng.choice(alphabet) for _ in range(8)])
        if i % 3 == 0:
            records.pop(f"{rng.randrange(count)}-{rng.randrange(7)}", None)
    text = json.dumps([{"key": r.key, "words": r.words, "tags": r.tags} for r in records.values()])
    again = json.loads(text)
    pattern = re.compile(r"\"([a-p]+)\": (\d+)")
    total = sum(int(match.group(2)) for match in pattern.finditer(text))
    lines = sorted(" ".join(item["words"]) for item in again)
    index = {}
    for number, line in enumerate(lines):
        for word in line.split():
            index.setdefault(word, []).append(number)
    assert total > 0 and len(index) > 0


main(int(sys.argv[1]))
