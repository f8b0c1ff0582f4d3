#include "seams.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "cache/blob/blob.h"
#include "cache/bucket/bucket.h"
#include "cache/index/internal.h"
#include "cache/rescue.h"
#include "far.h"
#include "record.h"

enum breakage seam_breakage;
const char *seam_boot_id = "";
bool seam_rescues;
_Thread_local struct seam_txns seam_txns;

int __wrap_bucket_open(const struct bucket_config *config, struct bucket **out);
int __wrap_bucket_open(const struct bucket_config *config, struct bucket **out)
{
	return far_open(config, out);
}

int __wrap_steady_boot_id(char out[STEADY_BOOT_BYTES]);
int __wrap_steady_boot_id(char out[STEADY_BOOT_BYTES])
{
	snprintf(out, STEADY_BOOT_BYTES, "%s", seam_boot_id);
	return 0;
}

int __real_txn_commit(struct txn **txn);
int __wrap_txn_commit(struct txn **txn);
int __wrap_txn_commit(struct txn **txn)
{
	uint64_t id = txn_writes(*txn) ? txn_id(*txn) : 0;
	int r = __real_txn_commit(txn);
	if (r || !id)
		return r;
	if (!seam_txns.first)
		seam_txns.first = id;
	seam_txns.last = id;
	return 0;
}

/* A power cut is nothing that a rescue is for: the cache does not open, and *why says what it took for damage. */
int __real_rescue_save(struct cache *cache, const char *damage, struct buf *why);
int __wrap_rescue_save(struct cache *cache, const char *damage, struct buf *why);
int __wrap_rescue_save(struct cache *cache, const char *damage, struct buf *why)
{
	return seam_rescues ? __real_rescue_save(cache, damage, why) : -EUCLEAN;
}

/* -- checkpoints -- */

int __real_index_checkpoint_begin(struct index *index, struct index_checkpoint **out);
int __wrap_index_checkpoint_begin(struct index *index, struct index_checkpoint **out);
int __wrap_index_checkpoint_begin(struct index *index, struct index_checkpoint **out)
{
	int r = __real_index_checkpoint_begin(index, out);
	if (!r && seam_breakage == BREAK_NO_PIN)
		mdb_txn_reset((*out)->pin);
	return r;
}

/* Of the thread that makes checkpoints: what it was to sync, and has not. */
static struct {
	struct blobs *blobs;
	uint64_t ids[BLOBS_SYNC_EACH_MAX];
	size_t count;
	bool all;
} late;

int __real_blobs_sync(struct blobs *blobs, uint64_t *ids, size_t count);
int __wrap_blobs_sync(struct blobs *blobs, uint64_t *ids, size_t count);
int __wrap_blobs_sync(struct blobs *blobs, uint64_t *ids, size_t count)
{
	if (seam_breakage != BREAK_LATE_BLOBS)
		return __real_blobs_sync(blobs, ids, count);
	late.blobs = blobs;
	late.count = count;
	memcpy(late.ids, ids, count * sizeof(*ids));
	return 0;
}

int __real_blobs_sync_all(struct blobs *blobs);
int __wrap_blobs_sync_all(struct blobs *blobs);
int __wrap_blobs_sync_all(struct blobs *blobs)
{
	if (seam_breakage != BREAK_LATE_BLOBS)
		return __real_blobs_sync_all(blobs);
	late.blobs = blobs;
	late.all = true;
	return 0;
}

static int sync_late(void)
{
	int r = 0;
	if (late.all)
		r = __real_blobs_sync_all(late.blobs);
	if (!r && late.count)
		r = __real_blobs_sync(late.blobs, late.ids, late.count);
	late.all = false;
	late.count = 0;
	return r;
}

static void note_covered(uint64_t txn)
{
	struct log *log = record_enter();
	if (!log)
		return;
	log_add(log, EVENT_COVERED)->offset = txn;
	record_leave();
}

int __real_index_checkpoint_commit(struct index_checkpoint **checkpoint);
int __wrap_index_checkpoint_commit(struct index_checkpoint **checkpoint);
int __wrap_index_checkpoint_commit(struct index_checkpoint **checkpoint)
{
	uint64_t txn = index_checkpoint_txn(*checkpoint);
	int r = __real_index_checkpoint_commit(checkpoint);
	if (r)
		return r;
	note_covered(txn);
	return sync_late();
}

/* Only senders are told; checkpoints must go on. */
uint64_t __real_index_covered(const struct index *index);
uint64_t __wrap_index_covered(const struct index *index);
uint64_t __wrap_index_covered(const struct index *index)
{
	char name[16] = "";
	if (seam_breakage == BREAK_EAGER_SENDER && !pthread_getname_np(pthread_self(), name, sizeof(name)) &&
	    !strcmp(name, "send"))
		return index_newest(index);
	return __real_index_covered(index);
}
