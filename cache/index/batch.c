/* The batch: one transaction of LMDB that is always open, and takes the changes of many.
 *
 *     a change   a nested transaction; its steps go to the journal, then it is committed into the batch: acknowledged
 *     commit     20 ms after the batch's first change, when the journal is half full, or when somebody needs
 *                index.mdb itself to have everything: a checkpoint, a read transaction
 *     look       a short read between: in the batch itself, with index->writer held
 *
 * LMDB's own writer's mutex wants to be dropped by the thread that took it, so a thread of the batch's begins and commits;
 * whoever holds index->writer works in it meanwhile (LMDB itself does not look who does).
 *
 * A commit that fails takes the batch with it, but not what was acknowledged: that is in the journal, and goes into the
 * next batch at once. It is then tried again once a second and by everybody who asks; changes go on until the
 * journal is half full, and get the error from then on. A change that fails in the middle of its own commit, for which
 * LMDB wants memory, spoils the batch, in which LMDB then refuses everything: that is replaced in the same way, before
 * anybody looks into it. What the journal has no room for (unkept) is nowhere else, so nothing is put upon it. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/base/sanitizers.h"
#include "internal.h"

#ifdef THREAD_SANITIZER
/* One thread alone ever takes LMDB's writer's mutex, in whatever order with index->writer. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "deadlock:liblmdb.so\n";
}
#endif

enum { AGE_MS_MAX = 20, RETRY_MS = 1000 };

static int redo(void *arg, const struct journal_step *step)
{
	struct txn *txn = arg;
	struct bytes key = {step->key, step->key_bytes}, value = {step->value, step->value_bytes};
	if (step->table >= DBI_COUNT)
		return -EUCLEAN;
	if (!step->is_delete)
		return dbi_put(txn, (enum dbi)step->table, key, value);
	int rc = dbi_delete(txn, (enum dbi)step->table, key);
	return rc == -ENOENT ? 0 : rc;
}

int batch_redo(struct index *index, MDB_txn *mdb)
{
	struct txn txn = {.index = index, .mdb = mdb, .writes = true, .redoes = true};
	return journal_each(&index->journal, redo, &txn);
}

static int begin_locked(struct index *index) REQUIRES(&index->writer);
static int begin_locked(struct index *index)
{
	struct batch *b = &index->batch;
	int rc = dbi_errno(mdb_txn_begin(index->env, NULL, 0, &b->mdb));
	if (rc != 0) {
		b->mdb = NULL;
		return rc;
	}
	rc = batch_redo(index, b->mdb);
	if (rc != 0) {
		mdb_txn_abort(b->mdb);
		b->mdb = NULL;
	}
	return rc;
}

static void drop_locked(struct batch *b)
{
	if (b->mdb)
		mdb_txn_abort(b->mdb);
	b->mdb = NULL;
	b->spoilt = false;
}

static int commit_locked(struct index *index) REQUIRES(&index->writer);
static int commit_locked(struct index *index)
{
	struct batch *b = &index->batch;
	if (b->spoilt)
		drop_locked(b);
	int begun = b->mdb ? 0 : begin_locked(index);
	if (begun != 0 || atomic_load(&b->changes) == 0)
		return begun;
	MDB_txn *mdb = b->mdb;
	b->mdb = NULL;
	int rc = txn_commit_mdb(index, mdb);
	if (b->unkept)
		*b->unkept = rc; /* not the result of a later round, which may have begun before the change's thread runs */
	b->unkept = NULL;
	if (rc == 0) {
		journal_restart(&index->journal, atomic_load(&index->newest));
		atomic_store(&b->changes, 0);
	}
	begun = begin_locked(index);
	return rc == 0 ? begun : rc;
}

/* The log hears of the first failure, and of its end. */
static void settle_locked(struct index *index, int rc) REQUIRES(&index->writer);
static void settle_locked(struct index *index, int rc)
{
	struct batch *b = &index->batch;
	if (rc != 0 && rc != b->error)
		log_error("index: changes cannot be written to index.mdb, they are in the journal error=%s",
			  strerror(-rc));
	else if (rc == 0 && b->error != 0)
		log_info("index: index.mdb can be written again");
	b->error = rc;
	b->asked = false;
	b->rounds++;
	b->due_ms = rc != 0 ? clock_ms() + RETRY_MS : INT64_MAX;
	wakeup_all(&b->done);
}

static void *run(void *arg)
{
	struct index *index = arg;
	struct batch *b = &index->batch;
	lock_take(&index->writer);
	b->error = begin_locked(index);
	b->started = true;
	wakeup_all(&b->done);
	while (!b->stopping) {
		if (!b->asked && clock_ms() < b->due_ms)
			wakeup_wait_until(&b->work, &index->writer, b->due_ms);
		else
			settle_locked(index, commit_locked(index));
	}
	settle_locked(index, commit_locked(index));
	drop_locked(b);
	lock_drop(&index->writer);
	return NULL;
}

int batch_open(struct index *index)
{
	struct batch *b = &index->batch;
	b->due_ms = INT64_MAX;
	atomic_store(&b->changes, index->journal.count);
	if (index->journal.count > 0) {
		b->due_ms = 0;
		atomic_fetch_add(&index->newest, 1);
	}
	wakeup_init(&b->work);
	wakeup_init(&b->done);
	int rc = thread_start(&b->thread, "index", run, index);
	if (rc != 0) {
		wakeup_destroy(&b->work);
		wakeup_destroy(&b->done);
		return rc;
	}
	lock_take(&index->writer);
	b->running = true;
	while (!b->started)
		wakeup_wait(&b->done, &index->writer);
	rc = b->error;
	lock_drop(&index->writer);
	return rc;
}

void batch_close(struct index *index)
{
	struct batch *b = &index->batch;
	lock_take(&index->writer);
	bool running = b->running;
	b->stopping = true;
	if (running)
		wakeup_all(&b->work);
	lock_drop(&index->writer);
	if (!running)
		return;
	pthread_join(b->thread, NULL);
	b->running = false;
	wakeup_destroy(&b->work);
	wakeup_destroy(&b->done);
	buf_destroy(&b->change);
}

int batch_flush_locked(struct index *index)
{
	struct batch *b = &index->batch;
	if (!b->running || (b->mdb && !b->spoilt && atomic_load(&b->changes) == 0))
		return 0;
	uint64_t rounds = b->rounds;
	b->asked = true;
	wakeup_all(&b->work);
	while (b->rounds == rounds)
		wakeup_wait(&b->done, &index->writer);
	return b->error;
}

int batch_flush(struct index *index)
{
	if (atomic_load(&index->batch.changes) == 0)
		return 0;
	lock_take(&index->writer);
	int rc = batch_flush_locked(index);
	lock_drop(&index->writer);
	return rc;
}

void batch_changed_locked(struct index *index, uint64_t txn)
{
	struct batch *b = &index->batch;
	atomic_store(&index->newest, txn);
	atomic_fetch_add(&index->changes, 1);
	if (atomic_fetch_add(&b->changes, 1) > 0)
		return;
	b->due_ms = clock_ms() + AGE_MS_MAX;
	wakeup_all(&b->work);
}
