/* The file `steady` and LMDB's meta pages: round trips, every flipped byte, every length. */
#include <fcntl.h>
#include "index_fixture.h"
#include "cache/index/internal.h"

static void take(struct fixture *f, struct steady *out)
{
	assert_int_equal(steady_take(f->index->file_fd, out), 0);
	snprintf(out->boot_id, sizeof(out->boot_id), "0123-boot");
}

/* What is known here of LMDB's pages is what LMDB itself says. */
static void takes_what_lmdb_says(void **state)
{
	struct fixture *f = *state;
	struct steady steady;
	MDB_envinfo info;
	MDB_stat stat;
	for (int i = 0; i < 5; i++) {
		struct txn *txn = must_write(f->index);
		char name[32];
		snprintf(name, sizeof(name), "f%d", i);
		must_make(txn, 1, name, S_IFREG, 0);
		assert_int_equal(txn_commit(&txn), 0);
		assert_int_equal(txn_begin_read(f->index, &txn), 0); /* index.mdb has it then */
		txn_abort(&txn);
		take(f, &steady);
		assert_int_equal(mdb_env_info(f->index->env, &info), 0);
		assert_int_equal(mdb_env_stat(f->index->env, &stat), 0);
		assert_int_equal(steady.txn, info.me_last_txnid);
		assert_int_equal(steady.txn, index_newest(f->index));
		assert_int_equal(steady.page_bytes, stat.ms_psize);
		assert_true(steady.file_bytes >= 2u * stat.ms_psize);
	}
}

static void round_trip(void **state)
{
	struct fixture *f = *state;
	struct steady steady, back;
	uint8_t bytes[STEADY_BYTES + 1] = {0};
	memset(&steady, 0, sizeof(steady));
	take(f, &steady);
	for (int clean = 0; clean < 2; clean++) {
		steady.clean = clean;
		steady_encode(bytes, &steady);
		assert_int_equal(steady_decode(&back, bytes, STEADY_BYTES), 0);
		assert_int_equal(back.clean, clean);
		assert_string_equal(back.boot_id, "0123-boot");
		assert_int_equal(back.txn, steady.txn);
		assert_int_equal(back.file_bytes, steady.file_bytes);
		assert_int_equal(back.page_bytes, steady.page_bytes);
		assert_memory_equal(back.metas, steady.metas, sizeof(back.metas));
	}
	for (size_t length = 0; length <= STEADY_BYTES + 1; length++)
		if (length != STEADY_BYTES)
			assert_int_equal(steady_decode(&back, bytes, length), -EUCLEAN);
}

/* A flip in the format's number may look like a newer format; anything else is damage. */
static void every_flip_is_seen(void **state)
{
	struct fixture *f = *state;
	struct steady steady, back;
	uint8_t bytes[STEADY_BYTES];
	memset(&steady, 0, sizeof(steady));
	take(f, &steady);
	steady_encode(bytes, &steady);
	for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		int rc = steady_decode(&back, bytes, sizeof(bytes));
		assert_int_equal(rc, bit / 8 >= 16 && bit / 8 < 20 && bit != 16 * 8 ? -EPROTO
										    : -EUCLEAN);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void on_disk(void **state)
{
	struct fixture *f = *state;
	struct steady steady, back;
	bool unsure;
	int folder = open(f->folder, O_RDONLY | O_DIRECTORY);
	memset(&steady, 0, sizeof(steady));
	take(f, &steady);
	for (int i = 0; i < 3; i++) { /* made new, then exchanged */
		snprintf(steady.boot_id, sizeof(steady.boot_id), "boot %d", i);
		assert_int_equal(steady_write(folder, &steady, &unsure), 0);
		assert_int_equal(steady_read(folder, "steady", &back), 0);
		assert_string_equal(back.boot_id, steady.boot_id);
		/* the next one needs no room */
		assert_int_equal(faccessat(folder, "steady.old", W_OK, 0), 0);
		if (i == 0)
			assert_int_equal(unlinkat(folder, "steady.old", 0), 0);
	}
	/* what lies in the way of the spare one does not matter */
	int fd = openat(folder, "steady.old", O_WRONLY | O_CREAT, 0600);
	for (int i = 0; i < 500; i++)
		assert_int_equal(write(fd, "garbage ", 8), 8);
	close(fd);
	assert_int_equal(steady_write(folder, &steady, &unsure), 0);
	assert_int_equal(steady_read(folder, "steady", &back), 0);
	assert_int_equal(unlinkat(folder, "steady", 0), 0);
	assert_int_equal(steady_read(folder, "steady", &back), -ENOENT);
	assert_int_equal(symlinkat("/etc/hostname", folder, "steady"), 0);
	assert_int_equal(steady_read(folder, "steady", &back), -ELOOP);
	close(folder);
}

static void metas_that_are_none(void **state)
{
	struct fixture *f = *state;
	static const struct {
		off_t at;
		int rc;
	} rows[] = {
	    {10, -EUCLEAN}, {16, -EUCLEAN}, {20, -EPROTO}, {40, -EUCLEAN}, {4096 + 16, -EUCLEAN}};
	struct steady before, steady;
	char path[100];
	snprintf(path, sizeof(path), "%s/copy", f->folder);
	take(f, &before);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
		assert_int_equal(ftruncate(fd, 8192), 0);
		assert_int_equal(steady_put_back(fd, &before), 0);
		assert_int_equal(steady_take(fd, &steady), 0);
		assert_memory_equal(steady.metas, before.metas, sizeof(steady.metas));
		assert_int_equal(pwrite(fd, "\x77", 1, rows[i].at), 1);
		assert_int_equal(steady_take(fd, &steady), rows[i].rc);
		assert_int_equal(ftruncate(fd, 4096), 0);
		assert_true(steady_take(fd, &steady) < 0);
		close(fd);
	}
}

static void boot_id(void **state)
{
	(void)state;
	char one[STEADY_BOOT_BYTES], other[STEADY_BOOT_BYTES];
	assert_int_equal(steady_boot_id(one), 0);
	assert_int_equal(steady_boot_id(other), 0);
	assert_string_equal(one, other);
	assert_int_equal(strlen(one), 36);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(takes_what_lmdb_says),
	    TEST(round_trip),
	    TEST(every_flip_is_seen),
	    TEST(on_disk),
	    TEST(boot_id),
	    TEST(metas_that_are_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
