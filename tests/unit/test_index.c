/* Opening in every state that may be found, transactions, numbers, named values, kill -9, threads.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "index_fixture.h"
#include "cache/index/internal.h"
#include "cache/index/pending.h"

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
	    {"steady", -1, 0, NULL, "boot-2", -EUCLEAN, "empty it"},
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

/* -- transactions -- */

static void ids_and_aborts(void **state)
{
	struct fixture *f = *state;
	struct node_record r;
	struct txn *txn = must_write(f->index);
	uint64_t id = txn_id(txn);
	assert_true(txn_writes(txn));
	assert_int_equal(id, index_newest(f->index) + 1);
	uint64_t ino = must_make(txn, 1, "f", S_IFREG, 0);
	struct txn *reader = must_read(f->index); /* sees the state before */
	assert_false(txn_writes(reader));
	assert_int_equal(txn_id(reader), id - 1);
	assert_int_equal(nodes_get(reader, ino, &r), -ENOENT);
	assert_int_equal(txn_commit(&txn), 0);
	assert_null(txn);
	assert_int_equal(index_newest(f->index), id);
	assert_int_equal(nodes_get(reader, ino, &r), -ENOENT);
	assert_int_equal(txn_commit(&reader), 0);
	reader = must_read(f->index);
	assert_int_equal(nodes_get(reader, ino, &r), 0);
	txn_abort(&reader);
	txn_abort(&reader); /* NULL */

	txn = must_write(f->index);
	assert_int_equal(nodes_delete(txn, ino), 0);
	txn_abort(&txn);
	assert_int_equal(index_newest(f->index), id);
	assert_int_equal(files(f->index), 1);
	{
		AUTO_ABORT struct txn *dropped = must_write(f->index);
		assert_int_equal(nodes_delete(dropped, ino), 0);
	}
	assert_int_equal(files(f->index), 1);
}

/* An error in the middle: what was done before it must not be kept. */
static void half_done(void **state)
{
	struct fixture *f = *state;
	struct txn *txn = must_write(f->index);
	must_make(txn, 1, "f", S_IFREG, 0);
	assert_int_equal(dbi_put(txn, DBI_META, (struct bytes){"", 0}, (struct bytes){"x", 1}),
			 -EINVAL);
	assert_int_equal(txn_commit(&txn), -EINVAL);
	assert_int_equal(files(f->index), 0);
	txn = must_write(f->index);
	must_make(txn, 1, "f", S_IFREG, 0);
	assert_int_equal(txn_commit(&txn), 0);
}

/* More readers than are kept idle, then again. */
static void many_readers(void **state)
{
	struct fixture *f = *state;
	enum { MANY = 200 };
	struct txn *txns[MANY];
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MANY; i++)
			txns[i] = must_read(f->index);
		make_some(f, 1);
		for (int i = 0; i < MANY; i++)
			txn_abort(&txns[i]);
	}
	struct txn *all[TXN_READERS_MAX + 1];
	int count = 0, rc = 0;
	while (count <= TXN_READERS_MAX && (rc = txn_begin_read(f->index, &all[count])) == 0)
		count++;
	assert_int_equal(rc, -EAGAIN);
	assert_true(count > TXN_READERS_MAX - 10);
	while (count > 0)
		txn_abort(&all[--count]);
	assert_int_equal(files(f->index), 3);
}

/* A limit on the size of files is a disk that is full: pwrite fails in the middle of a commit.
 * Nothing of that transaction is there, and when there is room again, everything goes on. */
static void full_disk(void **state)
{
	struct fixture *f = *state;
	struct rlimit before, limit;
	struct stat st;
	int rc = 0, count = 0;
	make_some(f, 20);
	must_checkpoint(f->index);
	assert_int_equal(fstat(f->index->file_fd, &st), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_IGN);
	limit = (struct rlimit){(rlim_t)st.st_size + 20480, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	while (rc == 0 && count < 10000) {
		struct txn *txn = must_write(f->index);
		char name[32];
		snprintf(name, sizeof(name), "full-%d", count);
		must_make(txn, 1, name, S_IFREG, 1);
		rc = txn_commit(&txn);
		count += rc == 0;
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_true(rc == -EFBIG || rc == -EIO);
	assert_int_equal(files(f->index), 20 + count);
	make_some(f, 20);
	must_checkpoint(f->index);
	index_close(&f->index);
	fixture_open(f, "boot-2");
	assert_int_equal(files(f->index), 40 + count);
}

static void numbers(void **state)
{
	struct fixture *f = *state;
	uint64_t last = 0, blob, ino = 0;
	for (int i = 0; i < 700; i++) {
		assert_int_equal(index_new_blob(f->index, &blob), 0);
		assert_true(blob > last);
		last = blob;
		if (i % 100 == 50) {
			struct txn *txn = must_write(f->index);
			uint64_t other = txn_new_blob(txn), next = txn_new_ino(txn);
			assert_true(other > last && next > ino && next > INO_ROOT);
			ino = next;
			assert_int_equal(txn_commit(&txn), 0);
		}
		if (i % 250 == 249) {
			index_close(&f->index);
			fixture_open(f, i % 500 == 249 ? "boot-1" : "boot-2");
		}
	}
}

static void named_values(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf out = BUF_EMPTY;
	char value[META_VALUE_BYTES_MAX];
	memset(value, 'v', sizeof(value));
	const char *longest = "12345678901234567890123456789012";
	struct txn *txn = must_write(f->index);
	assert_int_equal(meta_get(txn, "survey", &out), -ENOENT);
	assert_int_equal(meta_delete(txn, "survey"), -ENOENT);
	assert_int_equal(meta_put(txn, "survey", "a\0b", 3), 0);
	assert_int_equal(meta_put(txn, "empty", NULL, 0), 0);
	assert_int_equal(meta_put(txn, longest, value, sizeof(value)), 0);
	assert_int_equal(txn_commit(&txn), 0);
	txn = must_read(f->index);
	assert_int_equal(meta_get(txn, "survey", &out), 0);
	assert_int_equal(out.length, 3);
	assert_memory_equal(out.data, "a\0b", 3);
	assert_int_equal(meta_get(txn, "empty", &out), 0);
	assert_int_equal(out.length, 0);
	assert_int_equal(meta_get(txn, longest, &out), 0);
	assert_int_equal(out.length, sizeof(value));
	txn_abort(&txn);
	txn = must_write(f->index);
	assert_int_equal(meta_delete(txn, "survey"), 0);
	assert_int_equal(meta_get(txn, "survey", &out), -ENOENT);
	txn_abort(&txn);
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

/* -- threads -- */

enum { ACCOUNTS = 64, READERS = 4, CHANGES = 1500 };

static struct {
	struct index *index;
	_Atomic bool stop;
	_Atomic unsigned reads, checkpoints;
} shared;

/* Moves bytes between two nodes; the sum is always the same. */
static void *move_about(void *arg)
{
	(void)arg;
	uint64_t seed = 7;
	for (int i = 0; i < CHANGES; i++) {
		struct node_record a, b;
		struct txn *txn = must_write(shared.index);
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		uint64_t one = 2 + (seed >> 33) % ACCOUNTS, other = 2 + (seed >> 40) % ACCOUNTS;
		assert_int_equal(nodes_get(txn, one, &a), 0);
		uint64_t some = a.size / 2;
		a.size -= some;
		assert_int_equal(nodes_put(txn, &a), 0);
		assert_int_equal(nodes_get(txn, other, &b), 0);
		b.size += some;
		assert_int_equal(nodes_put(txn, &b), 0);
		if (i % 10 == 9)
			txn_abort(&txn);
		else
			assert_int_equal(txn_commit(&txn), 0);
	}
	atomic_store(&shared.stop, true);
	return NULL;
}

static void *sum_up(void *arg)
{
	(void)arg;
	while (!atomic_load(&shared.stop)) {
		struct node_record r;
		struct index_totals totals;
		struct name name;
		uint64_t sum = 0, blob;
		struct txn *txn = must_read(shared.index);
		for (uint64_t ino = 2; ino < 2 + ACCOUNTS; ino++) {
			assert_int_equal(nodes_get(txn, ino, &r), 0);
			assert_int_equal(names_get(txn, 1, r.name, &name), 0);
			sum += r.size;
		}
		assert_int_equal(index_totals(txn, &totals), 0);
		assert_int_equal(totals.bytes, sum);
		assert_int_equal(sum, ACCOUNTS * 1000);
		assert_true(txn_id(txn) <= index_newest(shared.index));
		txn_abort(&txn);
		assert_true(index_covered(shared.index) <= index_pinned(shared.index));
		assert_int_equal(index_new_blob(shared.index, &blob), 0);
		atomic_fetch_add(&shared.reads, 1);
	}
	return NULL;
}

static void *checkpoint_often(void *arg)
{
	(void)arg;
	for (unsigned i = 0; !atomic_load(&shared.stop); i++) {
		struct index_checkpoint *checkpoint;
		assert_int_equal(index_checkpoint_begin(shared.index, &checkpoint), 0);
		if (i % 5 == 4)
			index_checkpoint_abort(&checkpoint);
		else
			assert_int_equal(index_checkpoint_commit(&checkpoint), 0);
		atomic_fetch_add(&shared.checkpoints, 1);
		usleep(200);
	}
	return NULL;
}

static void threads(void **state)
{
	struct fixture *f = *state;
	pthread_t ids[READERS + 2];
	struct txn *txn = must_write(f->index);
	for (int i = 0; i < ACCOUNTS; i++) {
		char name[16];
		snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(must_make(txn, 1, name, S_IFREG, 1000), 2 + i);
	}
	assert_int_equal(txn_commit(&txn), 0);
	shared.index = f->index;
	atomic_store(&shared.stop, false);
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&ids[i], NULL, sum_up, NULL), 0);
	assert_int_equal(pthread_create(&ids[READERS], NULL, checkpoint_often, NULL), 0);
	assert_int_equal(pthread_create(&ids[READERS + 1], NULL, move_about, NULL), 0);
	for (int i = 0; i < READERS + 2; i++)
		pthread_join(ids[i], NULL);
	assert_true(atomic_load(&shared.reads) > 0 && atomic_load(&shared.checkpoints) > 3);
	index_close(&f->index);
	fixture_open(f, "boot-1");
	assert_int_equal(files(f->index), ACCOUNTS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(starts),	  TEST(made_by_halves),
	    TEST(refusals),	  TEST(newer_format_inside),
	    TEST(another_bucket), TEST(older_file_under_steady),
	    TEST(read_only),	  TEST(ids_and_aborts),
	    TEST(half_done),	  TEST(many_readers),
	    TEST(full_disk),	  TEST(numbers),
	    TEST(named_values),	  TEST(kill_nine),
	    TEST(threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
