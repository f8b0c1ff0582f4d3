/* clang-format off */
/* Transactions, the counters that they keep, and the numbers that they give.
 *
 *             begin                                                        end
 *     read    an idle one is renewed (no malloc, no lock of LMDB's)        reset, and kept as idle
 *     look    as read where the batch is empty, else takes index->writer   drops it
 *     write   takes index->writer, nested in the batch, reads the          writes the counters back if they changed;
 *             counters                                                     into the journal, into the batch
 *
 * An idle read transaction keeps its slot in LMDB's reader table, but pins no snapshot. */
/* clang-format on */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>
#include "cache/base/log.h"
#include "internal.h"

#define NO_ANALYSIS TSA(no_thread_safety_analysis) /* the lock lives as long as the transaction */

enum { FULL_DISK_BYTES = 1 << 20 };

static const struct bytes counters_key = {"counters", 8};

/* -- reading -- */

static struct txn *idle_take(struct index *index)
{
	lock_take(&index->idle_lock);
	struct txn *txn = index->idle;
	if (txn) {
		index->idle = txn->idle_next;
		index->idle_count--;
	}
	lock_drop(&index->idle_lock);
	return txn;
}

static void txn_free(struct txn *txn)
{
	if (txn->mdb)
		mdb_txn_abort(txn->mdb);
	free(txn);
}

static void idle_give(struct txn *txn)
{
	struct index *index = txn->index;
	lock_take(&index->idle_lock);
	bool keep = index->idle_count < TXN_IDLE_MAX;
	if (keep) {
		txn->idle_next = index->idle;
		index->idle = txn;
		index->idle_count++;
	}
	lock_drop(&index->idle_lock);
	if (!keep)
		txn_free(txn);
}

void txn_pool_destroy(struct index *index)
{
	assert(atomic_load(&index->readers) == 0);
	struct txn *txn;
	while ((txn = idle_take(index)) != NULL)
		txn_free(txn);
}

static int begin_snapshot(struct index *index, struct txn **out)
{
	struct txn *txn = idle_take(index);
	int rc;

	map_used(index);
	if (txn) {
		rc = mdb_txn_renew(txn->mdb);
	} else {
		txn = calloc(1, sizeof(*txn));
		if (!txn)
			return -ENOMEM;
		txn->index = index;
		rc = mdb_txn_begin(index->env, NULL, MDB_RDONLY, &txn->mdb);
	}
	if (rc != 0) {
		txn_free(txn);
		return dbi_errno(rc);
	}
	atomic_fetch_add(&index->readers, 1);
	*out = txn;
	return 0;
}

int txn_begin_read(struct index *index, struct txn **out)
{
	*out = NULL;
	int rc = batch_flush(index);
	return rc == 0 ? begin_snapshot(index, out) : rc;
}

NO_ANALYSIS int txn_begin_look(struct index *index, struct txn **out)
{
	struct batch *b = &index->batch;
	*out = NULL;
	if (atomic_load(&b->changes) == 0)
		return begin_snapshot(index, out);
	map_used(index);
	lock_take(&index->writer);
	if (b->spoilt && batch_flush_locked(index) != 0 && !b->mdb) {
		int error = b->error;
		lock_drop(&index->writer);
		return error;
	}
	if (atomic_load(&b->changes) > 0 && b->mdb) {
		index->look_txn = (struct txn){.index = index, .mdb = b->mdb, .looks = true};
		*out = &index->look_txn;
		return 0;
	}
	int rc = atomic_load(&b->changes) > 0 ? b->error : 0;
	lock_drop(&index->writer);
	return rc == 0 ? begin_snapshot(index, out) : rc;
}

static NO_ANALYSIS void end_look(struct txn *txn)
{
	txn->mdb = NULL;
	lock_drop(&txn->index->writer);
}

static void end_read(struct txn *txn)
{
	struct index *index = txn->index;
	if (txn->looks) {
		end_look(txn);
		return;
	}
	mdb_txn_reset(txn->mdb);
	idle_give(txn);
	atomic_fetch_sub(&index->readers, 1);
}

/* -- writing -- */

/* The batch with room for one more change; without one that is not in the journal, which would be missing from below the
 * next if the batch came to nothing. */
static int make_room_locked(struct index *index) REQUIRES(&index->writer);
static int make_room_locked(struct index *index)
{
	const struct batch *b = &index->batch;
	int rc = 0;
	/* while it waits others make their changes */
	while (rc == 0 && b->running &&
	       (!b->mdb || b->spoilt || b->unkept || journal_half_full(&index->journal)))
		rc = batch_flush_locked(index);
	return rc;
}

/* With the lock held when it returns 0. */
static NO_ANALYSIS int begin_write(struct index *index, struct txn **out)
{
	map_used(index);
	lock_take(&index->writer);
	int rc = make_room_locked(index);
	/* only now: others made their changes while it waited */
	struct txn *txn = &index->write_txn;
	assert(txn->mdb == NULL);
	*txn = (struct txn){.index = index, .writes = true};
	buf_clear(&index->batch.change);
	if (rc == 0)
		rc = dbi_errno(mdb_txn_begin(index->env, index->batch.mdb, 0, &txn->mdb));
	if (rc == 0) {
		*out = txn;
		return 0;
	}
	txn->mdb = NULL;
	lock_drop(&index->writer);
	return rc;
}

int txn_begin_write(struct index *index, struct txn **out)
{
	*out = NULL;
	if (index->read_only)
		return -EROFS;
	int rc = begin_write(index, out);
	if (rc == 0)
		rc = atomic_load(&index->closed) ? -EROFS : txn_counters(*out, &(*out)->counters);
	if (rc != 0)
		txn_abort(out);
	return rc;
}

int txn_begin_first(struct index *index, struct txn **out)
{
	*out = NULL;
	int rc = begin_write(index, out);
	if (rc == 0)
		rc = dbi_open_all((*out)->mdb, index->dbis, true);
	if (rc == 0)
		*txn_counters_edit(*out) =
		    (struct counters){.next_ino = INO_ROOT + 1, .next_blob = 1};
	else
		txn_abort(out);
	return rc;
}

static int write_counters(struct txn *txn)
{
	uint8_t bytes[RECORD_COUNTERS_BYTES];
	if (!txn->counters_changed)
		return 0;
	record_counters_encode(bytes, &txn->counters);
	return dbi_put(txn, DBI_MAIN, counters_key, (struct bytes){bytes, sizeof(bytes)});
}

void txn_note_newest(struct index *index)
{
	MDB_envinfo info;
	mdb_env_info(index->env, &info);
	atomic_store(&index->newest, info.me_last_txnid);
	atomic_store(&index->file_bytes, (info.me_last_pgno + 1) * index->page_bytes);
}

/* LMDB calls a short write an I/O error, but what cuts a write short is mostly a full disk. */
static int full_or_broken(struct index *index, int rc)
{
	struct statvfs st;
	if (rc != -EIO || fstatvfs(index->folder_fd, &st) != 0)
		return rc;
	return (uint64_t)st.f_bavail * st.f_frsize < FULL_DISK_BYTES ? -ENOSPC : rc;
}

int txn_commit_mdb(struct index *index, MDB_txn *mdb)
{
	int rc = full_or_broken(index, dbi_errno(mdb_txn_commit(mdb)));
	if (rc == 0) {
		txn_note_newest(index); /* else newest stays: what was acknowledged is still to be committed */
		room_keep(index);
	}
	return rc;
}

/* A change that the journal has no room for is acknowledged when index.mdb has it. */
static int commit_locked(struct index *index, struct txn *txn) REQUIRES(&index->writer);
static int commit_locked(struct index *index, struct txn *txn)
{
	uint64_t id = mdb_txn_id(txn->mdb);
	MDB_txn *mdb = txn->mdb;
	bool kept = journal_fits(&index->journal, &index->batch.change) &&
		    journal_append(&index->journal, &index->batch.change) == 0;
	txn->mdb = NULL; /* others use txn while it waits for the flush */
	int rc = dbi_errno(mdb_txn_commit(mdb));
	if (rc != 0) {
		if (kept)
			journal_take_back(&index->journal);
		index->batch.spoilt = true;
		return rc;
	}
	batch_changed_locked(index, id);
	if (kept)
		return 0;
	int unkept = -EIO;
	index->batch.unkept = &unkept;
	rc = batch_flush_locked(index);
	assert(index->batch.unkept != &unkept);
	return unkept == 0 || rc == 0 ? unkept : rc;
}

static NO_ANALYSIS int end_write(struct txn *txn, bool commit)
{
	struct index *index = txn->index;
	int rc = txn->failed;
	if (commit && rc == 0)
		rc = write_counters(txn);
	if (rc == 0 && index->batch.change.failed)
		rc = -ENOMEM;
	if (!commit || rc != 0 || index->batch.change.length == 0)
		mdb_txn_abort(txn->mdb);
	else if (index->batch.running)
		rc = commit_locked(index, txn);
	else
		rc = txn_commit_mdb(index, txn->mdb);
	txn->mdb = NULL;
	lock_drop(&index->writer);
	return rc;
}

int txn_commit(struct txn **txn)
{
	struct txn *ended = *txn;
	*txn = NULL;
	if (ended->writes)
		return end_write(ended, true);
	end_read(ended);
	return 0;
}

void txn_abort(struct txn **txn)
{
	struct txn *ended = *txn;
	*txn = NULL;
	if (!ended)
		return;
	if (ended->writes)
		end_write(ended, false);
	else
		end_read(ended);
}

uint64_t txn_id(const struct txn *txn)
{
	return mdb_txn_id(txn->mdb);
}

bool txn_writes(const struct txn *txn)
{
	return txn->writes;
}

/* -- counters and numbers -- */

int txn_counters(struct txn *txn, struct counters *out)
{
	struct bytes found;
	int rc = dbi_get(txn, DBI_MAIN, counters_key, &found);
	if (rc == -ENOENT)
		return dbi_damaged(DBI_MAIN, counters_key);
	if (rc == 0 && record_counters_decode(out, found.at, found.length) != 0)
		return dbi_damaged(DBI_MAIN, counters_key);
	return rc;
}

struct counters *txn_counters_edit(struct txn *txn)
{
	assert(txn->writes);
	txn->counters_changed = true;
	return &txn->counters;
}

void counter_move(uint64_t *counter, uint64_t off, uint64_t on)
{
	*counter = (*counter > off ? *counter - off : 0) + on;
}

uint64_t txn_new_ino(struct txn *txn)
{
	return txn_counters_edit(txn)->next_ino++;
}

uint64_t txn_new_blob(struct txn *txn)
{
	return txn_counters_edit(txn)->next_blob++;
}

int index_blob_end(struct txn *txn, uint64_t *out)
{
	struct counters c = txn->counters;
	int rc = txn->writes ? 0 : txn_counters(txn, &c);
	if (rc == 0)
		*out = c.next_blob;
	return rc;
}

enum { BLOB_BATCH = 256 };

static int reserve_blobs(struct index *index)
{
	struct txn *txn;
	int rc = txn_begin_write(index, &txn);
	if (rc != 0)
		return rc;
	struct counters *counters = txn_counters_edit(txn);
	uint64_t first = counters->next_blob;
	counters->next_blob += BLOB_BATCH;
	rc = txn_commit(&txn);
	if (rc == 0) {
		index->blob_next = first;
		index->blob_end = first + BLOB_BATCH;
	}
	return rc;
}

int index_new_blob(struct index *index, uint64_t *out)
{
	int rc = 0;
	lock_take(&index->blobs_lock);
	if (index->blob_next == index->blob_end)
		rc = reserve_blobs(index);
	if (rc == 0)
		*out = index->blob_next++;
	lock_drop(&index->blobs_lock);
	return rc;
}

int index_totals(struct txn *txn, struct index_totals *out)
{
	struct counters c = txn->counters;
	int rc = txn->writes ? 0 : txn_counters(txn, &c);
	if (rc == 0)
		*out = (struct index_totals){
		    .files = c.files,
		    .folders = c.folders,
		    .symlinks = c.symlinks,
		    .bytes = c.bytes,
		    .pending = c.pending,
		};
	return rc;
}
