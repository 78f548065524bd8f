"""Plays the Autobahn suite's cases (see port.py) against a server, one after the other.

Usage: client.py <ws URL> <report.json> [case pattern...]

The report holds, for each case, `behavior`, `behaviorClose`, and what the case says of both. Autobahn's own client of
that time does the framing, faulty frames included; the cases tell it what to send and judge what comes back.
"""

import fnmatch
import json
import re
import sys

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol, connectWS
from twisted.internet import reactor

from cases import Cases
from cases.wire import to_bytes, to_text


def name_of(case):
    return case.__name__.removeprefix("Case").replace("_", ".")


class Player(WebSocketClientProtocol):
    """One connection: plays `self.factory.case`."""

    def connectionMade(self):
        self.connectionWasOpen = False
        self.createWirelog = False
        self.txFrameStats = {}
        self.case = self.factory.case(self)
        super().connectionMade()

    def connectionLost(self, reason):
        super().connectionLost(reason)
        self.case.onConnectionLost(self.failedByMe)
        self.factory.report[name_of(self.factory.case)] = {
            "behavior": self.case.behavior,
            "behaviorClose": self.case.behaviorClose,
            "result": self.case.result,
            "resultClose": self.case.resultClose,
        }

    def onOpen(self):
        self.connectionWasOpen = True
        self.case.onOpen()

    def onMessage(self, payload, isBinary):
        self.case.onMessage(to_text(payload), isBinary)

    def onPing(self, payload):
        super().onPing(payload)
        self.case.onPing(to_text(payload))

    def onPong(self, payload):
        self.case.onPong(to_text(payload))

    def onClose(self, wasClean, code, reason):
        self.case.onClose(wasClean, code, reason)

    # What cases ask for.

    def enableWirelog(self, enable):
        self.createWirelog = enable

    def later(self, delay, action):
        reactor.callLater(delay, lambda: self.state != self.STATE_CLOSED and action())

    def continueLater(self, delay, action, tag=None):
        self.later(delay, action)

    def killAfter(self, delay):
        self.later(delay, self.failConnection)

    def closeAfter(self, delay):
        self.later(delay, self.sendClose)

    # Where their text becomes bytes.

    def sendFrame(self, opcode, payload="", payload_len=None, **options):
        payload = to_bytes(payload)
        if payload_len is not None:
            payload = (payload * (payload_len // len(payload) + 1))[:payload_len]
        self.txFrameStats[opcode] = self.txFrameStats.get(opcode, 0) + 1
        super().sendFrame(opcode, payload=payload, **options)

    def sendMessage(self, payload, isBinary=False, **options):
        super().sendMessage(to_bytes(payload), isBinary, **options)

    def sendMessageFrameData(self, payload, sync=False):
        return super().sendMessageFrameData(to_bytes(payload), sync)

    def sendCloseFrame(self, code=None, reasonUtf8=None, isReply=False):
        super().sendCloseFrame(code, to_bytes(reasonUtf8) if reasonUtf8 is not None else None, isReply)


class Suite(WebSocketClientFactory):
    """All connections, and the report."""

    protocol = Player

    def __init__(self, url, cases):
        super().__init__(url)
        self.setProtocolOptions(version=18, failByDrop=False)  # RFC 6455, and faults closed as it says
        self.waiting = list(cases)
        self.report = {}
        self.case = None

    def next(self, connector=None):
        if not self.waiting:
            return reactor.stop()
        self.case = self.waiting.pop(0)
        connector.connect() if connector else connectWS(self)

    def clientConnectionLost(self, connector, reason):
        self.next(connector)

    def clientConnectionFailed(self, connector, reason):
        self.report[name_of(self.case)] = {"behavior": "FAILED", "behaviorClose": "no connection"}
        reactor.stop()


def main(url, report, *patterns):
    wanted = lambda case: any(fnmatch.fnmatch(name_of(case), pattern) for pattern in patterns or ["*"])
    order = lambda case: [int(part) for part in re.findall(r"\d+", case.__name__)]
    suite = Suite(url, sorted(filter(wanted, Cases), key=order))
    suite.next()
    reactor.run()
    with open(report, "w") as file:
        json.dump(suite.report, file, indent=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
