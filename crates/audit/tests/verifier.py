#!/usr/bin/env python3
"""Checks an audit log against docs/formats/audit.md, from that page alone and with nothing but Python's own library.

    verifier.py FOLDER [--seed HEX] [--checkpoint FILE]...

Says what is wrong, one line each, and ends with 1 if anything is; else with 0 and a line `ok`.
"""
import base64, hashlib, hmac, os, re, struct, sys

wrong = []


def bad(text):
    wrong.append(text)


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def mac(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


# Ed25519 (RFC 8032, section 5.1), verification only.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def add(a, b):
    x = (a[1] - a[0]) * (b[1] - b[0]) % P
    y = (a[1] + a[0]) * (b[1] + b[0]) % P
    z, w = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = y - x, w - z, w + z, y + x
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(n, point):
    result = (0, 1, 1, 0)
    while n:
        if n & 1:
            result = add(result, point)
        point, n = add(point, point), n >> 1
    return result


def point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def signed(key, message, signature):
    a, r = point(key), point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or a is None or r is None or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    left, right = times(s, BASE), add(r, times(h, a))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


def b64(text):
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("no canonical Base64")
    return data


class Bytes:
    """What is left of an entry."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        if self.at + length > len(self.data):
            raise ValueError("it ends too early")
        self.at += length
        return self.data[self.at - length : self.at]

    def number(self, form):
        return struct.unpack(">" + form, self.take(struct.calcsize(form)))[0]

    def text(self):
        return self.take(self.number("I")).decode("utf-8", "strict")


def value(data, depth):
    if depth > 16:
        raise ValueError("values too deep")
    kind = data.number("B")
    if kind < 3:
        return (None, False, True)[kind]
    if kind == 3:
        return data.number("q")
    if kind == 4:
        number = data.number("d")
        if number != number or number in (float("inf"), float("-inf")):
            raise ValueError("a number is not finite")
        return number
    if kind == 5:
        return data.text()
    if kind == 6:
        return data.take(data.number("I"))
    if kind == 7:
        return [value(data, depth + 1) for _ in range(data.number("I"))]
    if kind == 8:
        return pairs(data, depth)
    raise ValueError("a value of no known kind")


def pairs(data, depth):
    result, last = {}, None
    for _ in range(data.number("I")):
        name = data.text()
        if last is not None and name.encode() <= last:
            raise ValueError("names out of order")
        last = name.encode()
        result[name] = value(data, depth + 1)
    return result


def entry(raw):
    if len(raw) > 1 << 20:
        raise ValueError("too long")
    data, found = Bytes(raw), {}
    if data.number("B") != 1:
        raise ValueError("format is not 1")
    found["sequence"], found["recorded"] = data.number("Q"), data.number("q")
    found["ticks"], found["at"], found["outcome"] = data.number("Q"), data.number("q"), data.number("B")
    if found["outcome"] > 2 or -(2**63) in (found["recorded"], found["at"]):
        raise ValueError("outcome or time out of range")
    found["action"] = data.text()
    for name in ("actor", "target", "tenant", "request_id", "detail"):
        there = data.number("B")
        if there > 1:
            raise ValueError("neither there nor not there")
        found[name] = data.text() if there else None
    found["data"] = pairs(data, 0)
    if data.at != len(raw):
        raise ValueError("something follows")
    return found


class Tree:
    """RFC 6962: all complete subtrees in the order in which they become complete, and the roots of all sizes asked for."""

    def __init__(self):
        self.size, self.peaks = 0, []

    def push(self, leaf):
        done = [leaf]
        node, size = leaf, self.size
        while size & 1:
            node = sha(b"\1", self.peaks.pop(), node)
            done.append(node)
            size >>= 1
        self.peaks.append(node)
        self.size += 1
        return done

    def root(self):
        if not self.peaks:
            return sha(b"")
        node = self.peaks[-1]
        for left in reversed(self.peaks[:-1]):
            node = sha(b"\1", left, node)
        return node


def place(size):
    return 2 * size - bin(size).count("1")


def leaf_from_file(tree, number):
    start = 32 * place(number)
    if start + 32 > len(tree):
        raise ValueError("the file `tree` lacks the hash of entry %d" % number)
    return tree[start : start + 32]


def read(folder, name):
    try:
        with open(os.path.join(folder, name), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def meta(folder):
    text = (read(folder, "log") or b"").decode("utf-8", "replace")
    found = re.fullmatch(r"buttress-audit log 1\nid ([0-9a-f]{32})\nkey ([^ +\n]+)\+([0-9a-f]{8})\+(\S+)\n", text)
    if not found:
        raise ValueError("log: it does not say what log it is")
    identity, name, key_id, key = found.groups()
    key = b64(key)
    if len(key) != 33 or key[0] != 1 or sha(name.encode(), b"\n", key)[:4].hex() != key_id:
        raise ValueError("log: the key does not have its id")
    return bytes.fromhex(identity), name, bytes.fromhex(key_id), key[1:]


class Header:
    def __init__(self, raw):
        if len(raw) < 172 or raw[:16] != b"buttress-audit 1" or sha(raw[:164])[:8] != raw[164:172]:
            raise ValueError("its header does not hold")
        self.raw = raw[:172]
        self.id = raw[16:32]
        self.number, self.first = struct.unpack(">QQ", raw[32:48])
        self.marker, self.root, self.chain = raw[64:72], raw[72:104], raw[104:136]
        self.length, self.earliest, self.latest, self.flags = struct.unpack(">QqqI", raw[136:164])
        if self.flags > 1:
            raise ValueError("flags that are not known")


def frame_header(raw, at, marker):
    part = raw[at : at + 32]
    if len(part) < 32 or part[:8] != marker or sha(part[:24])[:8] != part[24:]:
        return None
    length, count, first = struct.unpack(">IIQ", part[8:24])
    return (length, count, first) if length <= 16777216 and count else None


class Segment:
    """Reads the frames of a segment: entries, times, and the chain after each frame."""

    def __init__(self, name, raw, header, end):
        self.name, self.entries, self.chains = name, [], {}
        self.chain = sha(b"\3", header.raw)
        self.chains[header.first] = [self.chain]
        at, sequence, limit = 172, header.first, len(raw) if end is None else end
        if limit > len(raw):
            bad("%s: %d bytes count, and %d are there" % (name, limit, len(raw)))
        while at < min(limit, len(raw)):
            problem = self.frame(raw[:limit], at, sequence, header.marker)
            if isinstance(problem, str):
                later = None
                if end is None:
                    later = self.later(raw, at + 1, sequence, header.marker)
                if end is not None or later is not None:
                    bad("%s: byte %d (entry %d): %s" % (name, at, sequence, problem))
                break
            at = problem
            sequence = header.first + len(self.entries)
        self.end, self.next = at, sequence

    def later(self, raw, at, sequence, marker):
        at = raw.find(marker, at)
        while at >= 0:
            found = frame_header(raw, at, marker)
            if found and found[2] > sequence:
                return at
            at = raw.find(marker, at + 1)
        return None

    def frame(self, raw, at, sequence, marker):
        found = frame_header(raw, at, marker)
        if not found:
            return "no header of a frame"
        length, count, first = found
        body, end = raw[at + 32 : at + 32 + length], at + 32 + length
        if first != sequence:
            return "its frame begins with entry %d" % first
        if len(raw) < end + 32:
            return "its frame is cut off"
        new, leaves, place_in = [], [], 0
        for number in range(count):
            if place_in + 4 > length:
                return "its frame has fewer entries than it says"
            size = struct.unpack(">I", body[place_in : place_in + 4])[0]
            one = body[place_in + 4 : place_in + 4 + size]
            place_in += 4 + size
            if place_in > length:
                return "an entry goes beyond its frame"
            try:
                parsed = entry(one)
            except (ValueError, struct.error) as error:
                return "entry %d: %s" % (sequence + number, error)
            if parsed["sequence"] != sequence + number:
                return "entry %d says that it is %d" % (sequence + number, parsed["sequence"])
            leaves.append(sha(b"\0", one))
            new.append((parsed, leaves[-1]))
        if place_in != length:
            return "its frame has more than its entries"
        chain = sha(b"\2", self.chain, raw[at : at + 32], *leaves)
        if chain != raw[end : end + 32]:
            return "the chain after its frame is another"
        self.chain = chain
        self.entries += new
        self.chains.setdefault(first + count, []).append(chain)
        return end + 32


def notes(name, key_id, key, text, where):
    """(size, root) of each whole note; what is torn at the end of the log's own file is left out."""
    found = []
    parts = text.split("\n\n")
    for number in range(0, len(parts) - 1, 2):
        body, signatures = parts[number] + "\n", parts[number + 1]
        if number + 2 >= len(parts):
            break
        label = "%s: note %d" % (where, number // 2)
        lines = body.split("\n")
        try:
            if len(lines) != 4 or lines[0] != name or not re.fullmatch("0|[1-9][0-9]*", lines[1]):
                raise ValueError("it is no checkpoint of this log")
            size, root = int(lines[1]), b64(lines[2])
            ours = []
            for line in signatures.strip("\n").split("\n"):
                dash, by, data = line.split(" ")
                data = b64(data)
                if dash != "\u2014":
                    raise ValueError("a signature does not begin with a dash")
                if by == name and data[:4] == key_id:
                    ours.append(data[4:])
            if not ours or not all(signed(key, body.encode(), one) for one in ours):
                raise ValueError("it is not signed by the log's key")
        except ValueError as error:
            bad("%s: %s" % (label, error))
            continue
        if found and size < found[-1][0]:
            bad("%s: it is smaller than the one before it" % label)
        found.append((size, root))
    return found


def seals(folder, identity, seed):
    text = (read(folder, "seals") or b"").decode("utf-8", "replace")
    lines = text.split("\n")[:-1]
    found, key, earlier = [], seed, (0, 0)
    for number, line in enumerate(lines):
        match = re.fullmatch(r"seal 1 (\d+) (\d+) (\S+) (\S+) (-?\d+) (\S+)", line)
        try:
            if not match or int(match[1]) != number:
                raise ValueError("it is not the seal of epoch %d" % number)
            size, root, chain, at, told = int(match[2]), b64(match[3]), b64(match[4]), int(match[5]), b64(match[6])
            if size < earlier[0]:
                raise ValueError("it is of fewer entries than the one before it")
            earlier = (size, at)
            if key:
                data = b"buttress-audit seal 1\n" + identity + struct.pack(">QQ", number, size) + root + chain
                if not hmac.compare_digest(mac(mac(key, b"seal"), data + struct.pack(">q", at)), told):
                    raise ValueError("it was not made with its epoch's key")
            found.append((size, root, chain))
        except (ValueError, struct.error) as error:
            bad("seals: line %d: %s" % (number, error))
        if key:
            key = mac(key, b"next")
    if seed:
        seal_key(folder, len(lines), seed)
    return found


def seal_key(folder, epochs, seed):
    raw = read(folder, "seal.key") or b""
    for start in (0, 48):
        part = raw[start : start + 48]
        if len(part) == 48 and sha(b"buttress-audit key", part[:40])[:8] == part[40:]:
            epoch, key = struct.unpack(">Q", part[:8])[0], part[8:40]
            if epoch not in (epochs, epochs - 1):
                return bad("seal.key: it is of epoch %d, and %d epochs are sealed" % (epoch, epochs))
            expected = seed
            for _ in range(epoch):
                expected = mac(expected, b"next")
            if not hmac.compare_digest(key, expected):
                bad("seal.key: it is not the key that follows from the seed")
            return None
    return bad("seal.key: it holds no key")


def check(folder, seed, elsewhere):
    identity, name, key_id, key = meta(folder)
    names = sorted((int(file[:-8]), file) for file in os.listdir(folder) if re.fullmatch(r"\d{10,}\.segment", file))
    raws = [(number, file, read(folder, file)) for number, file in names]
    headers = []
    for place_in, (number, file, raw) in enumerate(raws):
        try:
            headers.append(Header(raw))
        except ValueError as error:
            # The last may just be being made.
            if place_in + 1 < len(raws) or len(raw) >= 172:
                bad("%s: %s" % (file, error))
            headers.append(None)
    if headers and headers[-1] is None:
        raws, headers = raws[:-1], headers[:-1]
    if any(header is None for header in headers):
        return
    tree, roots, chains, stored = Tree(), {0: sha(b"")}, {}, read(folder, "tree") or b""
    kept = headers[0].first if headers else 0
    for number in range(kept):
        tree.push(leaf_from_file(stored, number))
        roots[tree.size] = tree.root()
    retained, before, last = None, None, None
    nodes = bytearray()
    for place_in, ((number, file, raw), header) in enumerate(zip(raws, headers)):
        last_one = place_in + 1 == len(raws)
        following = None if last_one else headers[place_in + 1]
        segment = Segment(file, raw, header, None if last_one else following.length)
        if header.number != number or header.id != identity:
            bad("%s: it is of another log or place" % file)
        if header.first != tree.size or header.root != tree.root():
            bad("%s: it does not follow from the entries before it" % file)
        if before is None and number == 1:
            told = (header.first, header.chain, header.length, header.earliest, header.latest)
            if told != (0, bytes(32), 0, 0, 0):
                bad("%s: the first segment tells of one before it" % file)
        if before is not None:
            times_of = [parsed["at"] for parsed, _ in before.entries] or [0]
            if number != last + 1 or header.chain != before.chain or header.length != before.end:
                bad("%s: it does not follow from the segment before it" % file)
            if (header.earliest, header.latest) != (min(times_of), max(times_of)):
                bad("%s: it tells other times of the segment before it" % file)
        for size, some in segment.chains.items():
            chains.setdefault(size, []).extend(some)
        for parsed, leaf in segment.entries:
            nodes += b"".join(tree.push(leaf))
            roots[tree.size] = tree.root()
            data = parsed["data"]
            if parsed["action"] == "audit.retain" and parsed["outcome"] == 0:
                if isinstance(data.get("segment"), int) and isinstance(data.get("first"), int):
                    retained = max(retained or 0, data["segment"])
        before, last = segment, number
    if raws and raws[0][0] != 1 and (retained is None or raws[0][0] > retained):
        bad("%s: segments before it are missing, and no entry says so" % raws[0][1])
    if not raws:
        bad("there is no segment")
    # What the file has of the tree for entries before the last segment.
    start, complete = 32 * place(kept), 32 * place(headers[-1].first if headers else 0)
    if len(stored) < complete or stored[start:complete] != bytes(nodes[: complete - start]):
        bad("tree: it has other hashes than the entries")
    for number, (size, root, chain) in enumerate(seals(folder, identity, seed)):
        if roots.get(size) != root:
            bad("seals: line %d: the log has another root, or is not as large as %d" % (number, size))
        elif size > kept and chain not in chains.get(size, []):
            bad("seals: line %d: the log has another chain" % number)
    places = [("checkpoints", (read(folder, "checkpoints") or b"").decode("utf-8", "replace"))]
    for file in elsewhere:
        with open(file, encoding="utf-8") as opened:
            places.append((file, opened.read().rstrip("\n") + "\n\n"))
    for where, text in places:
        for size, root in notes(name, key_id, key, text, where):
            if roots.get(size) != root:
                bad("%s: the log has another root, or is not as large as %d" % (where, size))


def main(words):
    folder, seed, elsewhere = words[0], None, []
    for option, word in zip(words[1::2], words[2::2]):
        if option == "--seed":
            seed = bytes.fromhex(word)
        elif option == "--checkpoint":
            elsewhere.append(word)
        else:
            raise SystemExit(__doc__)
    try:
        check(folder, seed, elsewhere)
    except ValueError as error:
        bad(str(error))
    print("\n".join(wrong) or "ok")
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    sys.exit(main(sys.argv[1:]))
