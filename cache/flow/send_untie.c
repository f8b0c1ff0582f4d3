/* Knots of holds. Two files that change places, both only in the bucket or sent already:
 *
 *     a: PUT m, holds n        n's content is at a, its key is b
 *     b: PUT n, holds m        m's content is at b, its key is a
 *
 * Neither can be copied before the other has left. A longer ring of renames ties the same knot. It is undone at
 * its smallest key: the node that lives there takes its content with it, as the blob here (fetched first, where it is
 * not), and becomes DIRTY: it has left, and its own key, which waits for it anyway, gets a PUT.
 *
 * A node has one home, and a key holds the node that has it as home, so from key to the next key (holder, its primary
 * key) there is one way forth and one way back: a walk ends at a key that holds nothing, or comes back to where it began. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "checkpoint.h"
#include "fill.h"
#include "send_internal.h"
#include "want.h"

enum { RING_MAX = 10000, REST_MS = 20, REST_MS_MAX = 5000 };

/* One step. 0 and *next, or -ENOENT: it ends here. */
static int step(struct txn *txn, uint64_t holder, struct pending_record *next)
{
	struct node_record node;
	char key[KEY_BYTES_MAX + 1];
	int r = nodes_get(txn, holder, &node);
	if (!r && (node.flags & NODE_ORPHAN))
		r = -ENOENT;
	if (!r)
		r = nodes_key(txn, holder, key);
	if (!r)
		r = pending_get(txn, key, next);
	if (!r && (next->want != PENDING_PUT || next->ino != holder || !next->holds))
		r = -ENOENT;
	return r;
}

int send_is_knot(struct txn *txn, const struct pending_record *record, bool *out)
{
	struct pending_record next = *record;
	*out = false;
	if (record->want != PENDING_PUT)
		return 0;
	for (unsigned i = 0; i < RING_MAX; i++) {
		int r = step(txn, next.holds, &next);
		if (r)
			return r == -ENOENT ? 0 : r;
		int order = strcmp(next.key, record->key);
		*out = order == 0;
		if (order <= 0) /* back again, or at a key that will do it */
			return 0;
	}
	return 0;
}

static int read_knot(struct sends *s, const char *key, struct pending_record *record, bool *out)
{
	AUTO_ABORT struct txn *txn = NULL;
	*out = false;
	int r = txn_begin_look(s->flow->index, &txn);
	if (!r)
		r = pending_get(txn, key, record);
	if (!r && record->holds)
		r = send_is_knot(txn, record, out);
	return r == -ENOENT ? 0 : r;
}

/* -EAGAIN: its content must be fetched first. */
static int take_along_locked(struct node *node, const char *key) REQUIRES(&node->lock);
static int take_along_locked(struct node *node, const char *key)
{
	AUTO_ABORT struct txn *txn = NULL;
	struct node_record record;

	int r = txn_begin_write(node->flow->index, &txn);
	if (!r)
		r = nodes_get(txn, node_ino(node), &record);
	if (r)
		return r == -ENOENT ? 0 : r;
	if (record.content == CONTENT_DIRTY || strcmp(record.home, key) || (record.flags & NODE_ORPHAN))
		return 0; /* it has left */
	if (record.content == CONTENT_REMOTE && record.size)
		return -EAGAIN;
	record.content = CONTENT_DIRTY;
	record.home[0] = '\0';
	r = nodes_put(txn, &record);
	if (!r) /* under all its names, as for every DIRTY node: any of them may go before it is sent */
		r = want_put_names(txn, node->flow->index, &record);
	if (!r)
		r = txn_commit(&txn);
	if (!r)
		node->locked.content = CONTENT_DIRTY;
	return r;
}

/* A fill answers as soon as the bytes are there, and says so in the record when it comes to rest. */
static bool rest(struct sends *s)
{
	lock_take(&s->lock);
	if (!s->locked.stop)
		wakeup_wait_until(&s->work, &s->lock, clock_ms() + REST_MS);
	bool stop = s->locked.stop;
	lock_drop(&s->lock);
	return !stop;
}

static int take_along(struct sends *s, struct node *node, const char *key)
{
	int64_t until_ms = clock_ms() + REST_MS_MAX;
	for (;;) {
		lock_take(&node->lock);
		int r = take_along_locked(node, key);
		uint64_t size = node->locked.published_size;
		lock_drop(&node->lock);
		if (r != -EAGAIN || clock_ms() >= until_ms)
			return r;
		r = fill_wait_for(s->flow->fills, node, 0, size);
		if (r && r != -ESTALE)
			return r;
		if (!rest(s))
			return -ECANCELED;
	}
}

void send_untie(struct sends *s, const char *key)
{
	struct pending_record record;
	struct node *node;
	bool knot;

	int r = read_knot(s, key, &record, &knot);
	if (r) {
		send_index_failed(s, r);
		return;
	}
	if (!knot || node_get(s->flow->nodes, record.holds, &node))
		return;
	r = take_along(s, node, key);
	node_put(&node);
	checkpoint_kick(s->flow->checkpoints);
	if (r == -EAGAIN) /* no failure: it is not at rest yet */
		send_kick(s);
	if (r == 0 || r == -ECANCELED || r == -EAGAIN)
		return;
	send_log_failure(s, key, r, "it must be fetched before another file takes its place");
	send_put_off(s, key, &record);
}
