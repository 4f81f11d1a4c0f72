"""Makes the wire's vectors again and compares them with the committed ones. Exit status 1 where they differ."""

import sys

from check import compare
from wire_model import VECTORS, vectors

if __name__ == "__main__":
    sys.exit(compare(VECTORS, vectors()))
