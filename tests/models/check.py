"""Makes all vectors again and compares them with the committed ones. Exit status 1 where they differ."""

import sys

import ratchet_model
import wire_model


def compare(path, text):
    if not path.exists():
        print(f"{path} is missing", file=sys.stderr)
        return 1
    committed, made = path.read_text().splitlines(), text.splitlines()
    if committed == made:
        print(f"{path.name}: the committed vectors are what the model makes")
        return 0
    for number, (left, right) in enumerate(zip(committed, made), start=1):
        if left != right:
            print(f"line {number}: committed {left[:100]!r}, made {right[:100]!r}", file=sys.stderr)
            break
    else:
        print(f"{len(committed)} lines committed, {len(made)} made", file=sys.stderr)
    return 1


def main():
    models = (ratchet_model, wire_model)
    return max([compare(model.VECTORS, model.vectors()) for model in models])


if __name__ == "__main__":
    sys.exit(main())
