/* A whole index must never be taken for damaged: that would throw the cache away. And damage anywhere is seen. */
#include <fcntl.h>
#include "index_changes.h"
#include "cache/index/salvage.h"

enum { LONG_MS = 60000 };

static void assert_whole(struct fixture *f)
{
	AUTO_BUF struct buf why = BUF_EMPTY;
	if (f->index)
		index_close(&f->index);
	int rc = salvage_check(f->folder, LONG_MS, &why);
	if (rc != 0)
		print_error("%s\n", buf_string(&why));
	assert_int_equal(rc, 0);
	fixture_open(f, draw(8) ? "boot-1" : "boot-2"); /* as after a kill or a power cut */
}

static void small_changes(void **state)
{
	struct fixture *f = *state;
	assert_whole(f);
	for (int round = 0; round < 150; round++) {
		for (uint64_t n = draw(30); n > 0; n--)
			change(f->index);
		if (draw(2))
			must_checkpoint(f->index);
		assert_whole(f);
	}
}

/* Many pages become free at once and by and by, and are used again: LMDB's list of them takes every form that it has. */
static void large_changes(void **state)
{
	struct fixture *f = *state;
	uint64_t first = 0, last = 0;
	for (int round = 0; round < 60; round++) {
		struct txn *txn = must_write(f->index);
		uint64_t count = 1 + draw(draw(4) ? 300 : 6000);
		bool grow = last == first || draw(5) < 3;
		for (uint64_t n = 0; n < count && (grow || first < last); n++) {
			char name[32];
			if (grow) {
				snprintf(name, sizeof(name), "n%llu", (unsigned long long)txn_new_ino(txn));
				last = must_make(txn, 1, name, S_IFREG, 1) + 1;
				first = first ? first : last - 1;
				continue;
			}
			int rc = nodes_delete(txn, first++); /* a power cut may have taken it */
			assert_true(rc == 0 || rc == -ENOENT);
		}
		assert_int_equal(txn_commit(&txn), 0);
		if (draw(2))
			must_checkpoint(f->index);
		assert_whole(f);
	}
}

/* Where in the file LMDB says of how many free pages a record of its list is, and how many. */
static off_t find_free_record(struct index *index, size_t *count)
{
	MDB_txn *txn;
	MDB_cursor *cursor;
	MDB_val key, value;
	off_t at = 0;
	REQUIRE(mdb_txn_begin(index->env, NULL, MDB_RDONLY, &txn) == 0 && mdb_cursor_open(txn, 0, &cursor) == 0);
	while (at == 0 && mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
		memcpy(count, value.mv_data, sizeof(*count));
		if (*count > 1)
			at = (const char *)value.mv_data - (const char *)index->map;
	}
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	return at;
}

/* LMDB makes room for a record of free pages before it knows how many there will be: fewer are no damage, more are. It
 * seldom happens by itself, so it is made here. */
static void room_to_spare(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf why = BUF_EMPTY;
	char path[100];
	size_t count = 0;
	for (int i = 0; i < 100; i++) {
		change(f->index);
		must_checkpoint(f->index);
	}
	assert_non_null(f->index->map);
	off_t at = find_free_record(f->index, &count);
	assert_int_not_equal(at, 0);
	index_close(&f->index);
	snprintf(path, sizeof(path), "%s/index.mdb", f->folder);
	for (size_t given = count - 1; given <= count + 1; given++) {
		int fd = open(path, O_RDWR | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(pwrite(fd, &given, sizeof(given), at), sizeof(given));
		close(fd);
		assert_int_equal(salvage_check(f->folder, LONG_MS, &why), given > count ? -EUCLEAN : 0);
	}
}

/* Time that is too short is no damage, and an index without anything neither. */
static void no_time(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf why = BUF_EMPTY;
	index_close(&f->index);
	assert_int_equal(salvage_check(f->folder, 0, &why), 0);
}

static void damage(void **state)
{
	struct fixture *f = *state;
	static uint8_t garbage[4096];
	char path[100];
	unsigned seen = 0;
	for (int i = 0; i < 300; i++)
		change(f->index);
	index_close(&f->index);
	snprintf(path, sizeof(path), "%s/index.mdb", f->folder);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	off_t size = lseek(fd, 0, SEEK_END);
	for (size_t i = 0; i < sizeof(garbage); i++)
		garbage[i] = (uint8_t)draw(256);
	for (off_t at = 2 * 4096; at < size; at += 4096) {
		uint8_t page[4096];
		AUTO_BUF struct buf why = BUF_EMPTY;
		assert_int_equal(pread(fd, page, sizeof(page), at), sizeof(page));
		assert_int_equal(pwrite(fd, garbage, sizeof(garbage), at), sizeof(garbage));
		int rc = salvage_check(f->folder, LONG_MS, &why);
		assert_true(rc == 0 || (rc == -EUCLEAN && why.length > 0));
		seen += rc != 0;
		assert_int_equal(pwrite(fd, page, sizeof(page), at), sizeof(page));
	}
	close(fd);
	print_message("%u of %lld pages\n", seen, (long long)size / 4096);
	assert_true(seen > 10);
	assert_whole(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {TEST(small_changes), TEST(large_changes), TEST(no_time),
					   TEST(room_to_spare), TEST(damage)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
