"""Makes the vectors again and compares them with the committed ones. Exit status 1 where they differ."""

import sys

from ratchet_model import VECTORS, vectors


def main():
    if not VECTORS.exists():
        print(f"{VECTORS} is missing", file=sys.stderr)
        return 1
    committed, made = VECTORS.read_text().splitlines(), vectors().splitlines()
    if committed == made:
        print("the committed vectors are what the model makes")
        return 0
    for number, (left, right) in enumerate(zip(committed, made), start=1):
        if left != right:
            print(f"line {number}: committed {left[:100]!r}, made {right[:100]!r}", file=sys.stderr)
            break
    else:
        print(f"{len(committed)} lines committed, {len(made)} made", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
