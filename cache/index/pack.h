/* Bytes of a record, written and read one field at a time. Pure, bounded.
 *
 * A field that finds no room (or, reading, no bytes) latches bad; check it once, at the end.
 * Numbers are LEB128 varints, signed ones zigzag; fixed ones are little-endian. */
#ifndef TOOTFS_PACK_H
#define TOOTFS_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { VARINT_BYTES_MAX = 10 };

struct pack {
	uint8_t *at, *end;
	bool bad;
};

static inline void pack_bytes(struct pack *p, const void *bytes, size_t length)
{
	if ((size_t)(p->end - p->at) < length) {
		p->bad = true;
		return;
	}
	if (length > 0)
		memcpy(p->at, bytes, length);
	p->at += length;
}

static inline void pack_u8(struct pack *p, uint8_t value)
{
	pack_bytes(p, &value, 1);
}

static inline void pack_varint(struct pack *p, uint64_t value)
{
	uint8_t out[VARINT_BYTES_MAX];
	size_t n = 0;
	while (value >= 0x80) {
		out[n++] = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	out[n++] = (uint8_t)value;
	pack_bytes(p, out, n);
}

static inline void pack_signed(struct pack *p, int64_t value)
{
	uint64_t bits = (uint64_t)value;
	pack_varint(p, (bits << 1) ^ (value < 0 ? UINT64_MAX : 0));
}

static inline void pack_fixed(struct pack *p, uint64_t value, size_t bytes)
{
	uint8_t out[8];
	for (size_t i = 0; i < bytes; i++)
		out[i] = (uint8_t)(value >> (8 * i));
	pack_bytes(p, out, bytes);
}

/* A length and that many bytes. */
static inline void pack_text(struct pack *p, const void *text, size_t length)
{
	pack_varint(p, length);
	pack_bytes(p, text, length);
}

struct unpack {
	const uint8_t *at, *end;
	bool bad;
};

/* NULL when there are fewer bytes left. */
static inline const uint8_t *unpack_bytes(struct unpack *u, size_t length)
{
	const uint8_t *at = u->at;
	if (u->bad || (size_t)(u->end - u->at) < length) {
		u->bad = true;
		return NULL;
	}
	u->at += length;
	return at;
}

static inline uint8_t unpack_u8(struct unpack *u)
{
	const uint8_t *at = unpack_bytes(u, 1);
	return at ? *at : 0;
}

static inline uint64_t unpack_varint(struct unpack *u)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte = unpack_u8(u);
		if (u->bad || (shift == 63 && byte > 1))
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return value;
	}
	u->bad = true;
	return 0;
}

static inline int64_t unpack_signed(struct unpack *u)
{
	uint64_t bits = unpack_varint(u);
	return (int64_t)((bits >> 1) ^ (bits & 1 ? UINT64_MAX : 0));
}

static inline uint64_t unpack_fixed(struct unpack *u, size_t bytes)
{
	const uint8_t *at = unpack_bytes(u, bytes);
	uint64_t value = 0;
	for (size_t i = 0; at && i < bytes; i++)
		value |= (uint64_t)at[i] << (8 * i);
	return value;
}

/* A text of at most space - 1 bytes without a NUL in it, copied out with one behind it. */
static inline size_t unpack_text(struct unpack *u, char *out, size_t space)
{
	uint64_t length = unpack_varint(u);
	const uint8_t *at = length < space ? unpack_bytes(u, (size_t)length) : NULL;
	out[0] = '\0';
	if (!at || memchr(at, 0, (size_t)length)) {
		u->bad = true;
		return 0;
	}
	memcpy(out, at, (size_t)length);
	out[length] = '\0';
	return (size_t)length;
}

/* Everything was there, and nothing is left over. */
static inline bool unpack_done(const struct unpack *u)
{
	return !u->bad && u->at == u->end;
}

#endif
