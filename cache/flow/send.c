/* The workers, and those who wait for them.
 *
 * All workers are alike: each takes, in turn, a part of a multipart upload that others began, or a claim (one
 * PUT or copy, or a batch of deletes), so that one huge file neither waits for a million small ones nor keeps them
 * waiting. A worker that finishes a multipart upload sends its parts too, and waits only for those that others send.
 *
 * Nobody is told of each change: a commit is followed by a checkpoint, that by send_kick, and that by one round of
 * the table (send_choose.c). */
#include <errno.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "checkpoint.h"
#include "stream_internal.h"

enum { WAIT_LOOK_MS = 1000 };

int sends_open(struct flow *flow, struct sends **out)
{
	struct sends *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->flow = flow;
	s->threads = calloc(flow->config.uploads ? flow->config.uploads : 1, sizeof(*s->threads));
	int r = s->threads ? table_init(&s->locked.claims) : -ENOMEM;
	if (r) {
		free(s->threads);
		free(s);
		return r;
	}
	lock_init(&s->lock);
	wakeup_init(&s->work);
	list_init(&s->locked.ready);
	list_init(&s->locked.streams);
	list_init(&s->locked.leftovers);
	list_init(&s->locked.waiters);
	s->locked.round.again = true; /* what an earlier process left */
	s->locked.round.retry_ns = INT64_MAX;
	*out = s;
	return 0;
}

void sends_close(struct sends **sends)
{
	struct sends *s = *sends;
	struct list *l;

	*sends = NULL;
	if (!s)
		return;
	while ((l = list_shift(&s->locked.ready)))
		free(container_of(l, struct claim, list));
	multipart_close(s);
	table_destroy(&s->locked.claims);
	wakeup_destroy(&s->work);
	lock_destroy(&s->lock);
	free(s->threads);
	free(s);
}

/* -- workers -- */

int send_work_locked(struct sends *s, bool parts_first)
{
	struct stream_task task;
	struct list batch;

	bool has_part = parts_first && stream_task_locked(s, NULL, &task);
	if (!has_part && send_choose_locked(s, &batch)) {
		if (list_empty(&batch))
			return 1;
		const struct claim *first = container_of(batch.next, struct claim, list);
		lock_drop(&s->lock);
		if (first->kind == CLAIM_ABSENT)
			send_remove(s, &batch);
		else if (first->kind == CLAIM_KNOT)
			send_untie(s, first->key);
		else
			send_put(s, &batch);
		send_release(s, &batch);
		lock_take(&s->lock);
		return 1;
	}
	if (!has_part && !stream_task_locked(s, NULL, &task))
		return 0;
	lock_drop(&s->lock);
	stream_run(s, &task);
	lock_take(&s->lock);
	return 1;
}

static void *run(void *arg)
{
	struct sends *s = arg;
	bool parts_first = false;

	lock_take(&s->lock);
	while (!s->locked.stop) {
		int did = 0;
		if (send_may_try_locked(s)) {
			send_try_locked(s);
			did = 1;
		} else if (send_may_work_locked(s)) {
			parts_first = !parts_first;
			did = send_work_locked(s, parts_first);
		}
		if (!did)
			wakeup_wait_until(&s->work, &s->lock, send_due_ms_locked(s));
	}
	lock_drop(&s->lock);
	return NULL;
}

int sends_start(struct sends *s)
{
	if (s->flow->config.read_only)
		return 0;
	int r = leftover_read(s);
	for (unsigned i = 0; r == 0 && i < s->flow->config.uploads; i++) {
		r = thread_start(&s->threads[i], "send", run, s);
		if (!r)
			s->threads_count++;
	}
	if (r)
		sends_stop(s);
	return r;
}

void sends_stop(struct sends *s)
{
	lock_take(&s->lock);
	s->locked.stop = true;
	send_tell_all_locked(s);
	lock_drop(&s->lock);
	for (unsigned i = 0; i < s->threads_count; i++)
		pthread_join(s->threads[i], NULL);
	s->threads_count = 0;
}

/* -- from outside -- */

void send_kick(struct sends *s)
{
	lock_take(&s->lock);
	send_again_locked(s);
	lock_drop(&s->lock);
}

void send_hurry(struct sends *s)
{
	lock_take(&s->lock);
	s->locked.hurry_ns = clock_wall_ns();
	s->locked.round.not_before_ms = 0;
	if (s->locked.mode != SEND_RUNS)
		s->locked.try_ms = 0;
	send_again_locked(s);
	lock_drop(&s->lock);
}

void send_stats_read(struct sends *s, struct send_stats *out)
{
	lock_take(&s->lock);
	*out = s->locked.stats;
	lock_drop(&s->lock);
}

/* -- waiting -- */

void send_tell(struct sends *s, uint64_t ino)
{
	lock_take(&s->lock);
	for (struct list *l = s->locked.waiters.next; l != &s->locked.waiters; l = l->next) {
		struct send_waiter *waiter = container_of(l, struct send_waiter, link);
		if (waiter->ino != ino)
			continue;
		waiter->hit = true;
		wakeup_one(&waiter->wake);
	}
	lock_drop(&s->lock);
}

void send_tell_all_locked(struct sends *s)
{
	wakeup_all(&s->work);
	for (struct list *l = s->locked.waiters.next; l != &s->locked.waiters; l = l->next) {
		struct send_waiter *waiter = container_of(l, struct send_waiter, link);
		waiter->hit = true;
		wakeup_one(&waiter->wake);
	}
}

struct wait_look {
	struct sends *s;
	struct txn *txn;
	uint64_t ino, covered;
	unsigned left; /* keys that do not have it yet */
	bool refused, uncovered;
};

static int look_at_key(struct wait_look *look, const char *key)
{
	struct pending_record record;
	int r = pending_get(look->txn, key, &record);
	if (r)
		return r == -ENOENT ? 0 : r;
	if (record.want != PENDING_PUT || record.ino != look->ino || record.attrs_only)
		return 0;
	look->left++;
	look->refused |= record.attempts > 0;
	if (record.txn > look->covered)
		look->uncovered = true;
	else if (!record.attempts && !record.holds)
		send_prefer(look->s, key);
	return 0;
}

static int look_at_link(void *arg, uint64_t parent, const char *name)
{
	struct wait_look *look = arg;
	char key[KEY_BYTES_MAX + 1];
	int r = nodes_key_of_name(look->txn, parent, name, key);
	return r ? r : look_at_key(look, key);
}

/* Which of its names still wait; none where it has no name any more. */
static int look_at_node(struct wait_look *look)
{
	AUTO_ABORT struct txn *txn = NULL;
	struct node_record record;

	look->covered = index_covered(look->s->flow->index);
	int r = txn_begin_read(look->s->flow->index, &txn);
	if (!r)
		r = nodes_get(txn, look->ino, &record);
	if (r == -ENOENT || (r == 0 && (record.flags & NODE_ORPHAN)))
		return 0;
	look->txn = txn;
	if (!r)
		r = look_at_link(look, record.parent, record.name);
	if (!r && record.nlink > 1)
		r = links_each(txn, look->ino, look_at_link, look);
	return r;
}

static int wait_look(struct sends *s, uint64_t ino)
{
	struct wait_look look = {.s = s, .ino = ino};
	int r = look_at_node(&look);
	if (r)
		return r;
	if (!look.left)
		return 0;
	if (look.refused)
		return -EIO;
	if (look.uncovered)
		checkpoint_hurry(s->flow->checkpoints);
	return -EAGAIN;
}

static bool is_refused_locked(const struct sends *s) REQUIRES(&s->lock);
static bool is_refused_locked(const struct sends *s)
{
	return s->locked.stop || s->locked.cancelled ||
	       (s->locked.mode != SEND_RUNS && s->locked.error != -EHOSTDOWN);
}

/* The waiter is on the list before the first look, so nothing is missed between a look and the sleep. */
static int wait_for(struct sends *s, struct send_waiter *waiter, int64_t deadline_ms)
{
	for (;;) {
		int r = wait_look(s, waiter->ino);
		if (r != -EAGAIN)
			return r;
		int64_t now_ms = clock_ms();
		if (now_ms >= deadline_ms)
			return -ETIMEDOUT;
		int64_t until_ms = now_ms + WAIT_LOOK_MS < deadline_ms ? now_ms + WAIT_LOOK_MS : deadline_ms;
		lock_take(&s->lock);
		bool refused = is_refused_locked(s);
		while (!refused && !waiter->hit)
			if (!wakeup_wait_until(&waiter->wake, &s->lock, until_ms))
				break;
		waiter->hit = false;
		refused = is_refused_locked(s);
		lock_drop(&s->lock);
		if (refused)
			return -EIO;
	}
}

int send_wait(struct sends *s, uint64_t ino, uint64_t version, int64_t deadline_ms)
{
	struct send_waiter waiter = {.ino = ino};

	(void)version; /* a name that wants none wants no version up to that of the node */
	wakeup_init(&waiter.wake);
	lock_take(&s->lock);
	list_append(&s->locked.waiters, &waiter.link);
	lock_drop(&s->lock);
	int r = wait_for(s, &waiter, deadline_ms);
	lock_take(&s->lock);
	list_remove(&waiter.link);
	lock_drop(&s->lock);
	wakeup_destroy(&waiter.wake);
	return r;
}
