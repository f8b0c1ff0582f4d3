/* Against a naive model: one bool for each byte. The model is small, so that ranges touch and overlap often. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "cache/blob/ranges.h"

enum { BYTES = 200, ROUNDS = 300, STEPS = 40 };

static uint64_t seed = 42;

static uint64_t draw(uint64_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % below;
}

static void assert_sorted(const struct ranges *r)
{
	for (size_t i = 0; i < r->count; i++) {
		assert_true(r->items[i].start < r->items[i].end);
		if (i)
			assert_true(r->items[i - 1].end < r->items[i].start);
	}
}

static bool model_gap(const bool *model, uint64_t start, uint64_t end, struct range *out)
{
	while (start < end && model[start])
		start++;
	if (start == end)
		return false;
	out->start = out->end = start;
	while (out->end < end && !model[out->end])
		out->end++;
	return true;
}

static void compare(const struct ranges *r, const bool *model)
{
	uint64_t bytes = 0;

	assert_sorted(r);
	for (uint64_t i = 0; i < BYTES; i++)
		bytes += model[i];
	assert_int_equal(ranges_bytes(r), bytes);
	for (int i = 0; i < 60; i++) {
		uint64_t start = draw(BYTES), end = draw(BYTES + 1);
		struct range want = {0}, got = {0};
		bool has_gap = model_gap(model, start, end < start ? start : end, &want);
		assert_int_equal(ranges_gap(r, start, end, &got), has_gap);
		assert_int_equal(ranges_cover(r, start, end), !has_gap);
		assert_int_equal(got.start, want.start);
		assert_int_equal(got.end, want.end);
	}
}

static void test_model(void **state)
{
	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		bool model[BYTES] = {false};
		struct ranges r;
		ranges_init(&r);
		for (int step = 0; step < STEPS; step++) {
			uint64_t start = draw(BYTES), end = start + draw(1 + draw(12));
			if (end > BYTES)
				end = BYTES;
			assert_int_equal(ranges_add(&r, start, end), 0);
			for (uint64_t i = start; i < end; i++)
				model[i] = true;
			compare(&r, model);
		}
		ranges_clear(&r);
		assert_int_equal(ranges_bytes(&r), 0);
		ranges_destroy(&r);
	}
}

static void test_empty_and_huge(void **state)
{
	(void)state;
	struct range gap;
	struct ranges r;

	ranges_init(&r);
	assert_true(ranges_cover(&r, 5, 5));
	assert_true(ranges_cover(&r, 6, 5));
	assert_false(ranges_cover(&r, 5, 6));
	assert_int_equal(ranges_add(&r, 7, 7), 0);
	assert_int_equal(r.count, 0);
	assert_int_equal(ranges_add(&r, UINT64_MAX - 1, UINT64_MAX), 0);
	assert_int_equal(ranges_add(&r, 0, 1), 0);
	assert_true(ranges_gap(&r, 0, UINT64_MAX, &gap));
	assert_int_equal(gap.start, 1);
	assert_int_equal(gap.end, UINT64_MAX - 1);
	assert_int_equal(ranges_add(&r, 0, UINT64_MAX), 0);
	assert_int_equal(r.count, 1);
	assert_true(ranges_cover(&r, 0, UINT64_MAX));
	ranges_destroy(&r);
}

static void random_ranges(struct ranges *r)
{
	uint64_t at = draw(2) ? 0 : draw(1u << 30);

	ranges_clear(r);
	for (uint64_t n = draw(30); n; n--) {
		uint64_t length = 1 + draw(1ull << draw(31));
		assert_int_equal(ranges_add(r, at, at + length), 0);
		at += length + 1 + draw(1ull << draw(31));
	}
}

static void test_encode_whole(void **state)
{
	(void)state;
	uint8_t bytes[1024];
	struct ranges r, again;

	ranges_init(&r);
	ranges_init(&again);
	for (int round = 0; round < 500; round++) {
		random_ranges(&r);
		size_t used = ranges_encode(&r, bytes, sizeof(bytes));
		assert_int_equal(ranges_decode(&again, bytes, used), 0);
		assert_int_equal(again.count, r.count);
		if (r.count)
			assert_memory_equal(again.items, r.items, r.count * sizeof(*r.items));
	}
	ranges_destroy(&r);
	ranges_destroy(&again);
}

static uint64_t length_of(struct range r)
{
	return r.end - r.start;
}

/* What was kept is a part of r, and nothing that was left out is longer than anything that was kept. */
static void assert_largest(const struct ranges *kept, const struct ranges *r)
{
	uint64_t smallest_kept = UINT64_MAX, largest_left = 0;
	size_t k = 0;

	for (size_t i = 0; i < r->count; i++) {
		uint64_t length = length_of(r->items[i]);
		if (k < kept->count && kept->items[k].start == r->items[i].start) {
			assert_int_equal(kept->items[k].end, r->items[i].end);
			if (length < smallest_kept)
				smallest_kept = length;
			k++;
		} else if (length > largest_left) {
			largest_left = length;
		}
	}
	assert_int_equal(k, kept->count);
	assert_true(largest_left <= smallest_kept);
}

static void test_encode_cut(void **state)
{
	(void)state;
	uint8_t bytes[1024];
	struct ranges r, again;

	ranges_init(&r);
	ranges_init(&again);
	for (int round = 0; round < 500; round++) {
		random_ranges(&r);
		size_t whole = ranges_encode(&r, bytes, sizeof(bytes)), space = draw(whole + 1);
		memset(bytes, 0xee, sizeof(bytes));
		size_t used = ranges_encode(&r, bytes, space);
		assert_true(used <= space);
		for (size_t i = used; i < sizeof(bytes); i++)
			assert_int_equal(bytes[i], 0xee);
		/* One range takes at most 20 bytes, so that more than that is never left unused. */
		assert_true(space == whole ? used == whole : space - used <= 20);
		assert_int_equal(ranges_decode(&again, bytes, used), 0);
		assert_largest(&again, &r);
	}
	ranges_destroy(&r);
	ranges_destroy(&again);
}

static void test_encode_ties(void **state)
{
	(void)state;
	uint8_t bytes[7];
	struct ranges r;

	ranges_init(&r);
	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(ranges_add(&r, i * 10, i * 10 + 5), 0);
	assert_int_equal(ranges_encode(&r, bytes, sizeof(bytes)), 6);
	assert_int_equal(ranges_decode(&r, bytes, 6), 0);
	assert_int_equal(r.count, 3);
	ranges_destroy(&r);
}

static void test_decode_refuses(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		size_t length;
		uint8_t bytes[24];
	} cases[] = {
		{"a gap without a length", 1, {0}},
		{"an empty range", 2, {5, 0}},
		{"ranges that touch", 4, {0, 1, 0, 1}},
		{"a varint cut off", 2, {0, 0x80}},
		{"a varint longer than need be", 3, {0, 0x81, 0}},
		{"a zero longer than need be", 3, {0x80, 0, 1}},
		{"65 bits", 11, {0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2}},
		{"eleven bytes", 12, {0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 0}},
		{"an end past 64 bits", 11, {1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}},
		{"a good one, then rubbish", 3, {0, 1, 1}},
	};
	struct ranges r;

	ranges_init(&r);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (ranges_decode(&r, cases[i].bytes, cases[i].length) != -EUCLEAN)
			fail_msg("taken: %s", cases[i].what);
		assert_int_equal(r.count, 0);
	}
	static const uint8_t documented[] = {0x00, 0x64, 0x9c, 0x1f, 0x80, 0x20};
	assert_int_equal(ranges_decode(&r, documented, sizeof(documented)), 0);
	assert_int_equal(r.count, 2);
	assert_int_equal(r.items[0].end, 100);
	assert_int_equal(r.items[1].start, 4096);
	assert_int_equal(r.items[1].end, 8192);
	ranges_destroy(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),         cmocka_unit_test(test_empty_and_huge),
		cmocka_unit_test(test_encode_whole),  cmocka_unit_test(test_encode_cut),
		cmocka_unit_test(test_encode_ties),   cmocka_unit_test(test_decode_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
