"""Word frequencies of a real text: sparse, non-negative features that nobody designed.

The text is what scikit-learn carries: the documentation strings of its modules, classes and
functions, read from the installed package (its version is pinned in requirements.txt). A document
is one paragraph; a paragraph that occurs many times, as descriptions of parameters do, counts once.
"""

import ast
import importlib.util
import re
from collections import Counter
from pathlib import Path

import numpy as np
import torch

PACKAGE = "sklearn"
SHORTEST = 10  # words of the shortest paragraph taken
CLIP = 0.99  # quantile of a word's frequencies that becomes the value 1
WORD = re.compile(r"[a-z]{2,}")  # single letters are mostly names of variables
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def paragraphs():
    """The documents of the installed PACKAGE: a list of lists of words, in a fixed order."""
    root = Path(importlib.util.find_spec(PACKAGE).origin).parent
    found = {}
    for path in sorted(root.rglob("*.py")):
        if "tests" in path.relative_to(root).parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = ast.get_docstring(node) if isinstance(node, DOCUMENTED) else None
            for paragraph in re.split(r"\n\s*\n", text or ""):
                if ">>>" not in paragraph:  # an example is code, not prose
                    found.setdefault(tuple(WORD.findall(paragraph.lower())))
    return [list(words) for words in found if len(words) >= SHORTEST]


def frequent_words(documents, count, densest=1.0):
    """The `count` words in most documents, most frequent first, of those in at most a share
    `densest` of them. Ties go by the alphabet. Raises ValueError when there are not enough."""
    share = Counter(word for document in documents for word in set(document))
    allowed = [word for word in share if share[word] <= densest * len(documents)]
    if len(allowed) < count:
        raise ValueError(f"only {len(allowed)} words are in at most {densest:g} of all documents")
    return sorted(allowed, key=lambda word: (-share[word], word))[:count]


def word_values(documents, words):
    """Values x [documents, words] in [0, 1], float32.

    A word's frequency in a document (occurrences / words of the document), divided by the
    frequency that only 1 % of the documents with that word exceed, and at most 1.
    """
    column = {word: i for i, word in enumerate(words)}
    x = np.zeros((len(documents), len(words)))
    for row, document in enumerate(documents):
        for word in document:
            if word in column:
                x[row, column[word]] += 1 / len(document)
    scale = [np.quantile(values[values > 0], CLIP) if values.any() else 1.0 for values in x.T]
    return torch.as_tensor(np.minimum(x / scale, 1.0), dtype=torch.float32)
