/* The blobs that records name are found by way of ages (every node with a blob has one) and of pending (every unsent
 * content stands there: a second look, since dropping one of these would be a loss), as one bit a blob number. */
#include "sweep.h"

#include <errno.h>
#include <stdlib.h>
#include "cache/base/log.h"
#include "cache/flow/checkpoint.h"
#include "cache/index/ages.h"
#include "cache/index/nodes.h"
#include "cache/index/pending.h"

struct sweep {
	struct flow *flow;
	struct txn *txn;
	uint64_t *named; /* a bit each */
	uint64_t named_count;
	uint64_t dropped, dropped_bytes, orphans;
	struct node_record record; /* scratch */
};

static int name_blob(struct sweep *s, uint64_t blob)
{
	if (blob >= s->named_count) {
		uint64_t count = (blob + (1 << 16)) * 2;
		uint64_t *more = realloc(s->named, count / 64 * sizeof *more);
		if (!more)
			return -ENOMEM;
		for (uint64_t i = s->named_count / 64; i < count / 64; i++)
			more[i] = 0;
		s->named = more;
		s->named_count = count / 64 * 64;
	}
	s->named[blob / 64] |= UINT64_C(1) << blob % 64;
	return 0;
}

static int name_blob_of_node(struct sweep *s, uint64_t ino)
{
	int r = nodes_get(s->txn, ino, &s->record);
	if (r)
		return r == -ENOENT ? 0 : r;
	return s->record.blob ? name_blob(s, s->record.blob) : 0;
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
	if (id < s->named_count && (s->named[id / 64] >> id % 64 & 1))
		return 0;
	s->dropped++;
	s->dropped_bytes += bytes;
	return blob_drop(s->flow->blobs, id);
}

static int sweep_blobs(struct sweep *s)
{
	int r = txn_begin_read(s->flow->index, &s->txn);
	if (!r)
		r = name_all(s);
	txn_abort(&s->txn);
	return r ? r : blobs_each(s->flow->blobs, visit_blob, s);
}

static int take_orphan(void *arg, uint64_t ino)
{
	*(uint64_t *)arg = ino;
	return 1;
}

/* One orphan a transaction; false in *more when there is none left. */
static int sweep_orphan(struct sweep *s, bool *more)
{
	uint64_t ino = 0, stamp, bytes = 0;
	int r = txn_begin_write(s->flow->index, &s->txn);
	if (!r)
		r = orphans_each(s->txn, take_orphan, &ino);
	*more = ino != 0;
	if (r < 0 || !ino)
		goto out;
	r = nodes_get(s->txn, ino, &s->record);
	if (!r && s->record.blob)
		r = ages_get(s->txn, ino, &stamp, &bytes);
	if (!r || r == -ENOENT)
		r = nodes_delete(s->txn, ino);
	if (!r)
		r = txn_commit(&s->txn);
	if (!r && s->record.blob)
		checkpoint_condemn(s->flow->checkpoints, s->record.blob, bytes);
	s->orphans++;
out:
	txn_abort(&s->txn);
	return r < 0 ? r : 0;
}

int sweep_run(struct flow *flow)
{
	struct sweep s = {.flow = flow};
	bool more = true;
	int r = sweep_blobs(&s);
	free(s.named);
	while (!r && more)
		r = sweep_orphan(&s, &more);
	if (!r)
		log_info("cache: swept after an unclean stop blobs=%llu bytes=%llu unnamed_files=%llu",
			 (unsigned long long)s.dropped, (unsigned long long)s.dropped_bytes,
			 (unsigned long long)s.orphans);
	return r;
}
