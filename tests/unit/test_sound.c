/* Files of every shape against what a record says of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cache/flow/sound.h"

enum { BLOCK = 64 << 10, OLD = 5, END = 10 };

static int folder = -1, file = -1;
static bool can_punch;

static int setup(void **state)
{
	(void)state;
	folder = open(access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	file = openat(folder, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(file);
	close(folder);
	return 0;
}

/* Three blocks, of which a letter each says: d data, z zeros that were written, - a hole. */
static void shape(const char *blocks)
{
	static uint8_t bytes[BLOCK];
	assert_int_equal(ftruncate(file, 0), 0);
	for (size_t i = 0; blocks[i]; i++) {
		memset(bytes, blocks[i] == 'd' ? 'x' : 0, sizeof(bytes));
		assert_int_equal(ftruncate(file, (off_t)((i + 1) * BLOCK)), 0);
		if (blocks[i] != '-')
			assert_int_equal(blob_write(file, i * BLOCK, bytes, BLOCK), 0);
	}
	assert_int_equal(fsync(file), 0);
	can_punch = blocks[strcspn(blocks, "-")] != '-' ||
		    lseek(file, 0, SEEK_HOLE) < (off_t)(strlen(blocks) * BLOCK);
}

static void shapes(void **state)
{
	static const struct {
		const char *blocks;
		enum content content;
		uint64_t size;
		bool sparse, sound;
	} rows[] = {
	    {"ddd", CONTENT_CLEAN, 3 * BLOCK, false, true},
	    {"ddd", CONTENT_CLEAN, 3 * BLOCK + 1, false, false}, /* shorter than the record */
	    {"ddd", CONTENT_DIRTY, 3 * BLOCK + 1, true, false},
	    {"ddd", CONTENT_DIRTY, 2 * BLOCK, false, true}, /* an append that was not published */
	    {"dd-", CONTENT_DIRTY, 2 * BLOCK, false, true},
	    {"dzd", CONTENT_DIRTY, 3 * BLOCK, false, true}, /* zeros are data */
	    {"d-d", CONTENT_DIRTY, 3 * BLOCK, false, false},
	    {"d-d", CONTENT_DIRTY, 3 * BLOCK, true, true}, /* a hole that is meant */
	    {"-dd", CONTENT_CLEAN, 3 * BLOCK, false, false},
	    {"dd-", CONTENT_CLEAN, 3 * BLOCK, false, false},
	    {"", CONTENT_DIRTY, 0, false, true},
	    {"", CONTENT_DIRTY, 1, false, false},
	};
	struct flow flow = {0};
	(void)state;
	sound_doubt(&flow, END, folder);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sound_claim claim = {OLD, rows[i].size, rows[i].content, rows[i].sparse, NULL};
		shape(rows[i].blocks);
		if (!can_punch || !flow.holes_tell)
			continue;
		if (sound_blob(&flow, &claim, file) != rows[i].sound)
			fail_msg("row %zu: %s", i, rows[i].blocks);
		claim.blob = END; /* made since: nobody doubts it */
		assert_true(sound_blob(&flow, &claim, file));
	}
}

static void partial(void **state)
{
	static const struct {
		const char *blocks;
		uint64_t start, end;
		bool sound;
	} rows[] = {
	    {"d-d", 0, BLOCK, true},
	    {"d-d", 2 * BLOCK, 3 * BLOCK, true},
	    {"d-d", 100, BLOCK - 100, true},
	    {"d-d", 0, BLOCK + 1, false},
	    {"d-d", BLOCK + 7, BLOCK + 8, false},
	    {"d-d", 2 * BLOCK, 3 * BLOCK + 1, false},
	};
	struct flow flow = {0};
	(void)state;
	sound_doubt(&flow, END, folder);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ranges present;
		ranges_init(&present);
		assert_int_equal(ranges_add(&present, rows[i].start, rows[i].end), 0);
		const struct sound_claim claim = {OLD, 100 * BLOCK, CONTENT_REMOTE, false, &present};
		shape(rows[i].blocks);
		if (can_punch && flow.holes_tell && sound_blob(&flow, &claim, file) != rows[i].sound)
			fail_msg("row %zu", i);
		ranges_destroy(&present);
	}
}

/* After a start that no power cut came before, nothing is looked at. */
static void no_doubt(void **state)
{
	const struct flow flow = {0};
	const struct sound_claim claim = {OLD, 3 * BLOCK, CONTENT_CLEAN, false, NULL};
	(void)state;
	shape("d");
	assert_true(sound_blob(&flow, &claim, file));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(shapes), cmocka_unit_test(partial),
					   cmocka_unit_test(no_doubt)};
	return cmocka_run_group_tests(tests, setup, teardown);
}
