/* What was acknowledged and is not in index.mdb yet: after a kill, a cut, a power cut, on a full disk. The right
 * content is that of a second index to which the same changes are made. */
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include "index_changes.h"

static int full_fd = -1; /* no byte gets into this file */

/* These stand before libc's. */
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at)
{
	if (fd == full_fd && full_fd >= 0) {
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, bytes, length, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
	if (fd == full_fd && full_fd >= 0) {
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_pwritev, fd, parts, count, at, 0);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	if (fd == full_fd && full_fd >= 0) {
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_writev, fd, parts, count);
}

/* The batch stays as it is until somebody asks. */
static void keep_open(struct index *index)
{
	lock_take(&index->writer);
	index->batch.due_ms = INT64_MAX;
	lock_drop(&index->writer);
}

/* The first of all changes: what an index is born with tells when that was. */
static void fix_root(struct index *index)
{
	struct node_record root;
	struct txn *txn;
	REQUIRE(txn_begin_write(index, &txn) == 0 && nodes_get(txn, INO_ROOT, &root) == 0);
	root.atime_ns = root.mtime_ns = root.ctime_ns = 1;
	REQUIRE(nodes_put(txn, &root) == 0 && txn_commit(&txn) == 0);
}

static uint64_t model_content(uint64_t seed, unsigned count)
{
	struct fixture model = {.why = BUF_EMPTY};
	fixture_folder(model.folder);
	fixture_open(&model, "boot-1");
	fix_root(model.index);
	fixture_seed = seed;
	for (unsigned i = 0; i < count; i++) {
		change(model.index);
		draw(20);
	}
	uint64_t content = content_of(model.index);
	index_close(&model.index);
	fixture_remove(model.folder);
	buf_destroy(&model.why);
	return content;
}

/* In a process of its own, which ends without a word when all were acknowledged. */
static void changes_of_a_killed(struct fixture *f, uint64_t seed, unsigned count, bool open)
{
	int status;
	fflush(NULL);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		fixture_seed = seed;
		if (fixture_try(f, "boot-1", "file:///bucket", false) != 0)
			_exit(2);
		fix_root(f->index);
		if (open)
			keep_open(f->index);
		for (unsigned i = 0; i < count; i++) {
			change(f->index);
			if (open)
				keep_open(f->index);
			if (draw(20) == 0 && !open)
				usleep(25000);
		}
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void close_all(struct fixture *f)
{
	index_close(&f->index);
	fixture_remove(f->folder);
	assert_int_equal(mkdir(f->folder, 0700), 0);
}

static void killed(void **state)
{
	struct fixture *f = *state;
	static const unsigned counts[] = {0, 1, 2, 40, 400};
	for (unsigned i = 0; i < 2 * sizeof(counts) / sizeof(counts[0]); i++) {
		close_all(f);
		changes_of_a_killed(f, i + 7, counts[i / 2], i % 2);
		fixture_open(f, "boot-1");
		assert_int_equal(f->start, INDEX_KILLED);
		assert_true(content_of(f->index) == model_content(i + 7, counts[i / 2]));
		check_pages(f->index);
	}
}

/* -- the file -- */

static int open_file(struct fixture *f)
{
	char path[100];
	snprintf(path, sizeof(path), "%s/journal", f->folder);
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	return fd;
}

/* Where each change ends. */
static unsigned find_ends(struct fixture *f, size_t *ends, unsigned max)
{
	uint8_t head[24];
	size_t at = 0;
	unsigned count = 0;
	int fd = open_file(f);
	while (count < max && pread(fd, head, sizeof(head), (off_t)at) == sizeof(head) &&
	       memcmp(head, "tootfs\r\n", 8) == 0) {
		uint32_t length;
		memcpy(&length, head + 20, sizeof(length));
		at += 40 + length;
		ends[count++] = at;
	}
	close(fd);
	return count;
}

/* Whatever byte is wrong, the changes before it count, and none from it on. */
static void torn(void **state)
{
	struct fixture *f = *state;
	enum { CHANGES = 12 };
	size_t ends[CHANGES + 1];
	for (unsigned i = 0; i < 12; i++) {
		close_all(f);
		changes_of_a_killed(f, 5, CHANGES, true);
		assert_int_equal(find_ends(f, ends, CHANGES + 1), CHANGES + 1);
		size_t at = ends[0] + (i < 2 ? 0 : draw(ends[CHANGES] - ends[0]));
		int fd = open_file(f);
		uint8_t byte;
		assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
		byte ^= (uint8_t)(1 << draw(8));
		if (i % 2)
			assert_int_equal(ftruncate(fd, (off_t)at), 0);
		else
			assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
		close(fd);
		unsigned whole = 0;
		while (ends[whole] <= at)
			whole++;
		fixture_open(f, "boot-1");
		assert_true(content_of(f->index) == model_content(5, whole - 1));
		change(f->index);
	}
}

static uint64_t files(struct index *index)
{
	struct index_totals totals;
	struct txn *txn = must_read(index);
	assert_int_equal(index_totals(txn, &totals), 0);
	txn_abort(&txn);
	return totals.files;
}

static void power_cut_discards(void **state)
{
	struct fixture *f = *state;
	close_all(f);
	changes_of_a_killed(f, 9, 10, true);
	fixture_open(f, "boot-2");
	assert_int_equal(f->start, INDEX_POWER_CUT);
	assert_int_equal(files(f->index), 0);
	index_close(&f->index);
	fixture_open(f, "boot-2");
	assert_int_equal(files(f->index), 0);
}

/* The journal of an index that is gone would fit a new one: both begin at the same transaction. */
static void of_another_index(void **state)
{
	struct fixture *f = *state;
	char path[100];
	close_all(f);
	changes_of_a_killed(f, 9, 10, true);
	static const char *const gone[] = {"index.mdb", "steady", "steady.old"};
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", f->folder, gone[i]);
		unlink(path);
	}
	fixture_open(f, "boot-1");
	assert_int_equal(f->start, INDEX_NEW);
	assert_int_equal(files(f->index), 0);
}

static void read_only(void **state)
{
	struct fixture *f = *state;
	close_all(f);
	changes_of_a_killed(f, 9, 10, true);
	assert_int_equal(fixture_try(f, "boot-1", "file:///bucket", true), -EROFS);
	assert_non_null(strstr(buf_string(&f->why), "killed"));
	fixture_open(f, "boot-1");
	must_checkpoint(f->index);
	assert_int_equal(index_mark_clean(f->index), 0);
	index_close(&f->index);
	assert_int_equal(fixture_try(f, "boot-1", "file:///bucket", true), 0);
	assert_true(content_of(f->index) == model_content(9, 10));
}

/* -- the batch -- */

static bool is_there(struct txn *txn, const char *name)
{
	struct name found;
	int rc = names_get(txn, INO_ROOT, name, &found);
	assert_true(rc == 0 || rc == -ENOENT);
	return rc == 0;
}

static void make_one(struct index *index, const char *name)
{
	struct txn *txn = must_write(index);
	must_make(txn, INO_ROOT, name, S_IFREG, 0);
	assert_int_equal(txn_commit(&txn), 0);
	keep_open(index);
}

static void look_and_read(void **state)
{
	struct fixture *f = *state;
	struct txn *txn;
	for (int round = 0; round < 3; round++) {
		char name[16];
		snprintf(name, sizeof(name), "n%d", round);
		make_one(f->index, name);
		assert_int_equal(f->index->batch.changes, 1);
		assert_int_equal(txn_begin_look(f->index, &txn), 0);
		assert_true(is_there(txn, name));
		assert_int_equal(txn_id(txn), index_newest(f->index));
		txn_abort(&txn);
		txn = must_write(f->index); /* comes to nothing, and takes nobody along */
		must_make(txn, INO_ROOT, "not", S_IFREG, 0);
		txn_abort(&txn);
		txn = must_write(f->index);
		must_make(txn, INO_ROOT, "not", S_IFREG, 0);
		txn->failed = -EIO;
		assert_int_equal(txn_commit(&txn), -EIO);
		assert_int_equal(f->index->batch.changes, 1);
		txn = must_read(f->index);
		assert_int_equal(f->index->batch.changes, 0);
		assert_true(is_there(txn, name));
		assert_false(is_there(txn, "not"));
		txn_abort(&txn);
	}
}

/* Changes go on while index.mdb takes nothing, until the journal is half full; all of them are seen, and are in
 * index.mdb when it takes something again. */
static void full_disk(void **state)
{
	struct fixture *f = *state;
	unsigned made = 0;
	char name[32];
	struct txn *txn;
	int rc = 0;
	full_fd = f->index->file_fd;
	while (rc == 0 && made < 100000) {
		rc = txn_begin_write(f->index, &txn);
		if (rc != 0)
			break;
		snprintf(name, sizeof(name), "n%u", made);
		must_make(txn, INO_ROOT, name, S_IFREG, 0);
		rc = txn_commit(&txn);
		made += rc == 0;
	}
	assert_int_equal(rc, -ENOSPC);
	assert_in_range(made, 500, 20000);
	assert_int_equal(txn_begin_read(f->index, &txn), -ENOSPC);
	/* else fsync would have nothing to wait for, and the index could be marked clean */
	assert_true(index_newest(f->index) > index_covered(f->index));
	assert_int_equal(index_mark_clean(f->index), -EBUSY);
	assert_int_equal(txn_begin_look(f->index, &txn), 0);
	for (unsigned i = 0; i < made; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		assert_true(is_there(txn, name));
	}
	txn_abort(&txn);
	full_fd = -1;
	txn = must_read(f->index);
	assert_true(is_there(txn, name));
	txn_abort(&txn);
	uint64_t content = content_of(f->index);
	index_close(&f->index);
	fixture_open(f, "boot-1");
	assert_true(content_of(f->index) == content);
}

/* More than the journal holds goes to index.mdb at once, or fails alone. */
static void too_large(void **state)
{
	struct fixture *f = *state;
	static char value[60000];
	for (int full = 0; full < 2; full++) {
		make_one(f->index, full ? "b" : "a");
		struct txn *txn = must_write(f->index);
		for (uint64_t ino = 10; ino < 30; ino++)
			assert_int_equal(xattrs_put(txn, ino, "user.large", value, sizeof(value)), 0);
		must_make(txn, INO_ROOT, full ? "d" : "c", S_IFREG, 0);
		full_fd = full ? f->index->file_fd : -1;
		assert_int_equal(txn_commit(&txn), full ? -ENOSPC : 0);
		full_fd = -1;
		txn = must_read(f->index);
		assert_true(is_there(txn, full ? "b" : "a"));
		assert_int_equal(is_there(txn, full ? "d" : "c"), !full);
		txn_abort(&txn);
	}
}

int main(void)
{
	content_without_txns = true;
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(killed),	 TEST(torn),	  TEST(power_cut_discards), TEST(of_another_index), TEST(read_only),
	    TEST(look_and_read), TEST(full_disk), TEST(too_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
