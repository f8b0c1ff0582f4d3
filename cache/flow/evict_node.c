/* One node: may its content go, and then it goes. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include "checkpoint.h"
#include "evicts.h"
#include "node.h"
#include "cache/index/ages.h"

static enum evict_answer may_locked(const struct node *node) REQUIRES(&node->lock);
static enum evict_answer may_locked(const struct node *node)
{
	if (node->locked.gone || (!node->locked.blob && !node->locked.fill))
		return EVICT_EMPTY;
	if (node->locked.content == CONTENT_DIRTY || node->locked.draft || node->locked.stream)
		return EVICT_DIRTY;
	if (node->locked.opens)
		return EVICT_OPEN;
	return node->locked.fill ? EVICT_FILLING : EVICT_DONE;
}

/* *freed: the bytes condemned. */
static int evict_locked(struct node *node, uint64_t *freed) REQUIRES(&node->lock);
static int evict_locked(struct node *node, uint64_t *freed)
{
	struct flow *flow = node->flow;
	struct txn *txn AUTO_ABORT = NULL;
	struct node_record record;

	int err = txn_begin_write(flow->index, &txn);
	if (!err)
		err = nodes_get(txn, node_ino(node), &record);
	if (err)
		return err;
	assert(record.blob == node->locked.blob && record.content == node->locked.content);
	uint64_t blob = record.blob;
	record.content = CONTENT_REMOTE;
	record.blob = 0;
	record.present_bytes = 0;
	err = nodes_put(txn, &record);
	if (!err)
		err = ages_delete(txn, record.ino);
	if (!err)
		err = txn_commit(&txn);
	if (err)
		return err;

	*freed = node->locked.reserved;
	node->locked.reserved = 0;
	node_load_locked(node, &record);
	checkpoint_condemn(flow->checkpoints, blob, *freed);
	checkpoint_kick(flow->checkpoints);
	return 0;
}

int evict_node(struct evicts *e, uint64_t ino, enum evict_answer *answer, uint64_t *freed)
{
	struct node *node;

	*freed = 0;
	*answer = EVICT_EMPTY;
	int err = node_get(e->flow->nodes, ino, &node);
	if (err)
		return err == -ENOENT ? 0 : err;
	lock_take(&node->lock);
	*answer = may_locked(node);
	if (*answer == EVICT_DONE)
		err = evict_locked(node, freed);
	lock_drop(&node->lock);
	node_put(&node);
	if (*freed) {
		lock_take(&e->lock);
		e->locked.evicted_blobs++;
		e->locked.evicted_bytes += *freed;
		lock_drop(&e->lock);
	}
	return err;
}
