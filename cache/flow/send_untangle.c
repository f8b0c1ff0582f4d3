/* Nodes that changed places.
 *
 * After a rename a node's content waits at its home to be copied, and its home is kept as it is until then. Two nodes
 * that took each other's key wait for each other:
 *
 *     key a: PUT m, holds n       n's own key is b       key b: PUT n, holds m       m's own key is a
 *
 * No copy can go first, and a third key in between would be an object that is no media. So one of them is uploaded
 * anew: its content, fetched where it is not here, counts as DIRTY from then on. It needs its home no more, and the
 * others follow by copies. Looked for where a PUT is held by a node whose own key is held as well, which includes longer
 * circles; a mere chain of renames can be hit too, and then costs an upload instead of a copy. */
#include <errno.h>
#include "checkpoint.h"
#include "fill.h"
#include "send_internal.h"
#include "want.h"

/* *ino: the node to untangle, or 0. */
static int find_tangle(struct sends *s, const char *key, uint64_t *ino)
{
	AUTO_ABORT struct txn *txn = NULL;
	struct pending_record here, there;
	struct node_record holder;
	char own[KEY_BYTES_MAX + 1];

	*ino = 0;
	int r = txn_begin_read(s->flow->index, &txn);
	if (!r)
		r = pending_get(txn, key, &here);
	if (!r && (here.want != PENDING_PUT || want_held(txn, &here) != -EBUSY))
		return 0;
	if (!r)
		r = nodes_get(txn, here.holds, &holder);
	if (r || (holder.flags & NODE_ORPHAN))
		return r == -ENOENT ? 0 : r;
	r = nodes_key(txn, holder.ino, own);
	if (!r)
		r = pending_get(txn, own, &there);
	if (!r && there.want == PENDING_PUT && want_held(txn, &there) == -EBUSY)
		*ino = holder.ino;
	return r == -ENOENT ? 0 : r;
}

static int make_dirty_locked(struct sends *s, struct node *node) REQUIRES(&node->lock);
static int make_dirty_locked(struct sends *s, struct node *node)
{
	AUTO_ABORT struct txn *txn = NULL;
	struct node_record record;
	int r = txn_begin_write(s->flow->index, &txn);
	if (!r)
		r = nodes_get(txn, node_ino(node), &record);
	if (r || record.content != CONTENT_CLEAN || !record.home[0] || (record.flags & NODE_ORPHAN))
		return r;
	record.content = CONTENT_DIRTY;
	record.version++;
	record.home[0] = '\0';
	r = nodes_put(txn, &record);
	if (!r)
		r = want_put_names(txn, s->flow->index, &record);
	if (!r)
		r = txn_commit(&txn);
	if (r)
		return r;
	node->locked.content = CONTENT_DIRTY;
	node->locked.version = record.version;
	checkpoint_kick(s->flow->checkpoints);
	return 0;
}

struct fetch {
	struct fill_wait wait;
	struct sends *s;
	struct node *node;
};

/* The next round finds it here, or asks once more. */
static void fetched(struct fill_wait *wait, int error)
{
	struct fetch *fetch = container_of(wait, struct fetch, wait);
	if (!error)
		send_kick(fetch->s);
	node_put(&fetch->node);
	free(fetch);
}

static int fetch_locked(struct sends *s, struct node *node) REQUIRES(&node->lock);
static int fetch_locked(struct sends *s, struct node *node)
{
	struct fetch *fetch = calloc(1, sizeof(*fetch));
	if (!fetch)
		return -ENOMEM;
	fetch->s = s;
	fetch->node = node_hold(node);
	fetch->wait.end = node->locked.size;
	fetch->wait.done = fetched;
	fill_want_locked(s->flow->fills, node, &fetch->wait);
	return 0;
}

int send_untangle(struct sends *s, const char *key)
{
	struct node *node;
	uint64_t ino;
	int r = find_tangle(s, key, &ino);
	if (r || !ino)
		return r;
	r = node_get(s->flow->nodes, ino, &node);
	if (r)
		return r == -ENOENT ? 0 : r;
	lock_take(&node->lock);
	if (node->locked.gone || node->locked.draft)
		r = 0;
	else if (node->locked.content == CONTENT_REMOTE)
		r = node->locked.fill ? 0 : fetch_locked(s, node);
	else
		r = make_dirty_locked(s, node);
	lock_drop(&node->lock);
	node_put(&node);
	return r;
}
