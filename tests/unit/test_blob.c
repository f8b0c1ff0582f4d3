#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>
#include "cache/blob/blob.h"

static char folder[64];
static struct blobs *blobs;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/test_blob.XXXXXX");
	return mkdtemp(folder) ? blobs_open(folder, &blobs) : -1;
}

static int teardown(void **state)
{
	(void)state;
	blobs_close(&blobs);
	assert_null(blobs);
	return nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static bool is_there(const char *path)
{
	char whole[160];
	struct stat st;

	snprintf(whole, sizeof(whole), "%s/%s", folder, path);
	return lstat(whole, &st) == 0;
}

static unsigned mode_of(const char *path)
{
	char whole[160];
	struct stat st;

	snprintf(whole, sizeof(whole), "%s/%s", folder, path);
	assert_int_equal(stat(whole, &st), 0);
	return st.st_mode & 07777;
}

static void make(uint64_t id, const char *text)
{
	int fd;

	assert_int_equal(blob_create(blobs, id, &fd), 0);
	assert_int_equal(blob_write(fd, 0, text, strlen(text)), 0);
	close(fd);
}

static void test_create_open_drop(void **state)
{
	(void)state;
	char bytes[8];
	int fd;

	assert_int_equal(blob_open(blobs, 0x1a3f0, &fd), -ENOENT);
	make(0x1a3f0, "media");
	assert_int_equal(blob_create(blobs, 0x1a3f0, &fd), -EEXIST);
	assert_true(is_there("blobs/1a/1a3f0"));
	assert_int_equal(mode_of("blobs"), 0700);
	assert_int_equal(mode_of("blobs/1a"), 0700);
	assert_int_equal(mode_of("blobs/1a/1a3f0"), 0600);

	assert_int_equal(blob_open(blobs, 0x1a3f0, &fd), 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(blob_read(fd, 0, bytes, 5), 0);
	assert_memory_equal(bytes, "media", 5);
	assert_int_equal(blob_write(fd, 5, "!", 1), 0);
	assert_int_equal(blob_drop(blobs, 0x1a3f0), 0);
	assert_int_equal(blob_drop(blobs, 0x1a3f0), 0);
	assert_int_equal(blob_drop(blobs, 0xffffffffff), 0);
	assert_int_equal(blob_read(fd, 4, bytes, 2), 0); /* an open fd outlives the drop */
	assert_memory_equal(bytes, "a!", 2);
	close(fd);
	assert_int_equal(blob_open(blobs, 0x1a3f0, &fd), -ENOENT);
}

static void test_read_write_limits(void **state)
{
	(void)state;
	char bytes[8];
	int fd;

	assert_int_equal(blob_create(blobs, 1, &fd), 0);
	assert_int_equal(blob_write(fd, 0, "12345", 5), 0);
	assert_int_equal(blob_read(fd, 3, bytes, 3), -EIO);
	assert_int_equal(blob_read(fd, 5, bytes, 0), 0);
	assert_int_equal(blob_write(fd, UINT64_MAX, "x", 1), -EFBIG);
	assert_int_equal(blob_write(fd, INT64_MAX, "x", 1), -EFBIG);
	assert_int_equal(blob_read(fd, UINT64_MAX, bytes, 1), -EFBIG);
	close(fd);
	assert_int_equal(blob_write(fd, 0, "x", 1), -EBADF);

	int full = open("/dev/full", O_RDWR | O_CLOEXEC);
	if (full >= 0) {
		assert_int_equal(blob_write(full, 0, "x", 1), -ENOSPC);
		close(full);
	}
}

static void test_reopen(void **state)
{
	(void)state;
	int fd;

	make(5, "x");
	make(0x5001, "y");
	assert_int_equal(blob_drop(blobs, 5), 0);
	assert_true(is_there("blobs/0"));
	blobs_close(&blobs);
	assert_int_equal(blobs_open(folder, &blobs), 0);
	assert_false(is_there("blobs/0")); /* the empty folder went, */
	assert_true(is_there("blobs/5/5001"));
	make(5, "z"); /* and comes back */
	assert_int_equal(blob_open(blobs, 0x5001, &fd), 0);
	close(fd);
}

static void test_open_errors(void **state)
{
	(void)state;
	struct blobs *other = NULL;
	char path[128];

	snprintf(path, sizeof(path), "%s/missing", folder);
	assert_int_equal(blobs_open(path, &other), -ENOENT);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/missing/blobs", folder);
	assert_int_equal(symlink("/tmp", path), 0); /* never followed out of the cache */
	snprintf(path, sizeof(path), "%s/missing", folder);
	int err = blobs_open(path, &other);
	assert_true(err == -ENOTDIR || err == -ELOOP);
	assert_null(other);
}

enum { PIECE = 8192 };

/* Sparse: data in the first 8 KiB of each 64 KiB, so that there is a hole also at the end. */
static int make_sparse(uint64_t id, uint64_t size)
{
	char bytes[PIECE];
	int fd;

	assert_int_equal(blob_create(blobs, id, &fd), 0);
	for (uint64_t at = 0; at < size; at += 8 * PIECE) {
		memset(bytes, (int)(1 + at / PIECE % 250), sizeof(bytes));
		assert_int_equal(blob_write(fd, at, bytes, sizeof(bytes)), 0);
	}
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static void test_clone(void **state)
{
	(void)state;
	static const uint64_t sizes[] = {0, 1, PIECE - 1, 8 * PIECE, 8 * PIECE + 5, 20 * PIECE, 80 * PIECE,
					 100 * PIECE}; /* the last is longer than its origin */
	static char expected[100 * PIECE], got[100 * PIECE];
	uint64_t whole = 80 * PIECE;
	int from = make_sparse(1, whole);

	memset(expected, 0, sizeof(expected));
	assert_int_equal(blob_read(from, 0, expected, whole), 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct stat st;
		int fd;
		assert_int_equal(blob_clone(blobs, from, sizes[i], 2 + i, &fd), 0);
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_size, sizes[i]);
		assert_int_equal(blob_read(fd, 0, got, sizes[i]), 0);
		assert_memory_equal(got, expected, sizes[i]);
		assert_true((uint64_t)st.st_blocks * 512 <= whole / 4); /* the holes are still holes */
		if (sizes[i]) { /* a clone is its own */
			assert_int_equal(blob_write(fd, 0, "#", 1), 0);
			assert_int_equal(blob_read(from, 0, got, 1), 0);
			assert_int_equal(got[0], expected[0]);
		}
		close(fd);
	}
	close(from);
}

/* A source that has no clone, no copy_file_range to a disk and no holes: the copy by hand. */
static void test_clone_elsewhere(void **state)
{
	(void)state;
	static char expected[200000], got[200000];
	int fd;
	int from = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (from < 0)
		skip();
	for (size_t i = 0; i < sizeof(expected); i++)
		expected[i] = (char)(i * 7 + i / 251);
	assert_int_equal(blob_write(from, 0, expected, sizeof(expected)), 0);
	assert_int_equal(blob_clone(blobs, from, sizeof(expected), 7, &fd), 0);
	assert_int_equal(blob_read(fd, 0, got, sizeof(got)), 0);
	assert_memory_equal(got, expected, sizeof(got));
	close(fd);
	close(from);
}

static void test_clone_errors(void **state)
{
	(void)state;
	int fd, from, path_only;

	make(1, "source");
	make(2, "in the way");
	assert_int_equal(blob_open(blobs, 1, &from), 0);
	assert_int_equal(blob_clone(blobs, from, 6, 2, &fd), -EEXIST);
	assert_int_equal(blob_open(blobs, 2, &fd), 0); /* which was not touched */
	close(fd);
	path_only = open(folder, O_PATH | O_CLOEXEC);
	assert_true(blob_clone(blobs, path_only, 6, 3, &fd) < 0);
	assert_int_equal(blob_open(blobs, 3, &fd), -ENOENT); /* removed again */
	assert_int_equal(blob_clone(blobs, from, UINT64_MAX, 3, &fd), -EFBIG);
	close(path_only);
	close(from);
}

struct seen {
	uint64_t ids_sum, bytes;
	size_t count, stop_after;
};

static int see(void *arg, uint64_t id, uint64_t bytes)
{
	struct seen *seen = arg;

	seen->ids_sum += id;
	seen->bytes += bytes;
	seen->count++;
	return seen->count == seen->stop_after ? -ECANCELED : 0;
}

static int drop_it(void *arg, uint64_t id, uint64_t bytes)
{
	(void)arg;
	(void)bytes;
	return blob_drop(blobs, id);
}

static void plant(const char *path, bool is_folder)
{
	char whole[160];

	snprintf(whole, sizeof(whole), "%s/blobs/%s", folder, path);
	int fd = is_folder ? mkdir(whole, 0700) : open(whole, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	if (!is_folder)
		close(fd);
}

static void test_each(void **state)
{
	(void)state;
	struct seen seen = {0};

	assert_int_equal(blobs_each(blobs, see, &seen), 0);
	assert_int_equal(seen.count, 0);
	for (uint64_t id = 4000; id < 4200; id++)
		make(id, "some bytes");
	plant("lost+found", true);
	plant("notes.txt", false);
	plant("1/nonsense", false);
	plant("1/0x1001", false); /* not as we write it */
	plant("1/01001", false);
	plant("1/2001", false); /* in the wrong folder */
	plant("0/0", false);
	plant("0/7", true);
	assert_int_equal(blobs_each(blobs, see, &seen), 0);
	assert_int_equal(seen.count, 200);
	assert_int_equal(seen.ids_sum, (4000 + 4199) * 100);
	assert_true(seen.bytes >= 200 * 10);

	seen = (struct seen){.stop_after = 7};
	assert_int_equal(blobs_each(blobs, see, &seen), -ECANCELED);
	assert_int_equal(seen.count, 7);

	assert_int_equal(blobs_each(blobs, drop_it, NULL), 0); /* a sweep drops while it walks */
	seen = (struct seen){0};
	assert_int_equal(blobs_each(blobs, see, &seen), 0);
	assert_int_equal(seen.count, 0);
}

static void test_sync(void **state)
{
	(void)state;
	uint64_t ids[300];

	assert_int_equal(blobs_sync(blobs, ids, 0), 0);
	for (size_t i = 0; i < 300; i++) {
		ids[i] = 1 + (i * 7919 % 300) * 100; /* over several folders, in no order */
		if (i % 3)
			make(ids[i], "x");
	}
	assert_int_equal(blobs_sync(blobs, ids, 64), 0);
	for (size_t i = 1; i < 64; i++)
		assert_true(ids[i - 1] < ids[i]);
	assert_int_equal(blobs_sync(blobs, ids, 300), 0);
	assert_int_equal(blobs_sync_all(blobs), 0);
	ids[0] = 0xffffffffffff; /* neither blob nor folder */
	assert_int_equal(blobs_sync(blobs, ids, 1), 0);
}

static void test_statvfs(void **state)
{
	(void)state;
	struct statvfs st;

	assert_int_equal(blobs_statvfs(blobs, &st), 0);
	assert_true(st.f_blocks > 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_create_open_drop), TEST(test_read_write_limits), TEST(test_reopen),
		TEST(test_open_errors),      TEST(test_clone),             TEST(test_clone_elsewhere),
		TEST(test_clone_errors),     TEST(test_each),              TEST(test_sync),
		TEST(test_statvfs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
