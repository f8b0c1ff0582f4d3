/* The loop behind every call of the bucket: try, judge, wait, try again.
 *
 *     result                      fault.again   what follows
 *     0                                         done
 *     any error                   no            returned at once
 *     any error                   yes           another attempt, after a pause, until the deadline
 *     refused by the breaker                    returned at once, where it was open from the beginning;
 *                                               else it is waited for, until the deadline: who was
 *                                               there when the bucket went away gets what it wanted if
 *                                               the bucket is back in time
 *     bucket_stop()                             -ECANCELED, also out of a pause
 *
 * Pause before attempt n: a random time up to min(10 s, 100 ms * 2^(n-1)), so that callers who
 * failed together do not come back together; but not less than what the server asked for. A pause
 * that would pass the deadline is not begun.
 *
 * Why a repeated request is safe. Each names its key and the whole of what is wanted, so the last
 * one decides and two of one kind are as good as one; the caller never has two requests for one key
 * under way:
 *     GET, HEAD, LIST       change nothing; a GET goes on behind what was taken, by ETag (resume.c)
 *     PUT                   the same bytes again, from the same file at the same version
 *     COPY                  from the same ETag, with the same headers
 *     DELETE                of what is gone already is a success
 *     CreateMultipartUpload may leave an upload that nobody knows: looked for before (bucket_upload.c)
 *     UploadPart            replaces the part of that number
 *     Complete              the second one finds no upload: settled by what the key holds
 * (bucket_upload.c) Abort                 of what is gone already is a success */
#include "door.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"

enum { PAUSE_BASE_MS = 100, PAUSE_CAP_MS = 10000, REFUSED_MS = 250 };

/* splitmix64: the pauses only have to differ. */
static uint64_t random_below(struct bucket *b, uint64_t bound)
{
	uint64_t x = atomic_fetch_add(&b->random, 0x9e3779b97f4a7c15u) + 0x9e3779b97f4a7c15u;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return (x ^ (x >> 31)) % bound;
}

/* row 0: the breaker refused it. */
static int64_t pause_ms(struct bucket *b, unsigned row)
{
	int64_t most = PAUSE_CAP_MS, asked = fault_of_thread()->retry_after_ms, pause;

	if (row == 0)
		return REFUSED_MS + (int64_t)random_below(b, REFUSED_MS);
	if (row < 8 && PAUSE_BASE_MS << (row - 1) < most)
		most = PAUSE_BASE_MS << (row - 1);
	pause = (int64_t)random_below(b, (uint64_t)most + 1);
	return pause > asked ? pause : asked;
}

static int stopped_fault(void)
{
	return fault_set(-ECANCELED, false, "stopped");
}

static bool is_stopped(struct bucket *b)
{
	bool stopped;

	lock_take(&b->lock);
	stopped = b->locked.stopped;
	lock_drop(&b->lock);
	return stopped;
}

/* false = stopped meanwhile. */
static bool wait_until(struct bucket *b, int64_t until_ms)
{
	bool stopped, in_time = true;

	lock_take(&b->lock);
	while (!b->locked.stopped && in_time)
		in_time = wakeup_wait_until(&b->stopping, &b->lock, until_ms);
	stopped = b->locked.stopped;
	lock_drop(&b->lock);
	return !stopped;
}

/* What a result says of the server. That it asks for fewer requests is an answer. */
static enum breaker_news news_of(int r)
{
	const struct fault *f = fault_of_thread();
	bool throttled = f->http_status == 429 || strcmp(f->code, "SlowDown") == 0;

	if (r == -EHOSTDOWN && !throttled && (f->http_status == 0 || f->http_status >= 500))
		return BREAKER_DEAD;
	return r == 0 || f->http_status != 0 ? BREAKER_ALIVE : BREAKER_NEUTRAL;
}

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int attempt_once(struct call *c, attempt_fn *attempt, void *arg)
{
	struct bucket *b = c->bucket;
	int64_t began_ms = clock_ms(), began_us = now_us();
	enum breaker_pass pass;
	int r;

	fault_clear();
	pass = breaker_enter(&b->breaker, began_ms);
	if (pass == BREAKER_REFUSE) {
		fault_of_thread()->again = c->was_closed;
		c->row = 0;
		return -EHOSTDOWN;
	}
	c->was_closed |= pass == BREAKER_PASS;
	c->attempts++;
	c->row++;
	r = attempt(c, arg);
	assert(r <= 0);
	histogram_add(&b->requests[c->op], now_us() - began_us);
	if (r == -ETIMEDOUT)
		r = -EHOSTDOWN;
	breaker_done(&b->breaker, pass, news_of(r), bucket_why(), clock_ms());
	log_debug("bucket: %s key=\"%s\" attempt=%u result=%d http=%d ms=%" PRId64 "%s%s",
		  bucket_op_name(c->op), c->key, c->attempts, r, fault_of_thread()->http_status,
		  clock_ms() - began_ms, r ? " why=" : "", r ? bucket_why() : "");
	return r;
}

static int give_up(const struct call *c, int r, int64_t began_ms)
{
	return fault_set(r, true, "%s (%u attempts in %.1f s)", bucket_why(), c->attempts,
			 (double)(clock_ms() - began_ms) / 1000);
}

static int attempt_all(struct call *c, attempt_fn *attempt, void *arg)
{
	struct bucket *b = c->bucket;
	int64_t began_ms = clock_ms();

	for (;;) {
		int64_t until_ms;
		int r;

		if (is_stopped(b)) {
			fault_clear();
			return stopped_fault();
		}
		r = attempt_once(c, attempt, arg);
		if (r != 0 && is_stopped(b))
			return stopped_fault();
		if (r == 0 || !fault_of_thread()->again)
			return r;
		until_ms = clock_ms() + pause_ms(b, c->row);
		if (until_ms >= c->deadline_ms)
			return give_up(c, r, began_ms);
		atomic_fetch_add(&b->retries, 1);
		if (!wait_until(b, until_ms))
			return stopped_fault();
	}
}

static void note_trouble(struct bucket *b, enum bucket_op op, int r)
{
	if (r != -EACCES && r != -ENODEV && r != -EHOSTDOWN && r != -EPROTO && r != -EINVAL)
		return;
	lock_take(&b->lock);
	b->locked.trouble.at_ns = clock_wall_ns();
	b->locked.trouble.op = op;
	snprintf(b->locked.trouble.why, sizeof(b->locked.trouble.why), "%s", bucket_why());
	lock_drop(&b->lock);
}

void door_came(struct bucket *b, uint64_t bytes)
{
	atomic_fetch_add(&b->bytes_in, bytes);
	rate_add(&b->rate_in, bytes, clock_ms());
}

void door_went(struct bucket *b, uint64_t bytes)
{
	atomic_fetch_add(&b->bytes_out, bytes);
	rate_add(&b->rate_out, bytes, clock_ms());
}

int door_run(struct bucket *b, enum bucket_op op, const char *key, attempt_fn *attempt, void *arg)
{
	struct call c = {
	    .bucket = b, .op = op, .key = key, .deadline_ms = clock_ms() + b->io_timeout_ms};
	int r;

	atomic_fetch_add(&b->calls[op], 1);
	r = attempt_all(&c, attempt, arg);
	if (r) {
		atomic_fetch_add(&b->failures[op], 1);
		note_trouble(b, op, r);
	}
	return r;
}

int door_key(const struct bucket *b, const char *key)
{
	enum key_verdict verdict;

	assert(key);
	verdict = key_check(key, strlen(key));
	if (verdict == KEY_GOOD && strlen(key) > b->impl.key_bytes_max)
		verdict = KEY_TOO_LONG;
	if (verdict == KEY_GOOD)
		return 0;
	fault_clear();
	return fault_set(-EINVAL, false, "no object can have the key \"%.200s\": %s", key,
			 key_verdict_text(verdict));
}
