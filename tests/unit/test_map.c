/* Memory that is resident for the index stays bounded, also while all of a large one is read, again
 * and again. */
#include "index_fixture.h"

enum { NODES = 2500, VALUE_BYTES = 65000, MIB = 1 << 20 };

static uint64_t mapped_bytes(void)
{
	unsigned long pages = 0;
	FILE *statm = fopen("/proc/self/statm", "re");
	assert_non_null(statm);
	assert_int_equal(fscanf(statm, "%*u %*u %lu", &pages), 1);
	fclose(statm);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void bounded(void **state)
{
	struct fixture f = {.folder = "/tmp/tootfs-test-XXXXXX"};
	AUTO_BUF struct buf out = BUF_EMPTY;
	static char value[VALUE_BYTES];
	uint64_t highest = 0;
	(void)state;
	assert_non_null(mkdtemp(f.folder)); /* not in memory, where it could be too large */
	fixture_open(&f, "boot-1");
	uint64_t before = mapped_bytes();
	for (uint64_t ino = 0; ino < NODES; ino += 100) {
		struct txn *txn = must_write(f.index);
		for (uint64_t i = ino; i < ino + 100; i++)
			assert_int_equal(xattrs_put(txn, i, "user.large", value, sizeof(value)), 0);
		assert_int_equal(txn_commit(&txn), 0);
	}
	for (int round = 0; round < 2; round++) {
		for (uint64_t ino = 0; ino < NODES; ino++) {
			struct txn *txn = must_read(f.index);
			assert_int_equal(xattrs_get(txn, ino, "user.large", &out), 0);
			assert_int_equal(out.length, VALUE_BYTES);
			txn_abort(&txn);
			uint64_t now = mapped_bytes();
			highest = now > highest ? now : highest;
		}
	}
	print_message("resident at most %u MiB of %u MiB\n", (unsigned)((highest - before) / MIB),
		      (unsigned)((uint64_t)NODES * VALUE_BYTES / MIB));
	assert_true(highest - before > 20 * MIB); /* it is seen here at all */
	assert_true(highest < 110 * MIB);
	index_close(&f.index);
	fixture_remove(f.folder);
	buf_destroy(&f.why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(bounded)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
