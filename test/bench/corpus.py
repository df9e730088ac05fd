"""scikit-learn's CountVectorizer over the texts of a file, one per line: document frequencies, as in the corpus bench."""

import json
import sys
import time

from sklearn import __version__
from sklearn.feature_extraction.text import CountVectorizer

with open(sys.argv[1], encoding="utf-8") as lines:
    texts = [json.loads(line) for line in lines]
started = time.process_time()
counts = CountVectorizer(binary=True).fit_transform(texts)
frequencies = counts.sum(axis=0)
print(json.dumps({"seconds": time.process_time() - started, "terms": frequencies.shape[1], "version": __version__}))
