"""Count the most frequent words of a text file.

Usage: python word_count.py FILE [HOW_MANY]
"""

import re
import sys
from collections import Counter


def count_words(text: str) -> Counter[str]:
    """Words are runs of letters; upper and lower case are the same word."""
    return Counter(re.findall(r"[^\W\d_]+", text.lower()))


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    how_many = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    with open(sys.argv[1], encoding="utf-8") as file:
        for word, times in count_words(file.read()).most_common(how_many):
            print(f"{times:6d}  {word}")


if __name__ == "__main__":
    main()
