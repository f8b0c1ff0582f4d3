/* The batch when LMDB fails: a change in whose commit it fails, which spoils all of the batch; a batch that cannot be
 * committed or begun, while others write. What was acknowledged is there, what was refused is not, also after a kill. */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "index_changes.h"

enum { MAP_BYTES = 8 << 20, WRITERS = 8, CHANGES = 60 };

/* -- LMDB, which fails where it is told to -- */

static _Thread_local struct index *spoils; /* this thread's next commit fails in its midst */
static _Atomic bool fails_commits;	   /* every other one of the batch's own */
static _Atomic unsigned begins_fail;
static int lost_fd = -1; /* no write gets into this file any more, but for the first that is left to it */
static unsigned writes_left;

int mdb_env_set_mapsize(MDB_env *env, size_t bytes)
{
	int (*real)(MDB_env *, size_t);
	*(void **)&real = dlsym(RTLD_NEXT, "mdb_env_set_mapsize");
	(void)bytes;
	return real(env, MAP_BYTES);
}

static bool is_the_batchs(void)
{
	char name[16] = "";
	return pthread_getname_np(pthread_self(), name, sizeof(name)) == 0 && strcmp(name, "index") == 0;
}

int mdb_txn_commit(MDB_txn *txn)
{
	static _Atomic unsigned number;
	int (*real)(MDB_txn *);
	*(void **)&real = dlsym(RTLD_NEXT, "mdb_txn_commit");
	if (spoils) { /* no room in the map: the transaction cannot be used any more, and its parent learns that */
		MDB_val key = {1, "k"}, value = {MAP_BYTES * 2, NULL};
		MDB_dbi dbi = spoils->dbis[DBI_META];
		spoils = NULL;
		REQUIRE(mdb_put(txn, dbi, &key, &value, MDB_RESERVE) == MDB_MAP_FULL);
		int rc = real(txn);
		REQUIRE(rc == MDB_BAD_TXN);
		return rc;
	}
	if (atomic_load(&fails_commits) && is_the_batchs() && atomic_fetch_add(&number, 1) % 2 == 0) {
		mdb_txn_abort(txn);
		return ENOSPC;
	}
	return real(txn);
}

int mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **out)
{
	int (*real)(MDB_env *, MDB_txn *, unsigned, MDB_txn **);
	*(void **)&real = dlsym(RTLD_NEXT, "mdb_txn_begin");
	if (is_the_batchs() && atomic_load(&begins_fail) > 0) {
		atomic_fetch_sub(&begins_fail, 1);
		return ENOMEM;
	}
	return real(env, parent, flags, out);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at)
{
	if (fd == lost_fd && fd >= 0 && writes_left-- == 0) {
		writes_left = 0;
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, bytes, length, at);
}

/* -- changes -- */

static int put_one(struct index *index, const char *name)
{
	struct txn *txn;
	int rc = txn_begin_write(index, &txn);
	if (rc != 0)
		return rc;
	REQUIRE(meta_put(txn, name, "value", 5) == 0);
	return txn_commit(&txn);
}

static void put_refused(struct index *index, const char *name)
{
	struct txn *txn;
	REQUIRE(txn_begin_write(index, &txn) == 0);
	REQUIRE(meta_put(txn, name, "value", 5) == 0);
	spoils = index;
	REQUIRE(txn_commit(&txn) != 0);
}

typedef int way_in(struct index *index, struct txn **out);

static bool sees(struct index *index, way_in *begin, const char *name)
{
	AUTO_BUF struct buf value = BUF_EMPTY;
	struct txn *txn;
	REQUIRE(begin(index, &txn) == 0);
	int rc = meta_get(txn, name, &value);
	txn_abort(&txn);
	REQUIRE(rc == 0 || rc == -ENOENT);
	return rc == 0;
}

/* One that is in the journal, and not in index.mdb until somebody asks. */
static void put_open(struct index *index, const char *name)
{
	bool is_open;
	do {
		REQUIRE(put_one(index, name) == 0);
		lock_take(&index->writer);
		index->batch.due_ms = INT64_MAX;
		is_open = atomic_load(&index->batch.changes) > 0;
		lock_drop(&index->writer);
	} while (!is_open);
}

static void in_child(void (*work)(struct fixture *f), struct fixture *f)
{
	int status;
	index_close(&f->index);
	fflush(NULL);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		REQUIRE(fixture_try(f, "boot-1", "file:///bucket", false) == 0);
		work(f);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	fixture_open(f, "boot-1");
}

/* -- tests -- */

/* What is seen next, in each of the ways to look, behind an empty batch and behind one that has changes. */
static void spoilt(void **state)
{
	struct fixture *f = *state;
	way_in *const ways[] = {txn_begin_look, txn_begin_read, txn_begin_write};
	for (int i = 0; i < 6; i++) {
		char kept[16], refused[16], next[16];
		snprintf(kept, sizeof(kept), "kept-%d", i);
		snprintf(refused, sizeof(refused), "refused-%d", i);
		snprintf(next, sizeof(next), "next-%d", i);
		put_open(f->index, kept);
		if (i >= 3)
			assert_int_equal(batch_flush(f->index), 0);
		put_refused(f->index, refused);
		assert_true(sees(f->index, ways[i % 3], kept));
		assert_false(sees(f->index, txn_begin_look, refused));
		assert_int_equal(put_one(f->index, next), 0);
		must_checkpoint(f->index);
		assert_true(sees(f->index, txn_begin_read, kept));
		assert_true(sees(f->index, txn_begin_read, next));
		assert_false(sees(f->index, txn_begin_read, refused));
	}
	check_pages(f->index);
}

static void checkpoint_of_spoilt(void **state)
{
	struct fixture *f = *state;
	put_open(f->index, "kept");
	put_refused(f->index, "refused");
	must_checkpoint(f->index);
	assert_int_equal(index_covered(f->index), index_newest(f->index));
	index_close(&f->index);
	fixture_open(f, "boot-2");
	assert_true(sees(f->index, txn_begin_read, "kept"));
	assert_false(sees(f->index, txn_begin_read, "refused"));
}

static void spoil_and_die(struct fixture *f)
{
	put_open(f->index, "kept");
	put_refused(f->index, "refused");
}

/* The change is in the journal, and what says that it does not count cannot be written. */
static void spoil_on_a_bad_disk(struct fixture *f)
{
	put_open(f->index, "kept");
	writes_left = 1;
	lost_fd = f->index->journal.fd;
	put_refused(f->index, "refused");
}

static void killed_behind(void **state)
{
	struct fixture *f = *state;
	static void (*const works[])(struct fixture *) = {spoil_and_die, spoil_on_a_bad_disk};
	for (int i = 0; i < 2; i++) {
		in_child(works[i], f);
		assert_int_equal(f->start, INDEX_KILLED);
		assert_true(sees(f->index, txn_begin_read, "kept"));
		assert_false(sees(f->index, txn_begin_read, "refused"));
	}
}

/* The journal is no use, so each change is in the batch alone until it is committed. */
struct writer {
	struct index *index;
	unsigned number;
	bool kept[CHANGES];
};

static void name_change(char out[32], unsigned writer, unsigned change)
{
	snprintf(out, 32, "change-%u-%u", writer, change);
}

static void *write_some(void *arg)
{
	struct writer *w = arg;
	for (unsigned i = 0; i < CHANGES; i++) {
		char name[32];
		name_change(name, w->number, i);
		w->kept[i] = put_one(w->index, name) == 0;
	}
	return NULL;
}

static void no_journal(void **state)
{
	struct fixture *f = *state;
	static struct writer writers[WRITERS];
	pthread_t threads[WRITERS];
	unsigned kept = 0;
	journal_close(&f->index->journal);
	atomic_store(&fails_commits, true);
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){.index = f->index, .number = i};
		assert_int_equal(pthread_create(&threads[i], NULL, write_some, &writers[i]), 0);
	}
	for (unsigned i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	atomic_store(&fails_commits, false);
	for (unsigned i = 0; i < WRITERS; i++)
		for (unsigned j = 0; j < CHANGES; j++) {
			char name[32];
			name_change(name, i, j);
			kept += writers[i].kept[j];
			assert_int_equal(sees(f->index, txn_begin_read, name), writers[i].kept[j]);
		}
	assert_in_range(kept, 1, WRITERS * CHANGES - 1);
}

/* Who reads what is in index.mdb must not read it before the changes of the journal are in it again. */
static void begun_late(void **state)
{
	struct fixture *f = *state;
	put_open(f->index, "kept");
	atomic_store(&fails_commits, true);
	atomic_store(&begins_fail, 1);
	int rc = batch_flush(f->index);
	atomic_store(&fails_commits, false);
	assert_int_not_equal(rc, 0);
	assert_null(f->index->batch.mdb);
	assert_true(sees(f->index, txn_begin_read, "kept"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(begun_late), TEST(spoilt), TEST(checkpoint_of_spoilt), TEST(killed_behind), TEST(no_journal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
