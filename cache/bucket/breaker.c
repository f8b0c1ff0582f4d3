/* A circuit breaker.
 *
 *     state     a failure                       a success        a caller
 *     closed    counts; BREAKER_FAILURES in a    counts from 0    goes on
 *               row over span_ms or more: open
 *     open      (a late one) nothing            closed           before probe_at: refused
 *                                                                after it: probes
 *     probing   the pause doubles; open         closed           refused
 *
 * With many callers five failures are there within one hiccup of the network, so the row must also
 * last: a hiccup is what the retries are for. Both changes are logged once, in words, since an open
 * breaker is what an operator sees first of an outage. */
#include "breaker.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include "cache/base/log.h"
#include "ops.h"

void breaker_init(struct breaker *b, int64_t span_ms)
{
	*b = (struct breaker){.span_ms = span_ms};
	lock_init(&b->lock);
}

void breaker_destroy(struct breaker *b)
{
	lock_destroy(&b->lock);
}

static enum breaker_pass enter_locked(struct breaker *b, int64_t now_ms) REQUIRES(&b->lock)
{
	if (!b->locked.open)
		return BREAKER_PASS;
	if (b->locked.probing || now_ms < b->locked.probe_at_ms)
		return BREAKER_REFUSE;
	b->locked.probing = true;
	return BREAKER_PROBE;
}

enum breaker_pass breaker_enter(struct breaker *b, int64_t now_ms)
{
	char why[sizeof(b->locked.why)] = "";
	enum breaker_pass pass;

	lock_take(&b->lock);
	pass = enter_locked(b, now_ms);
	if (pass == BREAKER_REFUSE)
		snprintf(why, sizeof(why), "%s", b->locked.why);
	lock_drop(&b->lock);
	if (pass == BREAKER_REFUSE)
		(void)fault_set(-EHOSTDOWN, true,
				"the bucket does not answer and is tried from time to time: %s",
				why);
	return pass;
}

/* true = it has just been closed. */
static bool alive_locked(struct breaker *b) REQUIRES(&b->lock)
{
	bool was_open = b->locked.open;

	b->locked.failures = 0;
	b->locked.open = false;
	b->locked.probing = false;
	return was_open;
}

/* true = it has just been opened. */
static bool dead_locked(struct breaker *b, const char *why, int64_t now_ms) REQUIRES(&b->lock)
{
	if (b->locked.open)
		return false;
	if (b->locked.failures++ == 0)
		b->locked.first_failed_ms = now_ms;
	if (b->locked.failures < BREAKER_FAILURES ||
	    now_ms - b->locked.first_failed_ms < b->span_ms)
		return false;
	b->locked.open = true;
	b->locked.pause_ms = BREAKER_PAUSE_MIN_MS;
	b->locked.probe_at_ms = now_ms + b->locked.pause_ms;
	snprintf(b->locked.why, sizeof(b->locked.why), "%s", why);
	return true;
}

static void probe_failed_locked(struct breaker *b, int64_t now_ms) REQUIRES(&b->lock)
{
	b->locked.probing = false;
	b->locked.pause_ms *= 2;
	if (b->locked.pause_ms > BREAKER_PAUSE_MAX_MS)
		b->locked.pause_ms = BREAKER_PAUSE_MAX_MS;
	b->locked.probe_at_ms = now_ms + b->locked.pause_ms;
}

static void log_closed(void)
{
	log_warn("bucket: it answers again");
}

void breaker_done(struct breaker *b, enum breaker_pass pass, enum breaker_news news,
		  const char *why, int64_t now_ms)
{
	bool opened = false, closed = false;

	lock_take(&b->lock);
	if (news == BREAKER_ALIVE)
		closed = alive_locked(b);
	else if (pass == BREAKER_PROBE && b->locked.open && news == BREAKER_DEAD)
		probe_failed_locked(b, now_ms);
	else if (pass == BREAKER_PROBE)
		b->locked.probing = false;
	else if (news == BREAKER_DEAD)
		opened = dead_locked(b, why, now_ms);
	lock_drop(&b->lock);
	if (closed)
		log_closed();
	if (opened)
		log_warn(
		    "bucket: it does not answer; from now on it is tried from time to time, and "
		    "what needs it fails at once cause=\"%s\"",
		    why);
}

void breaker_alive(struct breaker *b)
{
	bool closed;

	lock_take(&b->lock);
	closed = alive_locked(b);
	lock_drop(&b->lock);
	if (closed)
		log_closed();
}

bool breaker_is_open(struct breaker *b)
{
	bool open;

	lock_take(&b->lock);
	open = b->locked.open;
	lock_drop(&b->lock);
	return open;
}
