/* A sorted array: a blob has few ranges (fills are sequential and aligned), they are looked at far more
 * often than changed, and a search by halves over one block of memory beats any tree here.
 *
 * Encoded, each range is two varints (7 bits a byte, low bits first, high bit = more follows), in the
 * shortest form: the gap since the end of the range before (at least 1, but the first may be 0), then the
 * length (at least 1). The end of the bytes is the end of the list; no ranges are no bytes. So each list
 * has exactly one encoding, and decode refuses everything else.
 *
 *     [0,100) [4096,8192)   ->   00 64  9c 1f  80 20 */
#include "ranges.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum { VARINT_BYTES_MAX = 10 };

void ranges_init(struct ranges *r)
{
	*r = (struct ranges){0};
}

void ranges_destroy(struct ranges *r)
{
	free(r->items);
	ranges_init(r);
}

void ranges_clear(struct ranges *r)
{
	r->count = 0;
}

/* The first item that ends at or after offset; count when none does. */
static size_t first_ending_at(const struct ranges *r, uint64_t offset)
{
	size_t low = 0, high = r->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (r->items[middle].end < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int make_room(struct ranges *r)
{
	if (r->count < r->space)
		return 0;

	size_t space = r->space ? r->space * 2 : 4;
	struct range *items = reallocarray(r->items, space, sizeof(*items));
	if (!items)
		return -ENOMEM;
	r->items = items;
	r->space = space;
	return 0;
}

int ranges_add(struct ranges *r, uint64_t start, uint64_t end)
{
	assert(start <= end);
	if (start == end)
		return 0;

	size_t first = first_ending_at(r, start), past = first;
	while (past < r->count && r->items[past].start <= end)
		past++;

	if (past == first) {
		int err = make_room(r);
		if (err)
			return err;
	} else {
		if (r->items[first].start < start)
			start = r->items[first].start;
		if (r->items[past - 1].end > end)
			end = r->items[past - 1].end;
	}
	memmove(r->items + first + 1, r->items + past, (r->count - past) * sizeof(*r->items));
	r->items[first] = (struct range){start, end};
	r->count = r->count - (past - first) + 1;
	return 0;
}

bool ranges_cover(const struct ranges *r, uint64_t start, uint64_t end)
{
	struct range gap;

	return !ranges_gap(r, start, end, &gap);
}

bool ranges_gap(const struct ranges *r, uint64_t start, uint64_t end, struct range *out)
{
	if (start >= end)
		return false;

	size_t i = first_ending_at(r, start);
	if (i < r->count && r->items[i].end == start)
		i++; /* ends where we begin: says nothing about the byte at start */
	if (i < r->count && r->items[i].start <= start) {
		start = r->items[i].end;
		i++;
	}
	if (start >= end)
		return false;
	if (i < r->count && r->items[i].start < end)
		end = r->items[i].start;
	*out = (struct range){start, end};
	return true;
}

uint64_t ranges_bytes(const struct ranges *r)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < r->count; i++)
		bytes += r->items[i].end - r->items[i].start;
	return bytes;
}

static size_t varint_write(uint8_t *out, uint64_t value)
{
	size_t n = 0;

	for (; value >= 0x80; value >>= 7)
		out[n++] = (uint8_t)(value | 0x80);
	out[n++] = (uint8_t)value;
	return n;
}

/* Which ranges an encoding keeps: those longer than floor, and the first `ties` that are exactly as long. */
struct choice {
	uint64_t floor;
	size_t ties;
};

/* Writes to out unless it is NULL; returns the bytes that it takes. */
static size_t encode(const struct ranges *r, struct choice choice, uint8_t *out)
{
	uint8_t piece[2 * VARINT_BYTES_MAX];
	uint64_t before = 0;
	size_t used = 0;

	for (size_t i = 0; i < r->count; i++) {
		const struct range *item = &r->items[i];
		uint64_t length = item->end - item->start;
		if (length < choice.floor || (length == choice.floor && choice.ties == 0))
			continue;
		if (length == choice.floor)
			choice.ties--;
		size_t n = varint_write(piece, item->start - before);
		n += varint_write(piece + n, length);
		if (out)
			memcpy(out + used, piece, n);
		used += n;
		before = item->end;
	}
	return used;
}

/* Searches by halves, without memory of its own: leaving out a range never makes the rest longer, since
 * the varint of a sum is no longer than the varints of its parts together. */
size_t ranges_encode(const struct ranges *r, uint8_t *out, size_t space)
{
	struct choice choice = {.floor = 0};

	if (encode(r, choice, NULL) > space) {
		uint64_t low = 0, high = UINT64_MAX; /* low is too long, high fits */
		while (high - low > 1) {
			uint64_t middle = low + (high - low) / 2;
			if (encode(r, (struct choice){.floor = middle}, NULL) > space)
				low = middle;
			else
				high = middle;
		}
		choice.floor = high;

		size_t fits = 0, too_many = r->count + 1;
		while (too_many - fits > 1) {
			size_t middle = fits + (too_many - fits) / 2;
			if (encode(r, (struct choice){high, middle}, NULL) > space)
				too_many = middle;
			else
				fits = middle;
		}
		choice.ties = fits;
	}
	return encode(r, choice, out);
}

static int varint_read(const uint8_t **in, const uint8_t *end, uint64_t *out)
{
	const uint8_t *at = *in;
	uint64_t value = 0;

	for (unsigned shift = 0; at < end && shift < 64; shift += 7) {
		uint8_t byte = *at++;
		if (shift == 63 && byte > 1)
			return -EUCLEAN;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte & 0x80)
			continue;
		if (byte == 0 && shift > 0)
			return -EUCLEAN; /* not the shortest form */
		*in = at;
		*out = value;
		return 0;
	}
	return -EUCLEAN;
}

int ranges_decode(struct ranges *r, const uint8_t *in, size_t length)
{
	const uint8_t *end = in + length;
	uint64_t before = 0, gap, bytes;

	ranges_clear(r);
	while (in < end) {
		int err = varint_read(&in, end, &gap);
		if (!err)
			err = varint_read(&in, end, &bytes);
		if (!err && ((gap == 0 && r->count > 0) || bytes == 0))
			err = -EUCLEAN;
		if (!err && (gap > UINT64_MAX - before || bytes > UINT64_MAX - before - gap))
			err = -EUCLEAN;
		if (!err)
			err = make_room(r);
		if (err) {
			ranges_clear(r);
			return err;
		}
		r->items[r->count++] = (struct range){before + gap, before + gap + bytes};
		before += gap + bytes;
	}
	return 0;
}
