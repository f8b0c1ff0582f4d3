/* Which byte ranges of a blob are present. Pure; not thread-safe, the owner's lock guards it.
 *
 * Sorted, disjoint, never touching (neighbours are joined). */
#ifndef TOOTFS_RANGES_H
#define TOOTFS_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cache/base/err.h"

struct range {
	uint64_t start, end; /* end is exclusive */
};
struct ranges {
	struct range *items;
	size_t count, space;
};

void ranges_init(struct ranges *r);
void ranges_destroy(struct ranges *r);
void ranges_clear(struct ranges *r);
int ranges_add(struct ranges *r, uint64_t start, uint64_t end) MUST_CHECK; /* 0 or -ENOMEM */
bool ranges_cover(const struct ranges *r, uint64_t start, uint64_t end);
/* The first gap that begins at or after start, cut to end; false = none before end. */
bool ranges_gap(const struct ranges *r, uint64_t start, uint64_t end, struct range *out);
uint64_t ranges_bytes(const struct ranges *r);
/* Delta-coded varints. Where space does not suffice, the smallest ranges are left out (they are then fetched
 * again). Returns the bytes used. decode: 0 or -EUCLEAN for anything that is not what encode writes. */
size_t ranges_encode(const struct ranges *r, uint8_t *out, size_t space);
int ranges_decode(struct ranges *r, const uint8_t *in, size_t length) MUST_CHECK;

#endif
