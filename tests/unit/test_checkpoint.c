/* Checkpoints: their numbers, what a killed process leaves, and what happens when the disk fails in
 * one. Power cuts have a test of their own (test_power_cut.c). */
#include <sys/syscall.h>
#include "index_changes.h"

/* The error that the next of these calls has; 0 = none. */
static struct {
	int fdatasync, fsync_file, fsync_folder;
} faults;

/* These stand before libc's. */
static int fault_or(int error, long number, int fd)
{
	if (error)
		errno = error;
	return error ? -1 : (int)syscall(number, fd);
}

int fdatasync(int fd)
{
	return fault_or(faults.fdatasync, SYS_fdatasync, fd);
}

int fsync(int fd)
{
	struct stat st;
	bool folder = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
	return fault_or(folder ? faults.fsync_folder : faults.fsync_file, SYS_fsync, fd);
}

/* Killed, not cut off: all that was committed is there, whenever. */
static void killed(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 20; i++) {
		uint64_t content = 0;
		for (uint64_t n = draw(10); n > 0; n--) {
			change(f->index);
			if (draw(4) == 0)
				must_checkpoint(f->index);
		}
		content = content_of(f->index);
		index_close(&f->index);
		fixture_open(f, "boot-1");
		assert_int_equal(f->start, INDEX_KILLED);
		assert_true(content_of(f->index) == content);
		assert_int_equal(index_covered(f->index), index_newest(f->index));
		check_pages(f->index);
	}
}

static void numbers(void **state)
{
	struct fixture *f = *state;
	struct index_checkpoint *checkpoint;
	uint64_t start = index_newest(f->index);
	assert_int_equal(index_covered(f->index), start);
	assert_int_equal(index_pinned(f->index), start);
	change(f->index);
	assert_int_equal(index_newest(f->index), start + 1);
	assert_int_equal(index_covered(f->index), start);
	assert_int_equal(index_checkpoint_begin(f->index, &checkpoint), 0);
	assert_int_equal(index_checkpoint_txn(checkpoint), start + 1);
	assert_int_equal(index_pinned(f->index), start + 1);
	assert_int_equal(index_covered(f->index), start);
	index_checkpoint_abort(&checkpoint);
	assert_null(checkpoint);
	assert_int_equal(index_pinned(f->index), start);
	assert_int_equal(index_checkpoint_begin(f->index, &checkpoint), 0);
	change(f->index);
	assert_int_equal(index_checkpoint_commit(&checkpoint), 0);
	assert_int_equal(index_covered(f->index), start + 1);
	assert_int_equal(index_mark_clean(f->index), -EBUSY);
	must_checkpoint(f->index);
	must_checkpoint(f->index); /* with nothing to do */
	assert_int_equal(index_covered(f->index), start + 2);
	struct txn *txn = must_write(f->index); /* one that changes nothing is none */
	assert_int_equal(txn_commit(&txn), 0);
	assert_int_equal(index_newest(f->index), start + 2);
	assert_int_equal(index_mark_clean(f->index), 0);
	assert_int_equal(txn_begin_write(f->index, &txn), -EROFS);
	index_checkpoint_abort(&checkpoint);
}

/* What can be tried again is tried again; what the disk lost is not. Either way nobody is let down:
 * the steady state stays pinned (a reboot finds it), and changes go on. */
static void failures(void **state)
{
	struct fixture *f = *state;
	static const struct {
		int *fault, error, rc;
		bool again;
		uint64_t found; /* after a reboot: of the transactions 1 and 2, at least */
	} rows[] = {
	    {&faults.fsync_file, ENOSPC, -ENOSPC, true, 1},
	    {&faults.fsync_file, EIO, -EIO, true, 1},
	    {&faults.fdatasync, EIO, -EIO, false, 1},
	    {&faults.fsync_folder, EIO, -EIO, false, 2},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct index_checkpoint *checkpoint;
		change(f->index);
		must_checkpoint(f->index);
		uint64_t covered = index_covered(f->index), content = content_of(f->index);
		change(f->index);
		if (rows[i].found == 2)
			content = content_of(f->index);
		*rows[i].fault = rows[i].error;
		assert_int_equal(index_checkpoint_begin(f->index, &checkpoint), 0);
		assert_int_equal(index_checkpoint_commit(&checkpoint), rows[i].rc);
		*rows[i].fault = 0;
		assert_int_equal(index_covered(f->index), covered);
		assert_int_equal(index_pinned(f->index), covered);
		for (int n = 0; n < 50; n++) /* would overwrite what is not pinned */
			change(f->index);
		if (rows[i].again)
			must_checkpoint(f->index);
		else
			assert_int_equal(index_checkpoint_begin(f->index, &checkpoint), -EIO);
		if (rows[i].again)
			content = content_of(f->index);
		else
			assert_int_equal(index_mark_clean(f->index), -EIO);
		index_close(&f->index);
		char boot[16];
		snprintf(boot, sizeof(boot), "boot-%d", (int)i + 10);
		fixture_open(f, boot);
		assert_int_equal(f->start, INDEX_POWER_CUT);
		assert_true(content_of(f->index) == content);
		check_pages(f->index);
	}
}

/* Without checkpoints no page is used again; with them the file stays as it is. */
static void growth(void **state)
{
	struct fixture *f = *state;
	uint64_t before = 0;
	for (int i = 0; i < 300; i++) {
		change(f->index);
		flush(f->index);
	}
	assert_in_range(index_growth_bytes(f->index), 1 << 20, 1 << 26);
	must_checkpoint(f->index);
	for (int i = 0; i < 60; i++) {
		if (i == 10)
			before = index_growth_bytes(f->index) + f->index->pinned_bytes;
		must_checkpoint(f->index);
		assert_int_equal(index_growth_bytes(f->index), 0);
		change(f->index);
	}
	assert_true(f->index->file_bytes <= before + (1 << 18));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {TEST(numbers), TEST(killed), TEST(failures),
					   TEST(growth)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
