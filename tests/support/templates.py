"""Small valid media files of (about) any size: a tiny picture, sound or film, and noise where the format allows
bytes that nobody looks at (comments, private chunks, free atoms). Sizes below the template's own are rounded up to it.

Each maker takes (size, noise) with noise(n) giving n random bytes, at least 16 of which are always used, so that no
two files are alike."""
import struct
import zlib

LEAST_NOISE = 16


def chunk_png(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(size, noise):
    """8 x 8 grey, then a private ancillary chunk."""
    head = b"\x89PNG\r\n\x1a\n" + chunk_png(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0))
    tail = chunk_png(b"IDAT", zlib.compress(b"".join(b"\0" + bytes(range(y, y + 64, 8)) for y in range(8))))
    tail += chunk_png(b"IEND", b"")
    room = size - len(head) - len(tail) - 12
    return head + chunk_png(b"noIs", noise(max(LEAST_NOISE, room))) + tail


def gif(size, noise):
    """2 x 2, two frames, comment extensions of 255 bytes between them."""
    head = b"GIF89a" + struct.pack("<HHBBB", 2, 2, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"\x21\xf9\4\0\x0a\0\0\0" + b"\x2c" + struct.pack("<HHHHB", 0, 0, 2, 2, 0) + b"\2\3\x44\x02\x05\0"
    data = noise(max(LEAST_NOISE, (size - len(head) - 2 * len(frame) - 5) * 255 // 256))
    blocks = b"".join(bytes([len(data[i:i + 255])]) + data[i:i + 255] for i in range(0, len(data), 255))
    return head + frame + b"\x21\xfe" + blocks + b"\0" + frame + b"\x3b"


def jpeg_segment(marker, data):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data


def jpeg(size, noise):
    """16 x 16 mid-grey: baseline, one component, with Huffman tables of a single one-bit code each (DC difference 0,
    end of block), so that four blocks are eight zero bits. Comments hold the noise."""
    head = b"\xff\xd8" + jpeg_segment(0xe0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
    tail = jpeg_segment(0xdb, b"\0" + b"\x10" * 64)
    tail += jpeg_segment(0xc0, struct.pack(">BHHB", 8, 16, 16, 1) + b"\1\x11\0")
    for table in (b"\0", b"\x10"):
        tail += jpeg_segment(0xc4, table + b"\1" + b"\0" * 15 + b"\0")
    tail += jpeg_segment(0xda, b"\1\1\0\0\x3f\0") + b"\0" + b"\xff\xd9"
    data = noise(max(LEAST_NOISE, size - len(head) - len(tail) - 4 - 4 * (size // 65537)))
    comments = b"".join(jpeg_segment(0xfe, data[i:i + 65533]) for i in range(0, len(data), 65533))
    return head + comments + tail


def webp(size, noise):
    """1 x 1 lossless, then a chunk of an unknown kind."""
    picture = b"VP8L" + struct.pack("<I", 13) + bytes.fromhex("2f00000010071011118888fe07") + b"\0"
    data = noise(max(LEAST_NOISE, size - 12 - len(picture) - 8) & ~1)
    body = b"WEBP" + picture + b"noIs" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def atom(kind, *parts):
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + kind + body


def mp4_movie(length, offset):
    """moov for one second of one picture: a motion JPEG sample of `length` bytes at `offset`."""
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    mvhd = atom(b"mvhd", struct.pack(">IIIIIIH10x", 0, 0, 0, 1000, 1000, 0x10000, 0x100), matrix, b"\0" * 24,
                struct.pack(">I", 2))
    tkhd = atom(b"tkhd", struct.pack(">IIIIII8xHHHH", 7, 0, 0, 1, 0, 1000, 0, 0, 0, 0), matrix,
                struct.pack(">II", 16 << 16, 16 << 16))
    mdhd = atom(b"mdhd", struct.pack(">IIIIIHH", 0, 0, 0, 1000, 1000, 0x55c4, 0))
    hdlr = atom(b"hdlr", struct.pack(">II4s12x", 0, 0, b"vide"), b"video\0")
    dinf = atom(b"dinf", atom(b"dref", struct.pack(">II", 0, 1), atom(b"url ", struct.pack(">I", 1))))
    entry = atom(b"jpeg", struct.pack(">6xH16xHHIIIH32xHh", 1, 16, 16, 0x480000, 0x480000, 0, 1, 24, -1))
    stbl = atom(b"stbl", atom(b"stsd", struct.pack(">II", 0, 1), entry),
                atom(b"stts", struct.pack(">IIII", 0, 1, 1, 1000)), atom(b"stsc", struct.pack(">IIIII", 0, 1, 1, 1, 1)),
                atom(b"stsz", struct.pack(">III", 0, length, 1)), atom(b"stco", struct.pack(">III", 0, 1, offset)))
    minf = atom(b"minf", atom(b"vmhd", struct.pack(">IHHHH", 1, 0, 0, 0, 0)), dinf, stbl)
    return atom(b"moov", mvhd, atom(b"trak", tkhd, atom(b"mdia", mdhd, hdlr, minf)))


def mp4(size, noise):
    picture = jpeg(0, noise)
    head = atom(b"ftyp", b"isom", struct.pack(">I", 512), b"isommp41")
    movie = mp4_movie(len(picture), len(head) + 8)
    room = size - len(head) - 8 - len(picture) - len(movie) - 8
    return head + atom(b"mdat", picture) + movie + atom(b"free", noise(max(LEAST_NOISE, room)))


def mp3(size, noise):
    """A private frame in an ID3v2 tag, then eight silent MPEG 1 layer III frames (128 kbit/s, 44.1 kHz, mono)."""
    sound = (b"\xff\xfb\x90\xc4" + b"\0" * 413) * 8
    data = b"tests\0" + noise(max(LEAST_NOISE, size - len(sound) - 26))
    frame = b"PRIV" + struct.pack(">IH", len(data), 0) + data
    length = bytes((len(frame) >> shift) & 0x7f for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + length + frame + sound


def archive(size, noise):
    """A zip with one stored member."""
    data, name = noise(max(LEAST_NOISE, size - 120)), b"outbox.json"
    common = struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 0x5a21, zlib.crc32(data), len(data), len(data), len(name), 0)
    local = b"PK\3\4" + common + name + data
    entry = b"PK\1\2" + struct.pack("<H", 20) + common + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), len(local), 0)
    return local + entry + end


MAKERS = {"png": png, "gif": gif, "jpeg": jpeg, "jpg": jpeg, "webp": webp, "mp4": mp4, "mp3": mp3, "zip": archive}
