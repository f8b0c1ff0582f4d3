/* Checkpoints. LMDB never overwrites a page that its last two states or an open read transaction
 * need, but without fsync "its last two states" are those in memory: what stable storage has may be
 * older. So:
 *
 *     1  begin, with no writer: pin = a read transaction; copy the meta pages that say what it sees
 *     2  (the caller makes the blobs of that state durable)
 *     3  commit: fdatasync(index.mdb): all pages of the pinned state are durable, whatever else is
 *     4  steady = the copied meta pages, durable by rename
 *     5  the pin of the checkpoint before is released
 *
 * At any instant `steady` on disk is that of a pin that is still held: before 4 is durable the old
 * one, then the new one, and both are held until it is known which. So after a power cut the pages
 * of the state that steady names are whole, and putting its meta pages back makes exactly that
 * state the newest again. This must hold from the first write on; index_open therefore makes a
 * checkpoint before anyone can write.
 *
 * When fdatasync fails, the kernel forgets which pages did not get to the disk, and a second try
 * would be no proof of anything: the index then makes no more checkpoints (broken). A full disk
 * under `steady` is not that. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include "cache/base/log.h"
#include "internal.h"

static int pin_and_take(struct index_checkpoint *c)
{
	struct index *index = c->index;
	lock_take(&index->writer);
	int rc = batch_flush_locked(index);
	if (rc == 0)
		rc = dbi_errno(mdb_txn_begin(index->env, NULL, MDB_RDONLY, &c->pin));
	if (rc == 0) {
		rc = steady_take(index->file_fd, &c->steady);
		assert(rc != 0 || c->steady.txn == mdb_txn_id(c->pin));
		/* before the next writer begins: who forgets a wish in a transaction looks at it (want.c) */
		if (rc == 0)
			atomic_store(&index->pinned, c->steady.txn);
	} else {
		c->pin = NULL;
	}
	lock_drop(&index->writer);
	return rc;
}

static void checkpoint_free(struct index_checkpoint *c)
{
	struct index *index = c->index;
	if (c->pin)
		mdb_txn_abort(c->pin);
	free(c);
	atomic_store(&index->checkpointing, false);
}

int index_checkpoint_begin(struct index *index, struct index_checkpoint **out)
{
	bool already = atomic_exchange(&index->checkpointing, true);
	assert(!already && !index->read_only);
	*out = NULL;
	struct index_checkpoint *c = calloc(1, sizeof(*c));
	if (!c || index->broken) {
		free(c);
		atomic_store(&index->checkpointing, false);
		return index->broken ? -EIO : -ENOMEM;
	}
	c->index = index;
	int rc = pin_and_take(c);
	if (rc != 0) {
		checkpoint_free(c);
		return rc;
	}
	memcpy(c->steady.boot_id, index->boot_id, sizeof(c->steady.boot_id));
	atomic_store(&index->pinned_bytes, atomic_load(&index->file_bytes));
	*out = c;
	return 0;
}

uint64_t index_checkpoint_txn(const struct index_checkpoint *checkpoint)
{
	return checkpoint->steady.txn;
}

static int broken(struct index *index, const char *what, int rc)
{
	index->broken = true;
	log_error(
	    "index: the disk failed, no more checkpoints until the next start step=%s error=%s",
	    what, strerror(-rc));
	return -EIO;
}

static int make_durable(struct index_checkpoint *c)
{
	struct index *index = c->index;
	bool unsure;
	if (fdatasync(index->file_fd) != 0)
		return broken(index, "fdatasync", -errno);
	int rc = steady_write(index->folder_fd, &c->steady, &unsure);
	if (rc != 0 && unsure) {
		index->pin_unsure = c->pin;
		c->pin = NULL;
		return broken(index, "steady", rc);
	}
	return rc;
}

int index_checkpoint_commit(struct index_checkpoint **checkpoint)
{
	struct index_checkpoint *c = *checkpoint;
	struct index *index = c->index;
	int rc = 0;
	*checkpoint = NULL;
	/* With nothing changed the last one still says it all. */
	if (!index->pin || c->steady.txn != index->steady.txn) {
		rc = make_durable(c);
		if (rc == 0) {
			MDB_txn *before = index->pin;
			index->pin = c->pin;
			c->pin = before;
			index->steady = c->steady;
			atomic_store(&index->covered, c->steady.txn);
		}
	}
	if (rc != 0)
		atomic_store(&index->pinned, atomic_load(&index->covered));
	checkpoint_free(c);
	return rc;
}

void index_checkpoint_abort(struct index_checkpoint **checkpoint)
{
	struct index_checkpoint *c = *checkpoint;
	*checkpoint = NULL;
	if (!c)
		return;
	atomic_store(&c->index->pinned, atomic_load(&c->index->covered));
	checkpoint_free(c);
}

int index_mark_clean(struct index *index)
{
	bool unsure;
	struct steady clean = index->steady;

	if (index->broken)
		return -EIO;
	lock_take(&index->writer);
	bool covered = atomic_load(&index->newest) == atomic_load(&index->covered);
	if (covered)
		atomic_store(&index->closed, true);
	lock_drop(&index->writer);
	if (!covered)
		return -EBUSY;
	clean.clean = true;
	int rc = steady_write(index->folder_fd, &clean, &unsure);
	if (rc != 0 && !unsure)
		atomic_store(&index->closed, false);
	return rc;
}

uint64_t index_newest(const struct index *index)
{
	return atomic_load(&index->newest);
}

uint64_t index_pinned(const struct index *index)
{
	return atomic_load(&index->pinned);
}

uint64_t index_covered(const struct index *index)
{
	return atomic_load(&index->covered);
}

uint64_t index_changes(const struct index *index)
{
	return atomic_load(&index->changes);
}

uint64_t index_growth_bytes(const struct index *index)
{
	uint64_t now = atomic_load(&index->file_bytes), pinned = atomic_load(&index->pinned_bytes);
	return now > pinned ? now - pinned : 0;
}
