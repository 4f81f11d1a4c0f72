"""Compiles many mutants into one build.

Reads the list of `cargo mutants --list --json` from standard input and rewrites the sources of the tree in the working
directory: a function that has mutants becomes `match switch { 0 => its body, 1 => the first mutant's body, … }`, and
the environment variable MUTANT says which one a process runs. `ids.json` then holds the mutants by number, `apart.json`
those that cannot be chosen at run time (constants, `const fn`, and what returns `impl Trait`): `cargo mutants` itself
runs them.

    cargo mutants --list --json … | python3 weave.py OUT [UNVIABLE]

UNVIABLE is a file of numbers, one a line, that are left out because they do not compile.
"""

import collections
import json
import pathlib
import sys

SWITCH = """
#[doc(hidden)]
#[allow(missing_docs, clippy::all)]
pub mod mutant_switch {
    static CHOSEN: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    pub fn at(first: u32, count: u32) -> u32 {
        let chosen = *CHOSEN.get_or_init(|| {
            std::env::var("MUTANT").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
        });
        if chosen >= first && chosen < first + count { chosen - first + 1 } else { 0 }
    }
}
"""


def offsets(text):
    """Where each line begins."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts


def at(starts, place):
    return starts[place["line"] - 1] + place["column"] - 1


def body_of(text, start):
    """Where the body of the function that begins at `start` opens: its first brace outside of brackets."""
    depth, here = 0, start
    while True:
        char = text[here]
        if text.startswith("//", here):
            here = text.index("\n", here)
        elif char == '"':
            here += 1
            while text[here] != '"':
                here += 2 if text[here] == "\\" else 1
        elif char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
        elif char == "{" and depth == 0:
            return here
        here += 1


def outermost(spans):
    """Of nested functions only the outer ones."""
    kept = []
    for span in sorted(set(spans), key=lambda span: (span[0], -span[1])):
        if not kept or span[0] >= kept[-1][1]:
            kept.append(span)
    return kept


def weave(path, mutants, number, unviable, ids, apart):
    text = pathlib.Path(path).read_text()
    starts = offsets(text)
    inside = collections.defaultdict(list)
    spans = [
        (at(starts, m["function"]["span"]["start"]), at(starts, m["function"]["span"]["end"]))
        for m in mutants
        if m["function"]
    ]
    spans = outermost(spans)
    for mutant in mutants:
        begin, end = at(starts, mutant["span"]["start"]), at(starts, mutant["span"]["end"])
        home = next((span for span in spans if span[0] <= begin and end <= span[1]), None)
        signature = text[home[0] : body_of(text, home[0])] if home else ""
        if home is None or "const fn" in signature or "-> impl" in signature:
            apart.append(mutant["name"])
        else:
            inside[home].append((begin, end, mutant))
    pieces, done = [], 0
    for home in sorted(inside):
        opens, closes = body_of(text, home[0]), home[1]
        original = text[opens:closes]
        arms = []
        first = number
        for begin, end, mutant in inside[home]:
            ids[number] = mutant["name"]
            changed = text[opens:begin] + " " + mutant["replacement"] + " " + text[end:closes]
            if number in unviable:
                changed = original
            arms.append(f"// MUTANT {number}\n{number - first + 1} => {changed}\n// ORIGINAL\n")
            number += 1
        pieces.append(text[done:opens])
        pieces.append(f"{{\nmatch crate::mutant_switch::at({first}, {number - first}) {{\n0 => {original}\n")
        pieces.extend(arms)
        pieces.append("_ => unreachable!(),\n}\n}")
        done = closes
    pieces.append(text[done:])
    pathlib.Path(path).write_text("".join(pieces))
    return number


def main():
    out = pathlib.Path(sys.argv[1])
    unviable = set()
    if len(sys.argv) > 2:
        unviable = {int(line) for line in pathlib.Path(sys.argv[2]).read_text().split()}
    by_file = collections.defaultdict(list)
    for mutant in json.load(sys.stdin):
        by_file[mutant["file"]].append(mutant)
    number, ids, apart = 1, {}, []
    for path in sorted(by_file):
        number = weave(path, by_file[path], number, unviable, ids, apart)
    for crate in {path.split("/src/")[0] for path in by_file}:
        lib = pathlib.Path(crate) / "src/lib.rs"
        lib.write_text(lib.read_text() + SWITCH)
    (out / "ids.json").write_text(json.dumps(ids, indent=0))
    (out / "apart.json").write_text(json.dumps(sorted(apart), indent=0))
    print(f"{len(ids)} woven, {len(apart)} apart, {len(unviable)} unviable", file=sys.stderr)


main()
