/* clang-format off */
/* The stored layout of a node:
 *
 *     byte      kind (2 bits: folder, file, symlink), content (2), layout (4: 1)
 *     byte      node flags (3), then which fields differ from the usual: nlink, gid, mode, atime, ctime
 *     byte      not for folders: kind of etag (2), home, present, blob, sparse
 *     size      not for folders
 *     parent    as ino - parent, signed: the two are mostly made close together
 *     name      length and bytes
 *     uid, [gid], [mode], [nlink]
 *     mtime     8 bytes; [atime], [ctime] as signed differences from it
 *     version, [blob], [etag], [home], [present]      not for folders
 *
 * The usual: gid = uid, mode 0755 or 0644, nlink 2 or 1, all times equal. Folders are most of the
 * nodes, so theirs is short: 20 to 40 bytes. An ETag of 32 hexadecimal digits, with or without a
 * number of parts, is kept as 16 bytes. The order puts what walks and sums need first. */
/* clang-format on */
#include "record.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "cache/base/hex.h"
#include "pack.h"

enum { LAYOUT = 1 };
enum kind { KIND_FOLDER, KIND_FILE, KIND_SYMLINK };
enum {
	HAS_NLINK = 1 << 3,
	HAS_GID = 1 << 4,
	HAS_MODE = 1 << 5,
	HAS_ATIME = 1 << 6,
	HAS_CTIME = 1 << 7,
	FLAGS_MASK = NODE_COMPLETE | NODE_ORPHAN | NODE_GUESSED, /* in the second byte */
};
enum {
	ETAG_KIND_MASK = 3,
	HAS_HOME = 1 << 2,
	HAS_PRESENT = 1 << 3,
	HAS_BLOB = 1 << 4,
	IS_SPARSE = 1 << 5,
	HAS_MASK = ETAG_KIND_MASK | HAS_HOME | HAS_PRESENT | HAS_BLOB | IS_SPARSE,
};
enum etag_kind { ETAG_NONE, ETAG_HEX, ETAG_PARTS, ETAG_TEXT };
enum { MD5_BYTES = 16, MD5_DIGITS = 2 * MD5_BYTES };

/* -- validity -- */

static bool text_ends(const char *text, size_t space)
{
	return memchr(text, 0, space) != NULL;
}

static bool content_valid(const struct node_record *r)
{
	if (r->size > INT64_MAX || !text_ends(r->etag, sizeof(r->etag)) ||
	    !text_ends(r->home, sizeof(r->home)) || r->present_bytes > NODE_PRESENT_BYTES)
		return false;
	switch (r->content) {
	case CONTENT_REMOTE:
		return r->present_bytes == 0 || r->blob != 0;
	case CONTENT_CLEAN:
	case CONTENT_DIRTY:
		return r->present_bytes == 0 && (r->blob != 0 || r->size == 0);
	}
	return false;
}

static bool folder_valid(const struct node_record *r)
{
	return r->size == 0 && r->content == CONTENT_REMOTE && r->version == 0 && r->blob == 0 &&
	       r->etag[0] == '\0' && r->home[0] == '\0' && r->present_bytes == 0;
}

static bool name_valid(const struct node_record *r)
{
	if (!text_ends(r->name, sizeof(r->name)))
		return false;
	size_t length = strlen(r->name);
	if (r->ino == INO_ROOT)
		return length == 0;
	if (length == 0)
		return (r->flags & NODE_ORPHAN) != 0;
	return name_check(r->name, length) == 0;
}

bool record_node_valid(const struct node_record *r)
{
	if (r->ino == 0 || (r->mode & ~(uint32_t)(S_IFMT | 07777)) != 0 ||
	    (r->flags & ~(FLAGS_MASK | NODE_SPARSE)) != 0)
		return false;
	if (!name_valid(r) || (r->nlink == 0) != ((r->flags & NODE_ORPHAN) != 0))
		return false;
	if (S_ISDIR(r->mode))
		return r->nlink != 1 && (r->flags & NODE_SPARSE) == 0 && folder_valid(r);
	if (!S_ISREG(r->mode) && !S_ISLNK(r->mode))
		return false;
	return (r->flags & NODE_COMPLETE) == 0 && content_valid(r);
}

/* -- etags -- */

/* Whether the digits are what hex_encode would write again. */
static bool hex_digits(const char *text)
{
	for (size_t i = 0; i < MD5_DIGITS; i++)
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
			return false;
	return true;
}

static enum etag_kind etag_kind(const char *etag, unsigned *parts)
{
	if (etag[0] == '\0')
		return ETAG_NONE;
	if (strnlen(etag, MD5_DIGITS) < MD5_DIGITS || !hex_digits(etag))
		return ETAG_TEXT;
	const char *rest = etag + MD5_DIGITS;
	if (*rest == '\0')
		return ETAG_HEX;
	size_t digits = strspn(rest + (*rest == '-'), "0123456789");
	if (*rest != '-' || rest[1] == '0' || digits == 0 || digits > 5 || rest[1 + digits] != '\0')
		return ETAG_TEXT;
	*parts = (unsigned)atoi(rest + 1);
	return ETAG_PARTS;
}

static void etag_pack(struct pack *p, enum etag_kind kind, const char *etag, unsigned parts)
{
	uint8_t md5[MD5_BYTES];
	char digits[MD5_DIGITS + 1] = "";
	if (kind == ETAG_TEXT)
		pack_text(p, etag, strlen(etag));
	if (kind != ETAG_HEX && kind != ETAG_PARTS)
		return;
	memcpy(digits, etag, MD5_DIGITS);
	int rc = hex_decode(md5, digits, MD5_BYTES);
	assert(rc == 0);
	pack_bytes(p, md5, MD5_BYTES);
	if (kind == ETAG_PARTS)
		pack_varint(p, parts);
}

static void etag_unpack(struct unpack *u, enum etag_kind kind, char etag[NODE_ETAG_BYTES])
{
	etag[0] = '\0';
	if (kind == ETAG_TEXT)
		unpack_text(u, etag, NODE_ETAG_BYTES);
	if (kind != ETAG_HEX && kind != ETAG_PARTS)
		return;
	const uint8_t *md5 = unpack_bytes(u, MD5_BYTES);
	if (!md5)
		return;
	hex_encode(etag, md5, MD5_BYTES);
	if (kind == ETAG_PARTS) {
		uint64_t parts = unpack_varint(u);
		if (parts == 0 || parts > 99999)
			u->bad = true;
		else
			snprintf(etag + MD5_DIGITS, NODE_ETAG_BYTES - MD5_DIGITS, "-%u",
				 (unsigned)parts);
	}
}

/* -- nodes -- */

static enum kind kind_of(uint32_t mode)
{
	return S_ISDIR(mode) ? KIND_FOLDER : S_ISREG(mode) ? KIND_FILE : KIND_SYMLINK;
}

static uint32_t type_of(enum kind kind)
{
	return kind == KIND_FOLDER ? S_IFDIR : kind == KIND_FILE ? S_IFREG : S_IFLNK;
}

static uint32_t usual_mode(enum kind kind)
{
	return kind == KIND_FOLDER ? 0755 : kind == KIND_FILE ? 0644 : 0777;
}

static uint32_t usual_nlink(enum kind kind)
{
	return kind == KIND_FOLDER ? 2 : 1;
}

/* A difference modulo 2^64, so that every pair of times has one. */
static int64_t difference(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a - (uint64_t)b);
}

static int64_t sum(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

static void pack_attrs(struct pack *p, uint8_t has, const struct node_record *r)
{
	pack_varint(p, r->uid);
	if (has & HAS_GID)
		pack_varint(p, r->gid);
	if (has & HAS_MODE)
		pack_varint(p, r->mode & 07777);
	if (has & HAS_NLINK)
		pack_varint(p, r->nlink);
	pack_fixed(p, (uint64_t)r->mtime_ns, 8);
	if (has & HAS_ATIME)
		pack_signed(p, difference(r->atime_ns, r->mtime_ns));
	if (has & HAS_CTIME)
		pack_signed(p, difference(r->ctime_ns, r->mtime_ns));
}

size_t record_node_encode(uint8_t out[RECORD_NODE_BYTES_MAX], const struct node_record *r)
{
	struct pack p = {out, out + RECORD_NODE_BYTES_MAX, false};
	enum kind kind = kind_of(r->mode);
	unsigned parts = 0;
	enum etag_kind etag = etag_kind(r->etag, &parts);
	uint8_t has = (uint8_t)((r->flags & FLAGS_MASK) | (r->nlink != usual_nlink(kind) ? HAS_NLINK : 0) |
				(r->gid != r->uid ? HAS_GID : 0) |
				((r->mode & 07777) != usual_mode(kind) ? HAS_MODE : 0) |
				(r->atime_ns != r->mtime_ns ? HAS_ATIME : 0) |
				(r->ctime_ns != r->mtime_ns ? HAS_CTIME : 0));
	uint8_t more = (uint8_t)(etag | (r->home[0] ? HAS_HOME : 0) |
				 (r->present_bytes ? HAS_PRESENT : 0) | (r->blob ? HAS_BLOB : 0) |
				 (r->flags & NODE_SPARSE ? IS_SPARSE : 0));

	pack_u8(&p, (uint8_t)(kind | r->content << 2 | LAYOUT << 4));
	pack_u8(&p, has);
	if (kind != KIND_FOLDER) {
		pack_u8(&p, more);
		pack_varint(&p, r->size);
	}
	pack_signed(&p, difference((int64_t)r->ino, (int64_t)r->parent));
	pack_text(&p, r->name, strlen(r->name));
	pack_attrs(&p, has, r);
	if (kind != KIND_FOLDER) {
		pack_varint(&p, r->version);
		if (more & HAS_BLOB)
			pack_varint(&p, r->blob);
		etag_pack(&p, etag, r->etag, parts);
		if (more & HAS_HOME)
			pack_text(&p, r->home, strlen(r->home));
		if (more & HAS_PRESENT)
			pack_text(&p, r->present, r->present_bytes);
	}
	assert(!p.bad);
	return (size_t)(p.at - out);
}

struct head {
	enum kind kind;
	unsigned content;
	uint8_t has, more;
};

static bool unpack_head(struct unpack *u, uint64_t ino, struct head *h,
			struct record_node_head *out)
{
	uint8_t first = unpack_u8(u);
	h->kind = (enum kind)(first & 3);
	h->content = first >> 2 & 3;
	h->has = unpack_u8(u);
	h->more = h->kind == KIND_FOLDER ? 0 : unpack_u8(u);
	if (u->bad || first >> 4 != LAYOUT || h->kind > KIND_SYMLINK || (h->more & ~HAS_MASK) != 0)
		return false;
	out->type = type_of(h->kind);
	out->size = h->kind == KIND_FOLDER ? 0 : unpack_varint(u);
	out->parent = ino - (uint64_t)unpack_signed(u);
	uint64_t name_bytes = unpack_varint(u);
	if (name_bytes > NAME_BYTES_MAX)
		return false;
	out->name_bytes = (size_t)name_bytes;
	out->name = (const char *)unpack_bytes(u, out->name_bytes);
	return !u->bad;
}

int record_node_head(struct record_node_head *out, uint64_t ino, const void *bytes, size_t length)
{
	struct unpack u = {bytes, (const uint8_t *)bytes + length, false};
	struct head h;
	return unpack_head(&u, ino, &h, out) ? 0 : -EUCLEAN;
}

static uint32_t unpack_u32(struct unpack *u)
{
	uint64_t value = unpack_varint(u);
	if (value > UINT32_MAX)
		u->bad = true;
	return (uint32_t)value;
}

static void unpack_attrs(struct unpack *u, const struct head *h, struct node_record *out)
{
	out->uid = unpack_u32(u);
	out->gid = h->has & HAS_GID ? unpack_u32(u) : out->uid;
	uint32_t mode = h->has & HAS_MODE ? unpack_u32(u) : usual_mode(h->kind);
	if (mode > 07777)
		u->bad = true;
	out->mode = type_of(h->kind) | (mode & 07777);
	out->nlink = h->has & HAS_NLINK ? unpack_u32(u) : usual_nlink(h->kind);
	out->mtime_ns = (int64_t)unpack_fixed(u, 8);
	out->atime_ns = h->has & HAS_ATIME ? sum(out->mtime_ns, unpack_signed(u)) : out->mtime_ns;
	out->ctime_ns = h->has & HAS_CTIME ? sum(out->mtime_ns, unpack_signed(u)) : out->mtime_ns;
}

static void unpack_content(struct unpack *u, const struct head *h, struct node_record *out)
{
	out->version = unpack_varint(u);
	out->blob = h->more & HAS_BLOB ? unpack_varint(u) : 0;
	etag_unpack(u, (enum etag_kind)(h->more & ETAG_KIND_MASK), out->etag);
	if (h->more & HAS_HOME)
		unpack_text(u, out->home, sizeof(out->home));
	if (h->more & HAS_PRESENT) {
		uint64_t present_bytes = unpack_varint(u);
		const uint8_t *at = present_bytes <= NODE_PRESENT_BYTES
					? unpack_bytes(u, (size_t)present_bytes)
					: NULL;
		if (!at) {
			u->bad = true;
			return;
		}
		out->present_bytes = (uint16_t)present_bytes;
		memcpy(out->present, at, out->present_bytes);
	}
}

int record_node_decode(struct node_record *out, uint64_t ino, const void *bytes, size_t length)
{
	struct unpack u = {bytes, (const uint8_t *)bytes + length, false};
	struct record_node_head place;
	struct head h;

	memset(out, 0, sizeof(*out));
	if (!unpack_head(&u, ino, &h, &place) || memchr(place.name, 0, place.name_bytes))
		return -EUCLEAN;
	out->ino = ino;
	out->parent = place.parent;
	out->size = place.size;
	out->flags = (h.has & FLAGS_MASK) | (h.more & IS_SPARSE ? NODE_SPARSE : 0);
	out->content = (enum content)h.content;
	memcpy(out->name, place.name, place.name_bytes);
	unpack_attrs(&u, &h, out);
	if (h.kind != KIND_FOLDER)
		unpack_content(&u, &h, out);
	return unpack_done(&u) && record_node_valid(out) ? 0 : -EUCLEAN;
}
