"""Runs the tests of a woven build once for each mutant, and keeps what came of it.

    python3 judge.py OUT FILES PROGRAM [ARGUMENT…]

FILES is a regular expression over the mutants' names. OUT/outcomes.json grows: a mutant that was caught is not run
again, one that was missed is, so that a second call with the tests of another program narrows the rest down. Limits
are of processor time, since a busy machine must not make a mutant look caught: eight times what the tests need without
a mutant. One that waits for ever is ended by the wall clock, and named `timeout` as is one that counts for ever.
"""

import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import time

MEMORY = 6 << 30
ENVIRONMENT = {
    "PROPTEST_DISABLE_FAILURE_PERSISTENCE": "1",
    "PROPTEST_MAX_SHRINK_ITERS": "0",
    "RUST_BACKTRACE": "0",
    # Lets the harness stop at the first test that fails.
    "RUSTC_BOOTSTRAP": "1",
}


def run(command, mutant, processor, wall):
    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (processor, processor + 1))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.setsid()

    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    child = subprocess.Popen(
        command,
        env=os.environ | ENVIRONMENT | {"MUTANT": str(mutant)},
        preexec_fn=limit,
        stdout=subprocess.DEVNULL if mutant else None,
        stderr=subprocess.DEVNULL if mutant else None,
    )
    try:
        code = child.wait(timeout=wall)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, 9)
        child.wait()
        code = None
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return code, ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime


def main():
    out, files, command = pathlib.Path(sys.argv[1]), re.compile(sys.argv[2]), sys.argv[3:]
    command += ["-Z", "unstable-options", "--fail-fast"]
    ids = json.loads((out / "ids.json").read_text())
    unviable = {line for line in (out / "unviable").read_text().split()}
    kept = out / "outcomes.json"
    outcomes = json.loads(kept.read_text()) if kept.exists() else {}
    began = time.monotonic()
    code, used = run(command, 0, 3600, 3600)
    if code != 0:
        sys.exit("the tests fail without a mutant")
    processor = max(20, int(8 * used))
    wall = max(300, int(20 * (time.monotonic() - began)))
    print(f"without a mutant: {used:.1f} s of processor time", flush=True)
    for number, name in ids.items():
        if number in unviable:
            outcomes[name] = "unviable"
        elif files.search(name) and outcomes.get(name) in (None, "missed"):
            code, _ = run(command, int(number), processor, wall)
            timed_out = code is None or code in (-24, -9)
            outcomes[name] = "missed" if code == 0 else "timeout" if timed_out else "caught"
            if outcomes[name] != "caught":
                print(outcomes[name], name, flush=True)
            kept.write_text(json.dumps(outcomes, indent=0))
    kept.write_text(json.dumps(outcomes, indent=0))


main()
