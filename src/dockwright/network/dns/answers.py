"""From a question to an answer: bytes in, bytes out, no I/O. The wire format is dnslib's (RFC 1035, RFC 6891)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import dnslib  # type: ignore[import-untyped]

from dockwright.network.dns.names import Names, Scope, parse_reverse
from dockwright.network.model import Endpoint

#: How long a client may keep an answer: containers come and go.
TTL_S = 5
PLAIN_LIMIT = 512
EDNS_LIMIT = 1232
_SERVFAIL, _NXDOMAIN, _FORMERR = 2, 3, 1
_HEADER_BYTES = 12


class Malformed(Exception):
    """What arrived is no question; `answer` is what to say to it, b"" for nothing."""

    def __init__(self, answer: bytes) -> None:
        super().__init__("malformed question")
        self.answer = answer


class Question:
    """One parsed question. Raises `Malformed`."""

    def __init__(self, data: bytes) -> None:
        try:
            self._record = dnslib.DNSRecord.parse(data)
            self.name = ".".join(label.decode("ascii") for label in self._record.q.qname.label)
        except (dnslib.DNSError, ValueError, IndexError, struct.error) as error:
            raise Malformed(_form_error(data)) from error
        if self._record.header.qr or len(self._record.questions) != 1:
            raise Malformed(b"" if self._record.header.qr else _form_error(data))
        self.kind: int = self._record.q.qtype
        self.data = data

    def reply(self, names: Names, scopes: Sequence[Scope], *, limited: bool) -> bytes | None:
        """The answer when the name is ours, else None. `limited`: it must fit the datagram the asker takes."""
        if self._record.q.qclass != dnslib.CLASS.IN:
            return None
        if self.kind == dnslib.QTYPE.PTR and (address := parse_reverse(self.name)) is not None:
            found = names.reverse(scopes, address)
            return None if found is None else self._named(found, limited)
        endpoints = names.find(scopes, self.name)
        return None if endpoints is None else self._addressed(endpoints, limited)

    def failure(self) -> bytes:
        """Nobody could be asked."""
        return self._packed(_SERVFAIL, [], limited=False)

    def _named(self, name: str, limited: bool) -> bytes:
        if not name:
            return self._packed(_NXDOMAIN, [], limited)
        return self._packed(0, [(dnslib.QTYPE.PTR, dnslib.PTR(name))], limited)

    def _addressed(self, endpoints: list[Endpoint], limited: bool) -> bytes:
        """A name without an address of the kind asked for exists all the same: an empty answer, no denial (RFC 2308, 2.2)."""
        found = []
        for endpoint in endpoints:
            if self.kind in (dnslib.QTYPE.A, dnslib.QTYPE.ANY) and endpoint.ip is not None:
                found.append((dnslib.QTYPE.A, dnslib.A(str(endpoint.ip))))
            if self.kind in (dnslib.QTYPE.AAAA, dnslib.QTYPE.ANY) and endpoint.ip6 is not None:
                found.append((dnslib.QTYPE.AAAA, dnslib.AAAA(str(endpoint.ip6))))
        return self._packed(0 if endpoints else _NXDOMAIN, found, limited)

    def _packed(self, code: int, records: list[tuple[int, dnslib.RD]], limited: bool) -> bytes:
        reply = self._record.reply(ra=1, aa=1)
        reply.header.rcode = code
        for kind, data in records:
            reply.add_answer(dnslib.RR(self._record.q.qname, kind, ttl=TTL_S, rdata=data))
        limit = self._limit()
        if limit > PLAIN_LIMIT or self._extended():
            reply.add_ar(dnslib.EDNS0(udp_len=EDNS_LIMIT))
        packed: bytes = reply.pack()
        if limited and len(packed) > limit:
            packed = reply.truncate().pack()
        return packed

    def _extended(self) -> bool:
        return any(record.rtype == dnslib.QTYPE.OPT for record in self._record.ar)

    def _limit(self) -> int:
        for record in self._record.ar:
            if record.rtype == dnslib.QTYPE.OPT:
                return max(PLAIN_LIMIT, min(int(record.edns_len), EDNS_LIMIT))
        return PLAIN_LIMIT


def _form_error(data: bytes) -> bytes:
    """An answer with nothing but the header of what cannot be read; b"" when not even that is there."""
    if len(data) < _HEADER_BYTES or data[2] & 0x80:
        return b""
    return data[:2] + bytes((0x80 | (data[2] & 0x79), 0x80 | _FORMERR)) + bytes(8)


def is_answer_to(question: bytes, answer: bytes) -> bool:
    """Whether an answer from outside belongs to a question: same id, a response, the same name asked for."""
    if len(answer) < _HEADER_BYTES or answer[:2] != question[:2] or not answer[2] & 0x80:
        return False
    if answer[4:6] == b"\0\0":
        return True  # a refusal that does not repeat the question
    end = _question_end(question)
    return answer[_HEADER_BYTES:end].lower() == question[_HEADER_BYTES:end].lower()


def _question_end(data: bytes) -> int:
    at = _HEADER_BYTES
    while at < len(data) and data[at]:
        at += data[at] + 1
    return min(len(data), at + 5)
