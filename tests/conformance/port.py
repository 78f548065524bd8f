"""Makes the Autobahn suite's cases, which are Python 2, importable for Python 3.

Usage: port.py <folder of the unpacked autobahntestsuite> <folder for the package `cases`> <messages of each case of groups 12 and 13>

A case writes the bytes it sends as text literals. They stay text here, each character standing for one byte (latin-1);
client.py changes them to bytes where they meet the wire. lib2to3, part of Python up to 3.12, does the rest.
"""

import pathlib
import re
import sys
import warnings

warnings.simplefilter("ignore")  # lib2to3's end is known
from lib2to3 import refactor

FIXERS = ["dict", "except", "filter", "has_key", "map", "ne", "print", "raise", "unicode", "xrange", "zip"]

# What cases take from elsewhere and that must take and give text.
WIRE = '''"""Text that stands for bytes: what cases take from other modules."""
import binascii

from autobahn.websocket import utf8validator


def to_bytes(text):
    return text.encode("latin-1") if isinstance(text, str) else text


def to_text(octets):
    return octets.decode("latin-1") if isinstance(octets, bytes) else octets


def b2a_hex(text):
    return binascii.b2a_hex(to_bytes(text)).decode()


def a2b_hex(text):
    return binascii.a2b_hex(text).decode("latin-1")


hexlify, unhexlify = b2a_hex, a2b_hex


class Utf8Validator(utf8validator.Utf8Validator):
    def validate(self, text):
        return super().validate(to_bytes(text))
'''

# Python 2 as it stands in the files, and what it is here.
CHANGES = [
    # Not among the cases, and needs a library's version for Python 2.
    (r"^from case9_9_1 import \*$", ""),
    (r"^#.*coding[:=].*$", ""),
    (r"^from (case\w*) import", r"from cases.\1 import"),
    (r"from autobahn\.websocket\.utf8validator import", "from cases.wire import"),
    (r"^import binascii$", "from cases import wire as binascii"),
    (r"^import (.+), *binascii$", r"import \1\nfrom cases import wire as binascii"),
    (r"\(object, Case, \)", "(Case, )"),
    # Two equal lists may be pickled differently here.
    (r"pickle\.dumps\((\w+)\) == pickle\.dumps\((\w+)\)", r"\1 == \2"),
    (r"len\(self\.payload\) / ", "len(self.payload) // "),
]



def changes_of_compression(source, messages):
    """Groups 12 and 13 read test data, whose bytes they send and expect; the suite has 1,000 messages in each case."""
    data = repr(str(source / "testdata"))
    return [
        (r", pkg_resources, ", ", "),
        (r'pkg_resources\.resource_filename\("autobahntestsuite", "testdata/%s" % (.+)\)$', rf"os.path.join({data}, \1)"),
        (r"^def onMessage\(self, msg, binary\):$", r"def onMessage(self, msg, binary):\n   msg = binascii.to_bytes(msg)"),
        (r"^(   \(\d+, +)1000,", rf"\g<1>{int(messages)},"),
    ]


def main(source, target, messages):
    tool = refactor.RefactoringTool(["lib2to3.fixes.fix_" + name for name in FIXERS])
    target.mkdir(parents=True)
    (target / "wire.py").write_text(WIRE)
    for file in sorted((source / "case").glob("*.py")):
        text = file.read_text(encoding="latin-1")
        changes = CHANGES + (changes_of_compression(source, messages) if file.name == "case12_x_x.py" else [])
        for pattern, replacement in changes:
            text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
        text = str(tool.refactor_string(text.rstrip() + "\n", file.name))
        (target / file.name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3])
