/* The blobs that records name are found by way of ages (every node with a blob has one) and of pending (every unsent
 * content stands there: a second look, since dropping one of these would be a loss), as one bit a blob number.
 *
 * It runs beside everything else, so it looks at one snapshot only: the state as it was opened, which is durable. A blob
 * that is older than the start and that this state does not name is named by no later one: new content goes to new numbers.
 * And no state to which a power cut could lead back names it either. */
#include "sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "cache/base/log.h"
#include "cache/flow/checkpoint.h"
#include "cache/flow/sound.h"
#include "cache/index/ages.h"
#include "cache/index/nodes.h"
#include "cache/index/pending.h"
#include "sweep_internal.h"

#define META_SWEEP "sweep"

static int name_blob_of_node(struct sweep *s, uint64_t ino)
{
	struct node_record record;
	if (atomic_load(&s->stopping))
		return -ECANCELED;
	int r = nodes_get(s->txn, ino, &record);
	if (r)
		return r == -ENOENT ? 0 : r;
	return record.blob ? numbers_add(&s->named, record.blob) : 0;
}

static int visit_age(void *arg, uint64_t ino, uint64_t stamp, uint64_t bytes)
{
	(void)stamp;
	(void)bytes;
	return name_blob_of_node(arg, ino);
}

static int name_all(struct sweep *s)
{
	struct pending_record record = {.key = ""};
	int r = ages_each(s->txn, visit_age, s);
	while (!r) {
		r = pending_next(s->txn, record.key, &record);
		if (!r && record.want == PENDING_PUT)
			r = name_blob_of_node(s, record.ino);
	}
	return r == -ENOENT ? 0 : r;
}

static int visit_blob(void *arg, uint64_t id, uint64_t bytes)
{
	struct sweep *s = arg;
	if (atomic_load(&s->stopping))
		return -ECANCELED;
	if (id >= s->blob_end || numbers_has(&s->named, id))
		return 0;
	s->dropped++;
	s->dropped_bytes += bytes;
	return blob_drop(s->flow->blobs, id);
}

/* -- orphans -- */

static int delete_orphan_locked(struct sweep *s, struct node *node) REQUIRES(&node->lock);
static int delete_orphan_locked(struct sweep *s, struct node *node)
{
	struct txn *txn AUTO_ABORT = NULL;
	int r = node->locked.gone || !node->locked.orphan || node->locked.opens
		    ? -ENOENT
		    : txn_begin_write(s->flow->index, &txn);
	if (!r)
		r = nodes_delete(txn, node_ino(node));
	if (!r)
		r = txn_commit(&txn);
	if (r)
		return r == -ENOENT ? 0 : r;
	node->locked.gone = true;
	s->orphans++;
	if (node->locked.published_blob)
		checkpoint_condemn(s->flow->checkpoints, node->locked.published_blob,
				   node->locked.reserved);
	checkpoint_kick(s->flow->checkpoints);
	return 0;
}

static int visit_orphan(void *arg, uint64_t ino)
{
	struct sweep *s = arg;
	struct node *node;
	if (atomic_load(&s->stopping))
		return -ECANCELED;
	int r = node_get(s->flow->nodes, ino, &node);
	if (r)
		return r == -ENOENT ? 0 : r;
	lock_take(&node->lock);
	r = delete_orphan_locked(s, node);
	lock_drop(&node->lock);
	node_put(&node);
	return r;
}

/* -- the thread -- */

static int sweep(struct sweep *s)
{
	int r = name_all(s);
	if (!r)
		r = orphans_each(s->txn, visit_orphan, s);
	txn_abort(&s->txn); /* a snapshot that is held makes the index grow */
	if (!r && s->doubted)
		r = sweep_unsent(s);
	if (!r)
		r = blobs_each(s->flow->blobs, visit_blob, s);
	if (!r && s->doubted)
		r = sweep_copies(s);
	return r;
}

/* So that one that is not over is not forgotten: the meta record has the number that blobs are doubted below. */
static int remember(struct sweep *s, bool over)
{
	uint8_t number[sizeof(s->doubted)];
	struct txn *txn AUTO_ABORT = NULL;
	int r = txn_begin_write(s->flow->index, &txn);
	memcpy(number, &s->doubted, sizeof(number));
	if (!r)
		r = over ? meta_delete(txn, META_SWEEP) : meta_put(txn, META_SWEEP, number, sizeof(number));
	return r == -ENOENT ? 0 : r ? r : txn_commit(&txn);
}

static void *run(void *arg)
{
	struct sweep *s = arg;
	int r = sweep(s);
	if (!r)
		r = remember(s, true);
	checkpoint_kick(s->flow->checkpoints);
	if (r && r != -ECANCELED)
		log_error("cache: the sweep after an unclean stop failed, it begins again at the next start error=%s",
			  strerror(-r));
	if (!r)
		log_info("cache: swept after an unclean stop blobs=%llu bytes=%llu unnamed_files=%llu not_whole=%llu",
			 (unsigned long long)s->dropped, (unsigned long long)s->dropped_bytes,
			 (unsigned long long)s->orphans, (unsigned long long)s->damaged);
	return NULL;
}

/* -- opening -- */

/* What an earlier sweep that did not end has left to do; -ENOENT. */
static int recall(struct sweep *s)
{
	struct buf value AUTO_BUF = BUF_EMPTY;
	int r = meta_get(s->txn, META_SWEEP, &value);
	if (!r && value.length == sizeof(s->doubted))
		memcpy(&s->doubted, value.data, sizeof(s->doubted));
	return r;
}

static int prepare(struct sweep *s, enum index_start start, bool *needed)
{
	int r = txn_begin_read(s->flow->index, &s->txn);
	if (!r)
		r = index_blob_end(s->txn, &s->blob_end);
	if (r)
		return r;
	r = recall(s);
	*needed = r != -ENOENT || start == INDEX_KILLED || start == INDEX_POWER_CUT;
	if (r && r != -ENOENT)
		return r;
	if (start == INDEX_POWER_CUT)
		s->doubted = s->blob_end;
	if (!s->doubted)
		return 0;
	AUTO_CLOSE int folder = open(s->cache->config->cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return -errno;
	sound_doubt(s->flow, s->doubted, folder);
	return 0;
}

int sweep_open(struct cache *cache, enum index_start start, struct sweep **out)
{
	struct sweep *s = calloc(1, sizeof *s);
	bool needed = false;
	*out = NULL;
	if (!s)
		return -ENOMEM;
	s->cache = cache;
	s->flow = &cache->flow;
	int r = prepare(s, start, &needed);
	if (r || !needed) {
		sweep_close(&s);
		return r;
	}
	if (start != INDEX_CLEAN) {
		r = remember(s, false);
		if (r) /* a full disk must not keep it from starting */
			log_warn("cache: a sweep that is cut off will not be done again error=%s", strerror(-r));
	}
	*out = s;
	return 0;
}

int sweep_start(struct sweep *s)
{
	int r = s ? thread_start(&s->thread, "sweep", run, s) : 0;
	if (s)
		s->started = r == 0;
	return r;
}

void sweep_stop(struct sweep *s)
{
	if (!s || !s->started)
		return;
	atomic_store(&s->stopping, true);
	pthread_join(s->thread, NULL);
	s->started = false;
}

void sweep_close(struct sweep **sweep_p)
{
	struct sweep *s = *sweep_p;
	*sweep_p = NULL;
	if (!s)
		return;
	txn_abort(&s->txn);
	numbers_destroy(&s->named);
	free(s);
}
