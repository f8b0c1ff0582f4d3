/* Opening in every state that may be found; and what a kill -9 leaves. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include "index_fixture.h"
#include "cache/index/internal.h"

/* -- opening -- */

static void write_at(struct fixture *f, const char *file, off_t at, const void *bytes,
		     size_t length)
{
	char path[100];
	snprintf(path, sizeof(path), "%s/%s", f->folder, file);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, length, at), length);
	close(fd);
}

static void cut(struct fixture *f, const char *file, off_t length)
{
	char path[100];
	snprintf(path, sizeof(path), "%s/%s", f->folder, file);
	assert_int_equal(length < 0 ? unlink(path) : truncate(path, length), 0);
}

static void make_some(struct fixture *f, int count)
{
	for (int i = 0; i < count; i++) {
		struct txn *txn = must_write(f->index);
		char name[32];
		snprintf(name, sizeof(name), "%d-%u", i, (unsigned)draw(1u << 31));
		must_make(txn, 1, name, S_IFREG, 1);
		assert_int_equal(txn_commit(&txn), 0);
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

static void close_clean(struct fixture *f)
{
	must_checkpoint(f->index);
	assert_int_equal(index_mark_clean(f->index), 0);
	index_close(&f->index);
}

static void starts(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(f->start, INDEX_NEW);
	make_some(f, 3);
	close_clean(f);
	fixture_open(f, "boot-1");
	assert_int_equal(f->start, INDEX_CLEAN);
	index_close(&f->index); /* nothing changed, but not marked */
	fixture_open(f, "boot-1");
	assert_int_equal(f->start, INDEX_KILLED);
	make_some(f, 2);
	index_close(&f->index);
	fixture_open(f, "boot-1");
	assert_int_equal(f->start, INDEX_KILLED);
	assert_int_equal(files(f->index), 5);
	close_clean(f);
	fixture_open(f, "boot-2");
	assert_int_equal(f->start, INDEX_CLEAN);
	assert_int_equal(files(f->index), 5);
	make_some(f, 2);
	must_checkpoint(f->index);
	make_some(f, 4);
	index_close(&f->index);
	fixture_open(f, "boot-3");
	assert_int_equal(f->start, INDEX_POWER_CUT);
	assert_int_equal(files(f->index), 7);
}

/* A new index whose steady was not written any more; and one whose making was cut short before the
 * rename. */
static void made_by_halves(void **state)
{
	struct fixture *f = *state;
	index_close(&f->index);
	cut(f, "steady", -1);
	fixture_open(f, "boot-2");
	assert_int_equal(f->start, INDEX_NEW);
	make_some(f, 1);
	index_close(&f->index);
	cut(f, "steady", -1);
	assert_int_equal(fixture_try(f, "boot-2", "file:///bucket", false), -EUCLEAN);
	cut(f, "index.mdb", -1);
	write_at(f, "index.new", 0, "garbage", 7);
	fixture_open(f, "boot-2");
	assert_int_equal(f->start, INDEX_NEW);
	assert_int_equal(files(f->index), 0);
}

static void assert_refused(struct fixture *f, const char *boot, int rc, const char *words)
{
	AUTO_FREE uint8_t *before = calloc(1, 1 << 20), *after = calloc(1, 1 << 20);
	static const char *const kept[] = {"index.mdb", "steady"};
	char path[100];
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", f->folder, kept[i]);
		int fd = open(path, O_RDONLY);
		ssize_t length = fd < 0 ? 0 : read(fd, before, 1 << 20);
		assert_int_equal(fixture_try(f, boot, "file:///bucket", false), rc);
		assert_non_null(strstr(buf_string(&f->why), words));
		assert_true(f->index == NULL);
		if (fd >= 0) /* and nothing was touched */
			assert_int_equal(pread(fd, after, 1 << 20, 0), length);
		assert_memory_equal(before, after, (size_t)length);
		if (fd >= 0)
			close(fd);
	}
}

static void refusals(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *file;
		off_t at; /* -1: cut to length, -2: removed */
		off_t length;
		const char *bytes, *boot;
		int rc;
		const char *words;
	} rows[] = {
	    {"steady", 16, 1, "\x02", "boot-1", -EPROTO, "newer version"},
	    {"steady", 30, 1, "\x02", "boot-1", -EUCLEAN, "steady: the file"},
	    {"steady", -1, 100, NULL, "boot-1", -EUCLEAN, "steady: the file"},
	    {"steady", -1, 0, NULL, "boot-2", -EUCLEAN, "lost+found"},
	    {"steady", -2, 0, NULL, "boot-2", -EUCLEAN, "gone"},
	    {"index.mdb", -2, 0, NULL, "boot-1", -EUCLEAN, "index.mdb: the file is gone"},
	    {"index.mdb", -1, 8192, NULL, "boot-1", -EUCLEAN, "cut short"},
	    {"index.mdb", -1, 0, NULL, "boot-2", -EUCLEAN, "cut short"},
	    {"index.mdb", 16, 4, "abcd", "boot-1", -EUCLEAN, "first pages"},
	    {"index.mdb", 4096 + 20, 1, "\x02", "boot-1", -EPROTO, "another version of LMDB"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make_some(f, 3);
		must_checkpoint(f->index);
		index_close(&f->index);
		if (rows[i].at >= 0)
			write_at(f, rows[i].file, rows[i].at, rows[i].bytes,
				 (size_t)rows[i].length);
		else
			cut(f, rows[i].file, rows[i].at == -2 ? -1 : rows[i].length);
		assert_refused(f, rows[i].boot, rows[i].rc, rows[i].words);
		fixture_remove(f->folder);
		assert_int_equal(mkdir(f->folder, 0700), 0);
		fixture_open(f, "boot-1");
	}
}

static void newer_format_inside(void **state)
{
	struct fixture *f = *state;
	struct txn *txn = must_write(f->index);
	assert_int_equal(
	    dbi_put(txn, DBI_MAIN, (struct bytes){"format", 6}, (struct bytes){"\x02", 1}), 0);
	assert_int_equal(txn_commit(&txn), 0);
	close_clean(f);
	assert_refused(f, "boot-1", -EPROTO, "newer version");
}

static void older_file_under_steady(void **state)
{
	struct fixture *f = *state;
	static uint8_t old[1 << 20];
	char path[100];
	snprintf(path, sizeof(path), "%s/index.mdb", f->folder);
	int fd = open(path, O_RDWR);
	ssize_t length = read(fd, old, sizeof(old));
	make_some(f, 3);
	must_checkpoint(f->index);
	index_close(&f->index);
	assert_int_equal(pwrite(fd, old, (size_t)length, 0), length);
	close(fd);
	assert_refused(f, "boot-1", -EUCLEAN, "older than steady");
}

static void another_bucket(void **state)
{
	struct fixture *f = *state;
	index_close(&f->index);
	assert_int_equal(fixture_try(f, "boot-1", "s3://other", false), -EMEDIUMTYPE);
	assert_non_null(strstr(buf_string(&f->why), "file:///bucket"));
	assert_non_null(strstr(buf_string(&f->why), "s3://other"));
	fixture_open(f, "boot-1");
}

static void read_only(void **state)
{
	struct fixture *f = *state;
	struct txn *txn;
	uint64_t blob;
	make_some(f, 2);
	must_checkpoint(f->index);
	make_some(f, 1);
	index_close(&f->index);
	assert_int_equal(fixture_try(f, "boot-1", "file:///bucket", true), 0);
	assert_int_equal(f->start, INDEX_KILLED);
	assert_int_equal(files(f->index), 3);
	assert_int_equal(txn_begin_write(f->index, &txn), -EROFS);
	assert_int_equal(index_new_blob(f->index, &blob), -EROFS);
	index_close(&f->index);
	assert_int_equal(fixture_try(f, "boot-2", "file:///bucket", true), -EROFS);
	fixture_open(f, "boot-2");
	assert_int_equal(f->start, INDEX_POWER_CUT);
	index_close(&f->index);
	cut(f, "steady", -1);
	cut(f, "index.mdb", -1);
	assert_int_equal(fixture_try(f, "boot-2", "file:///bucket", true), -ENOENT);
	struct fixture nowhere = {.folder = "/nonexistent"};
	assert_int_equal(fixture_try(&nowhere, "boot-2", "file:///bucket", false), -ENOENT);
	assert_true(nowhere.why.length > 0);
	buf_destroy(&nowhere.why);
	fixture_open(f, "boot-2");
	char path[100];
	struct stat st;
	static const char *const names[] = {"index.mdb", "index.mdb-lock", "steady"};
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", f->folder, names[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
}

/* -- kill -9 -- */

/* Commits, and says which through the pipe only then. */
static void commit_and_tell(const char *folder, int pipe_fd)
{
	struct fixture f = {.why = BUF_EMPTY};
	snprintf(f.folder, sizeof(f.folder), "%s", folder);
	if (fixture_try(&f, "boot-1", "file:///bucket", false) != 0)
		_exit(1);
	for (;;) {
		struct txn *txn;
		struct index_checkpoint *checkpoint;
		if (txn_begin_write(f.index, &txn) != 0)
			_exit(2);
		uint64_t ino = txn_new_ino(txn);
		char name[32];
		snprintf(name, sizeof(name), "n%u", (unsigned)ino);
		struct node_record r = a_node(ino, 1, name, S_IFREG);
		if (nodes_put(txn, &r) != 0 || names_put(txn, 1, name, false, ino, 0) != 0 ||
		    txn_commit(&txn) != 0 || write(pipe_fd, &ino, sizeof(ino)) != sizeof(ino))
			_exit(3);
		if (ino % 16 == 0 && (index_checkpoint_begin(f.index, &checkpoint) != 0 ||
				      index_checkpoint_commit(&checkpoint) != 0))
			_exit(4);
	}
}

static void kill_nine(void **state)
{
	struct fixture *f = *state;
	uint64_t told = 0, ino;
	index_close(&f->index);
	for (int round = 0; round < 15; round++) {
		int ends[2];
		assert_int_equal(pipe(ends), 0);
		fflush(NULL);
		pid_t child = fork();
		if (child == 0) {
			close(ends[0]);
			commit_and_tell(f->folder, ends[1]);
		}
		close(ends[1]);
		for (uint64_t n = draw(200) + 1;
		     n > 0 && read(ends[0], &ino, sizeof(ino)) == sizeof(ino); n--)
			told = ino;
		usleep((useconds_t)draw(3000));
		kill(child, SIGKILL);
		while (read(ends[0], &ino, sizeof(ino)) == sizeof(ino))
			told = ino;
		close(ends[0]);
		int status;
		waitpid(child, &status, 0);
		assert_true(WIFSIGNALED(status));
		fixture_open(f, "boot-1");
		assert_int_equal(f->start, INDEX_KILLED);
		struct txn *txn = must_read(f->index);
		struct node_record r;
		struct name name;
		for (uint64_t i = 2; i <= told; i++) {
			assert_int_equal(nodes_get(txn, i, &r), 0);
			assert_int_equal(names_get(txn, 1, r.name, &name), 0);
			assert_int_equal(name.ino, i);
		}
		txn_abort(&txn);
		index_close(&f->index);
	}
	assert_true(told > 100);
}

/* By programs that are started meanwhile: fusermount3, who hands out credentials. */
static void inherited_by_nobody(void **state)
{
	struct fixture *f = *state;
	struct dirent *entry;
	DIR *fds = opendir("/proc/self/fd");
	unsigned seen = 0;

	assert_non_null(fds);
	while ((entry = readdir(fds)) != NULL) {
		char target[300] = "";
		if (readlinkat(dirfd(fds), entry->d_name, target, sizeof(target) - 1) < 0 || !strstr(target, f->folder))
			continue;
		seen++;
		if (!(fcntl(atoi(entry->d_name), F_GETFD) & FD_CLOEXEC))
			fail_msg("%s is inherited", target);
	}
	closedir(fds);
	assert_true(seen >= 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(starts),	  TEST(made_by_halves),
	    TEST(refusals),	  TEST(newer_format_inside),
	    TEST(another_bucket), TEST(older_file_under_steady),
	    TEST(read_only),	  TEST(kill_nine),
	    TEST(inherited_by_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
