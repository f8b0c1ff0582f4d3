#!/usr/bin/env python3
"""Makes a tree as Mastodon has it below public/system: its prefixes, id partitions, styles, names and depths, with
valid image, video and audio files in it. The same arguments make the same bytes.

    mediatree.py FOLDER [--files 5000] [--bytes TOTAL] [--seed 1] [--owner UID:GID]

No two files are alike. Times are spread over two years before 2026, one file in a hundred is 0600 (a suspended
account's). Without --bytes sizes are what a server sees: tens of KB for most, MBs for videos."""
import argparse
import os
import random
import sys

sys.dont_write_bytecode = True
import templates  # noqa: E402 (its cache would litter the work tree)

SNOWFLAKE_FIRST_MS, SNOWFLAKE_LAST_MS = 1640995200000, 1767225600000  # 2022, 2026
NEWEST_S, SPAN_S = 1767225600, 2 * 365 * 86400


class Kind:
    """One class/attachment of records. styles: (style, extension or None = that of the original, KB typical)."""

    def __init__(self, share, prefix, ids, extensions, styles):
        self.share, self.prefix, self.ids, self.extensions, self.styles = share, prefix, ids, extensions, styles


IMAGES = ["jpeg"] * 6 + ["png"] * 3 + ["webp"]
KINDS = [
    Kind(34, "cache/media_attachments/files", "snowflake", IMAGES, [("original", None, 60), ("small", None, 18)]),
    Kind(3, "cache/media_attachments/files", "snowflake", ["mp4"], [("original", None, 900), ("small", "png", 20)]),
    Kind(1, "cache/media_attachments/files", "snowflake", ["mp3"], [("original", None, 400)]),
    Kind(8, "media_attachments/files", "snowflake", IMAGES, [("original", None, 80), ("small", None, 20)]),
    Kind(1, "media_attachments/files", "snowflake", ["mp4"], [("original", None, 1200), ("small", "png", 20)]),
    Kind(1, "media_attachments/thumbnails", "snowflake", ["png"], [("original", None, 15)]),
    Kind(14, "cache/accounts/avatars", "snowflake", IMAGES, [("original", None, 14)]),
    Kind(3, "cache/accounts/avatars", "snowflake", ["gif"], [("original", None, 40), ("static", "png", 10)]),
    Kind(9, "cache/accounts/headers", "snowflake", IMAGES, [("original", None, 45)]),
    Kind(1, "accounts/avatars", "sequential", ["png"], [("original", None, 14)]),
    Kind(1, "accounts/headers", "sequential", ["jpeg"], [("original", None, 45)]),
    Kind(18, "cache/preview_cards/images", "sequential", ["jpg", "png"], [("original", None, 9)]),
    Kind(5, "cache/custom_emojis/images", "sequential", ["png", "gif"],
         [("original", None, 6), ("static", "png", 4)]),
    Kind(1, "custom_emojis/images", "sequential", ["png"], [("original", None, 6), ("static", "png", 4)]),
]
ONCE = [  # there is one of each, whatever the size of the tree
    ("site_uploads/files/000/000/001", ["original", "@1x", "@2x"], "png", 30),
    ("site_uploads/files/000/000/002", ["original", "16", "32", "48"], "png", 3),
    ("backups/dumps/000/000/001", ["original"], "zip", 700),
]


def partition(number):
    digits = f"{number:09d}" if number < 10 ** 9 else f"{number:018d}"
    return "/".join(digits[i:i + 3] for i in range(0, len(digits), 3))


def records(count, dice):
    """Yields (path, extension, KB) of `count` files, or one or two more."""
    made, sequence = 0, {}
    for folder, styles, extension, kilobytes in ONCE:
        name = f"{dice.getrandbits(64):016x}"
        if extension == "zip":
            name = f"archive-20251231120000-{dice.getrandbits(128):032x}"
        for style in styles:
            if made >= count:
                return
            yield f"{folder}/{style}/{name}.{extension}", extension, kilobytes
            made += 1
    shares = [kind.share for kind in KINDS]
    while made < count:
        kind = dice.choices(KINDS, shares)[0]
        if kind.ids == "snowflake":
            number = (dice.randrange(SNOWFLAKE_FIRST_MS, SNOWFLAKE_LAST_MS) << 16) | dice.getrandbits(16)
        else:
            number = sequence[kind.prefix] = sequence.get(kind.prefix, 0) + dice.randint(1, 3)
        name, extension = f"{dice.getrandbits(64):016x}", dice.choice(kind.extensions)
        for style, own, kilobytes in kind.styles:
            if made < count:
                yield (f"{kind.prefix}/{partition(number)}/{style}/{name}.{own or extension}",
                       own or extension, kilobytes)
                made += 1


def sizes(kilobytes, total, dice):
    """A long tail around each typical size; scaled when the sum is given."""
    wanted = [k * 1024 * dice.lognormvariate(0, 0.7) for k in kilobytes]
    scale = total / sum(wanted) if total else 1
    return [int(size * scale) for size in wanted]


def write_file(path, data, mode, mtime_ns, owner):
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, mode)
    if owner:
        os.chown(path, *owner)
    os.utime(path, ns=(mtime_ns, mtime_ns))


def finish_folders(top, owner, dice):
    for base, _, _ in sorted(os.walk(top, topdown=False)):
        os.chmod(base, 0o755)
        if owner:
            os.chown(base, *owner)
        mtime_ns = (NEWEST_S - dice.randrange(SPAN_S)) * 10 ** 9
        os.utime(base, ns=(mtime_ns, mtime_ns))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--bytes", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--owner")
    options = parser.parse_args()
    owner = tuple(map(int, options.owner.split(":"))) if options.owner else None
    dice = random.Random(options.seed)
    plan = list(records(options.files, dice))
    written = 0
    for (path, extension, _), size in zip(plan, sizes([p[2] for p in plan], options.bytes, dice)):
        full = os.path.join(options.folder, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        data = templates.MAKERS[extension](size, dice.randbytes)
        mtime_ns = NEWEST_S * 10 ** 9 - dice.randrange(SPAN_S * 10 ** 9)
        write_file(full, data, 0o600 if dice.random() < 0.01 else 0o644, mtime_ns, owner)
        written += len(data)
    finish_folders(options.folder, owner, dice)
    print(f"{len(plan)} files, {written} bytes in {options.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
