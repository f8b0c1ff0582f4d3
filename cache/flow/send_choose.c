/* Which key comes next.
 *
 * One worker at a time scans the table of wishes in key order from where the last scan ended, a slice at a time, and
 * puts what can be sent on the ready list as claims; workers take claims from there. A round ends at the end of the
 * table. Another one begins only when something may have changed (again): a checkpoint covered more, a request ended that
 * somebody had passed over, a retry time came. So work for N workers costs one walk, and a million wishes that
 * must wait cost nothing between rounds; where such a round takes long, the next is the later for it.
 *
 * A claim is the right to send to its key; the hash of the key stands for it (two keys that share it wait for each
 * other, which is rare and harmless). Order of events for a claim:
 *
 *     1  it is in the table, flying         nobody else sends to this key
 *     2  the record is read again           so what the scan saw need not be true any more
 *     3  the request
 *     4  the transaction that records its effect
 *     5  it leaves the table
 *
 * A late DELETE cannot follow the PUT that replaced it: PUT's claim (1) comes after DELETE's (5), that is after its
 * answer. A wish that is changed between 2 and 4 is still there after 4, since 4 compares; whoever scans past it
 * before 5 sets `missed`, and 5 then asks for another round.
 *
 * Only covered records are sent, and want_absent forgets a fresh wish that never was sent. Why not both:
 *
 *     sender                                      forgetter
 *     a  covered = index_covered()                A  begins its write transaction
 *     b  begins its read transaction              B  record.txn > index_pinned()?
 *     c  record.txn <= covered?                   C  commits without the record
 *
 *   Say both c and B are true. covered never falls, and pinned >= covered, so B came before the checkpoint
 *   that covers record.txn was begun. A checkpoint is begun under the writer's lock, which the forgetter holds from A to C:
 *   so that was after C. a saw it covered: a came after C, and b after a, so b's snapshot has no record and there was no c.
 *   With a and b the other way round: b, A, B, C, checkpoint, a, c sends what was forgotten.
 *
 * A hold (want.h) that is over is not enough to send: what ended it may be newer than the last checkpoint, and after a power
 * cut the node would live at this key again, with its object gone. So the hold is first taken out of the
 * record in a transaction of its own: the record is then newer than what ended the hold, and as it is sent only when it
 * is covered, so is that. */
#include <errno.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "checkpoint.h"
#include "stream_internal.h"
#include "want.h"

enum {
	PUTS_AHEAD = 64,
	SLICE = 4096,        /* records looked at in one read transaction */
	ROUND_REST = 10,     /* an empty round is followed by this many times its duration without one */
	LOOK_MS_MAX = 60000,
	FREED_MAX = 1000,
};
#define TEMPORARY_NS (INT64_C(5) * 1000000000)

uint64_t send_hash(const char *key)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (; *key; key++)
		hash = (hash ^ (unsigned char)*key) * UINT64_C(0x100000001b3);
	return hash;
}

/* -- judging -- */

void send_look(struct sends *s, struct send_look *look)
{
	lock_take(&s->lock);
	look->hurry_ns = s->locked.hurry_ns;
	lock_drop(&s->lock);
	look->now_ns = clock_wall_ns();
	look->dots_wait = !s->flow->config.durability_bucket;
	look->covered = index_covered(s->flow->index); /* before the transaction: see above */
}

/* A retry time that lies further ahead than any delay was made before the clock was set back. */
static bool rests(const struct send_look *look, const struct pending_record *record)
{
	int64_t delay = send_delay_ns(record->attempts);
	if (!record->attempts || record->retry_ns <= look->now_ns || record->retry_ns - delay > look->now_ns)
		return false;
	return record->retry_ns - delay >= look->hurry_ns;
}

/* rsync and others write to a name with a dot in front and rename it at once: such a new name is given some time, so that
 * it is not sent, copied and deleted. 0 = it need not wait. */
static int64_t temporary_until(const struct send_look *look, const struct pending_record *record)
{
	const char *slash = strrchr(record->key, '/');
	int64_t until = record->since_ns + TEMPORARY_NS;

	if (!look->dots_wait || record->want != PENDING_PUT || !record->fresh || until <= look->now_ns ||
	    (slash ? slash[1] : record->key[0]) != '.')
		return 0;
	/* since lies ahead after the clock was set back */
	return record->since_ns < look->hurry_ns || record->since_ns > look->now_ns ? 0 : until;
}

int send_judge(struct txn *txn, const struct send_look *look, struct pending_record *record,
	       enum send_verdict *out)
{
	bool due = record->txn <= look->covered && !rests(look, record) && !temporary_until(look, record);
	*out = due ? SEND_IT : SEND_LATER;
	if (!record->holds)
		return 0;
	int r = want_held(txn, record);
	*out = r == 0 ? SEND_FREED : due ? SEND_HELD : SEND_LATER;
	return r == -EBUSY ? 0 : r;
}

/* -- the scan -- */

struct scan {
	struct sends *s;
	struct send_look look;
	struct list chosen, freed; /* of claims; those of freed only carry the key */
	unsigned puts, absents, freed_count;
	bool ended;
	int64_t retry_ns;
};

static struct claim *claim_new(const char *key, int kind)
{
	size_t bytes = strlen(key) + 1;
	struct claim *claim = calloc(1, sizeof(*claim) + bytes);
	if (!claim)
		return NULL;
	memcpy(claim->key, key, bytes);
	claim->link.id = send_hash(key);
	claim->kind = kind;
	return claim;
}

static int scan_note(struct scan *scan, const struct pending_record *record, enum send_verdict verdict)
{
	if (verdict == SEND_LATER) {
		int64_t until = temporary_until(&scan->look, record);
		if (rests(&scan->look, record))
			until = record->retry_ns;
		if (until && record->txn <= scan->look.covered && until < scan->retry_ns)
			scan->retry_ns = until;
		return 0;
	}
	bool absent = record->want == PENDING_ABSENT;
	int kind = verdict == SEND_HELD ? CLAIM_KNOT : absent ? CLAIM_ABSENT : CLAIM_PUT;
	struct claim *claim = claim_new(record->key, kind);
	if (!claim)
		return -ENOMEM;
	if (verdict == SEND_FREED) {
		list_append(&scan->freed, &claim->list);
		scan->freed_count++;
		return 0;
	}
	list_append(&scan->chosen, &claim->list);
	if (absent)
		scan->absents++;
	else
		scan->puts++;
	return 0;
}

static int scan_slice(struct scan *scan, char position[KEY_BYTES_MAX + 1])
{
	AUTO_ABORT struct txn *txn = NULL;
	struct pending_record record;
	enum send_verdict verdict;
	bool knot;

	send_look(scan->s, &scan->look);
	int r = txn_begin_read(scan->s->flow->index, &txn);
	for (unsigned i = 0; r == 0 && i < SLICE; i++) {
		if (scan->puts >= PUTS_AHEAD || scan->absents >= REMOVE_MAX || scan->freed_count >= FREED_MAX)
			break;
		r = pending_next(txn, position, &record);
		if (r == -ENOENT) {
			scan->ended = true;
			return 0;
		}
		if (!r)
			memcpy(position, record.key, sizeof(record.key));
		if (!r)
			r = send_judge(txn, &scan->look, &record, &verdict);
		if (!r && verdict == SEND_HELD)
			r = send_is_knot(txn, &record, &knot);
		if (!r && (verdict != SEND_HELD || knot))
			r = scan_note(scan, &record, verdict);
	}
	return r;
}

/* The holds that are over leave their records. */
static int scan_free_holds(struct scan *scan)
{
	AUTO_ABORT struct txn *txn = NULL;
	struct pending_record record;

	if (list_empty(&scan->freed))
		return 0;
	int r = txn_begin_write(scan->s->flow->index, &txn);
	for (struct list *l = scan->freed.next; r == 0 && l != &scan->freed; l = l->next) {
		struct claim *claim = container_of(l, struct claim, list);
		r = pending_get(txn, claim->key, &record);
		if (r == -ENOENT || (r == 0 && !record.holds)) {
			r = 0;
			continue;
		}
		if (!r)
			r = want_held(txn, &record);
		if (!r)
			r = pending_put(txn, &record);
		else if (r == -EBUSY)
			r = 0;
	}
	if (!r)
		r = txn_commit(&txn);
	if (!r)
		checkpoint_kick(scan->s->flow->checkpoints);
	return r;
}

static void free_claims(struct list *claims)
{
	struct list *l;
	while ((l = list_shift(claims)))
		free(container_of(l, struct claim, list));
}

/* False: the key is chosen already. */
static bool claim_add_locked(struct sends *s, struct claim *claim, bool first) REQUIRES(&s->lock);
static bool claim_add_locked(struct sends *s, struct claim *claim, bool first)
{
	struct table_link *link = table_find(&s->locked.claims, claim->link.id);
	if (link) {
		struct claim *other = container_of(link, struct claim, link);
		other->missed |= other->flying || strcmp(other->key, claim->key);
		return false;
	}
	table_insert(&s->locked.claims, &claim->link);
	list_append(first ? s->locked.ready.next : &s->locked.ready, &claim->list);
	return true;
}

static void round_end_locked(struct sends *s) REQUIRES(&s->lock);
static void round_end_locked(struct sends *s)
{
	struct send_round *round = &s->locked.round;
	round->midway = false;
	round->position[0] = '\0';
	round->not_before_ms = round->found ? 0 : clock_ms() + round->spent_ms * ROUND_REST;
}

static void scan_finish_locked(struct sends *s, struct scan *scan) REQUIRES(&s->lock);
static void scan_finish_locked(struct sends *s, struct scan *scan)
{
	struct send_round *round = &s->locked.round;
	struct list *l;
	while ((l = list_shift(&scan->chosen))) {
		struct claim *claim = container_of(l, struct claim, list);
		if (claim_add_locked(s, claim, false))
			round->found = true;
		else
			free(claim);
	}
	if (scan->retry_ns < round->retry_ns)
		round->retry_ns = scan->retry_ns;
	if (scan->ended)
		round_end_locked(s);
}

static void round_begin_locked(struct sends *s) REQUIRES(&s->lock);
static void round_begin_locked(struct sends *s)
{
	struct send_round *round = &s->locked.round;
	round->midway = true;
	round->again = false;
	round->found = false;
	round->spent_ms = 0;
	round->retry_ns = INT64_MAX;
}

static void scan_locked(struct sends *s) REQUIRES(&s->lock);
static void scan_locked(struct sends *s)
{
	struct scan scan = {.s = s, .retry_ns = INT64_MAX};
	struct send_round *round = &s->locked.round;
	int64_t start_ms = clock_ms();

	list_init(&scan.chosen);
	list_init(&scan.freed);
	if (!round->midway)
		round_begin_locked(s);
	round->scanning = true;
	lock_drop(&s->lock);
	int r = scan_slice(&scan, round->position); /* ours while scanning is set */
	if (!r)
		r = scan_free_holds(&scan);
	free_claims(&scan.freed);
	if (r)
		send_index_failed(s, r);
	else
		send_index_works(s);
	if (scan.ended)
		stream_review(s);
	lock_take(&s->lock);
	round->scanning = false;
	round->spent_ms += clock_ms() - start_ms;
	scan_finish_locked(s, &scan);
	wakeup_all(&s->work);
}

/* -- rounds -- */

void send_again_locked(struct sends *s)
{
	s->locked.round.again = true;
	wakeup_all(&s->work);
}

static bool retry_came_locked(const struct sends *s) REQUIRES(&s->lock);
static bool retry_came_locked(const struct sends *s)
{
	return s->locked.round.retry_ns <= clock_wall_ns();
}

static bool scan_due_locked(const struct sends *s) REQUIRES(&s->lock);
static bool scan_due_locked(const struct sends *s)
{
	const struct send_round *round = &s->locked.round;
	if (round->scanning)
		return false;
	if (round->midway)
		return true;
	return (round->again || retry_came_locked(s)) && clock_ms() >= round->not_before_ms;
}

int64_t send_due_ms_locked(const struct sends *s)
{
	const struct send_round *round = &s->locked.round;
	int64_t now_ms = clock_ms(), due_ms = now_ms + LOOK_MS_MAX;
	if (s->locked.cancelled)
		return due_ms;
	if (s->locked.pause_ms > now_ms)
		return s->locked.pause_ms;
	if (s->locked.mode != SEND_RUNS)
		return s->locked.trying ? due_ms : s->locked.try_ms;
	if (round->scanning)
		return due_ms;
	if (round->again && round->not_before_ms < due_ms)
		due_ms = round->not_before_ms;
	if (round->retry_ns != INT64_MAX) {
		int64_t retry_ms = now_ms + (round->retry_ns - clock_wall_ns()) / 1000000 + 1;
		retry_ms = retry_ms < round->not_before_ms ? round->not_before_ms : retry_ms;
		due_ms = retry_ms < due_ms ? retry_ms : due_ms;
	}
	return due_ms;
}

/* -- claims -- */

static void batch_take_locked(struct sends *s, struct list *batch) REQUIRES(&s->lock);
static void batch_take_locked(struct sends *s, struct list *batch)
{
	unsigned count = 0;
	while (!list_empty(&s->locked.ready) && count < REMOVE_MAX) {
		struct claim *claim = container_of(s->locked.ready.next, struct claim, list);
		if (count && claim->kind != CLAIM_ABSENT)
			break;
		list_remove(&claim->list);
		list_append(batch, &claim->list);
		claim->flying = true;
		count++;
		if (claim->kind != CLAIM_ABSENT)
			break;
	}
	s->locked.stats.in_flight += count;
}

int send_choose_locked(struct sends *s, struct list *batch)
{
	list_init(batch);
	if (!list_empty(&s->locked.ready)) {
		batch_take_locked(s, batch);
		return 1;
	}
	if (!scan_due_locked(s))
		return 0;
	scan_locked(s);
	return 1;
}

void send_release(struct sends *s, struct list *batch)
{
	struct list *l;
	bool missed = false;
	lock_take(&s->lock);
	while ((l = list_shift(batch))) {
		struct claim *claim = container_of(l, struct claim, list);
		missed |= claim->missed;
		table_remove(&s->locked.claims, &claim->link);
		s->locked.stats.in_flight--;
		free(claim);
	}
	if (missed)
		send_again_locked(s);
	lock_drop(&s->lock);
}

void send_prefer(struct sends *s, const char *key)
{
	struct claim *claim = claim_new(key, CLAIM_PUT);
	if (!claim)
		return; /* it comes in its turn */
	lock_take(&s->lock);
	if (!claim_add_locked(s, claim, true))
		free(claim);
	else
		wakeup_all(&s->work);
	lock_drop(&s->lock);
}
