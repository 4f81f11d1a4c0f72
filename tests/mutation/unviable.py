"""Which woven mutants do not compile: reads `cargo check --message-format json`, prints their numbers.

Fails where an error is in no mutant. Run in the woven tree.
"""

import json
import pathlib
import re
import sys

maps = {}


def mutant_at(file, line):
    """The mutant whose copy of a body holds this line."""
    if file not in maps:
        now, found = None, [None]
        for text in pathlib.Path(file).read_text().splitlines():
            if match := re.fullmatch(r"// MUTANT (\d+)", text):
                now = int(match[1])
            elif text == "// ORIGINAL":
                now = None
            found.append(now)
        maps[file] = found
    return maps[file][line]


def own_spans(spans):
    """Spans in the tree, those behind macros too."""
    for span in spans:
        while span:
            if not span["file_name"].startswith("/"):
                yield span
            span = (span.get("expansion") or {}).get("span")


numbers, strange = set(), []
for line in sys.stdin:
    try:
        message = json.loads(line).get("message")
    except json.JSONDecodeError:
        continue
    if not isinstance(message, dict) or message.get("level") != "error" or not message.get("spans"):
        continue
    spans = sorted(own_spans(message["spans"]), key=lambda span: not span["is_primary"])
    found = [m for s in spans if (m := mutant_at(s["file_name"], s["line_start"])) is not None]
    if found:
        numbers.add(found[0])
    else:
        strange.append(message["rendered"])
print(*sorted(numbers), sep="\n")
if strange:
    sys.exit("errors outside of mutants:\n" + "\n".join(strange[:5]))
