"""Runs SQL statements on a SQLite file and prints the rows they give; a second program beside the server.

Usage: sqlite.py FILE STATEMENT... [--hold]

Each row is a line, with a space between two values. With --hold, what the statements locked stays locked until the
input ends, and nothing is committed.
"""

import sqlite3
import sys


def main(file, *arguments):
    statements = [argument for argument in arguments if argument != "--hold"]
    database = sqlite3.connect(file, isolation_level=None)
    for statement in statements:
        for row in database.execute(statement):
            print(*row, flush=True)
    if "--hold" in arguments:
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
