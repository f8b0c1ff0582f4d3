/* Deletes, many in one request. Each key has its claim, so each record is read again before the request, and
 * compared again before it is deleted. A request that is refused as a whole because of one of its keys (a name that does not
 * fit into XML, say) is halved until that key is alone. */
#include <errno.h>
#include <string.h>
#include "cache/base/log.h"
#include "checkpoint.h"
#include "failures.h"
#include "send_internal.h"

enum { NOT_SENT = 1 }; /* no errno: the request never came to this key */

struct removal {
	const char *keys[REMOVE_MAX]; /* the claims' */
	int results[REMOVE_MAX];
	size_t count;
	bool again;
};

static int read_wishes(struct sends *s, struct list *batch, struct removal *removal)
{
	AUTO_ABORT struct txn *txn = NULL;
	struct pending_record record;
	struct send_look look;
	enum send_verdict verdict;

	send_look(s, &look);
	int r = txn_begin_read(s->flow->index, &txn);
	if (r)
		return r;
	for (struct list *l = batch->next; l != batch; l = l->next) {
		const struct claim *claim = container_of(l, struct claim, list);
		r = pending_get(txn, claim->key, &record);
		if (r == -ENOENT)
			continue;
		if (!r)
			r = send_judge(txn, &look, &record, &verdict);
		if (r)
			return r;
		if (verdict == SEND_IT && record.want == PENDING_ABSENT)
			removal->keys[removal->count++] = claim->key;
		else if (verdict != SEND_LATER && verdict != SEND_HELD)
			removal->again = true; /* it is something else by now */
	}
	return 0;
}

/* 0, or the error that concerns the bucket: then what is left is NOT_SENT. */
static int request(struct sends *s, struct removal *removal, size_t first, size_t count)
{
	int r = bucket_remove(s->flow->bucket, removal->keys + first, count, removal->results + first);
	bool over = send_concerns_bucket(r) || r == -ECANCELED;

	send_answer(s, r, removal->keys[first]);
	for (size_t i = first; r && i < first + count; i++)
		removal->results[i] = over || r == -EINVAL ? NOT_SENT : r;
	if (over || r != -EINVAL)
		return over ? r : 0;
	if (count == 1) {
		removal->results[first] = r;
		return 0;
	}
	r = request(s, removal, first, count / 2);
	return r ? r : request(s, removal, first + count / 2, count - count / 2);
}

static int settle_key(struct txn *txn, const char *key, int result)
{
	struct pending_record record;
	int r = pending_get(txn, key, &record);
	if (r == -ENOENT || (r == 0 && record.want != PENDING_ABSENT))
		return 0;
	if (!r && result)
		return send_put_off_in(txn, key);
	if (!r && !record.holds)
		r = pending_delete(txn, key);
	return r;
}

static int settle(struct sends *s, const struct removal *removal)
{
	AUTO_ABORT struct txn *txn = NULL;
	int r = txn_begin_write(s->flow->index, &txn);
	for (size_t i = 0; r == 0 && i < removal->count; i++)
		if (removal->results[i] != NOT_SENT)
			r = settle_key(txn, removal->keys[i], removal->results[i]);
	return r ? r : txn_commit(&txn);
}

static void count_results(struct sends *s, const struct removal *removal, const char *why)
{
	uint64_t done = 0;
	for (size_t i = 0; i < removal->count; i++) {
		if (removal->results[i] == 0) {
			done++;
			failures_forget(s->flow->failures, removal->keys[i]);
		} else if (removal->results[i] != NOT_SENT) {
			send_log_failure(s, removal->keys[i], removal->results[i], why);
		}
	}
	lock_take(&s->lock);
	s->locked.stats.removes += done;
	lock_drop(&s->lock);
}

static void remove_batch(struct sends *s, struct list *batch, struct removal *removal)
{
	int r = read_wishes(s, batch, removal);
	if (!r && removal->count) {
		int over = request(s, removal, 0, removal->count);
		count_results(s, removal, over ? "" : bucket_why());
		r = settle(s, removal);
		checkpoint_kick(s->flow->checkpoints);
	}
	if (r)
		send_index_failed(s, r);
	if (removal->again) {
		lock_take(&s->lock);
		send_again_locked(s);
		lock_drop(&s->lock);
	}
}

void send_remove(struct sends *s, struct list *batch)
{
	struct removal *removal = calloc(1, sizeof(*removal));
	if (!removal) {
		send_index_failed(s, -ENOMEM);
		return;
	}
	remove_batch(s, batch, removal);
	free(removal);
}
