/* What a failure means.
 *
 *     RUNS     all workers work
 *       | a request failed with -EACCES, -ENODEV or -EHOSTDOWN: one line in the log
 *     STOPPED  nobody begins anything; after 1, 2, 4 ... 30 s one worker asks bucket_probe()
 *       | it answers
 *     TRIES    that worker alone goes on with real work, since a bucket may answer a probe and still refuse a PUT
 *       | the first request that is answered: RUNS, one line in the log; one that fails as above: STOPPED
 *
 * A key that the bucket can never take (a server that answers 500 to a strange name, a policy for one folder) looks
 * like an outage too. It must not stop everything else for good: the key whose request stopped us is the
 * suspect, and if the probe is answered, it is put off for a short time, so that the trial is made with others. If one of
 * them is answered, the suspect is put off like any key that fails alone. If the probe fails as well, the bucket is
 * to blame, and nobody is the suspect.
 *
 * Any other failure concerns one key: attempts and retry_ns in its record. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "checkpoint.h"
#include "failures.h"
#include "send_internal.h"

enum {
	TRY_MS = 1000,
	TRY_MS_MAX = 30000,
	PAUSE_MS = 500,
	PAUSE_MS_MAX = 30000,
	TELL_MS = 10000, /* failures of single keys: one line in this time */
};
#define RETRY_NS     (5 * INT64_C(1000000000))
#define RETRY_NS_MAX (600 * INT64_C(1000000000))
#define SUSPECT_NS   (30 * INT64_C(1000000000))

static void put_off(struct sends *s, const char *key, const struct pending_record *wish, int64_t most_ns);

int64_t send_delay_ns(uint32_t attempts)
{
	int64_t delay = RETRY_NS;
	for (uint32_t i = 1; i < attempts && delay < RETRY_NS_MAX; i++)
		delay *= 2;
	return delay < RETRY_NS_MAX ? delay : RETRY_NS_MAX;
}

bool send_may_try_locked(const struct sends *s)
{
	return !s->locked.cancelled && s->locked.mode == SEND_STOPPED && !s->locked.trying &&
	       clock_ms() >= s->locked.try_ms && clock_ms() >= s->locked.pause_ms;
}

bool send_may_work_locked(const struct sends *s)
{
	return !s->locked.cancelled && s->locked.mode == SEND_RUNS && clock_ms() >= s->locked.pause_ms;
}

static void wait_longer_locked(struct sends *s) REQUIRES(&s->lock);
static void wait_longer_locked(struct sends *s)
{
	int64_t delay_ms = s->locked.delay_ms ? s->locked.delay_ms * 2 : TRY_MS;
	s->locked.delay_ms = delay_ms < TRY_MS_MAX ? delay_ms : TRY_MS_MAX;
	s->locked.try_ms = clock_ms() + s->locked.delay_ms;
	s->locked.mode = SEND_STOPPED;
}

/* True: this is news. */
static bool stop_locked(struct sends *s, int error, const char *key) REQUIRES(&s->lock);
static bool stop_locked(struct sends *s, int error, const char *key)
{
	bool news = s->locked.mode == SEND_RUNS || error != s->locked.error;
	if (s->locked.mode == SEND_STOPPED && !s->locked.trying)
		return false; /* a request that was under way when another one stopped us */
	if (s->locked.mode == SEND_RUNS)
		s->locked.delay_ms = 0;
	wait_longer_locked(s);
	s->locked.error = error;
	snprintf(s->locked.suspect, sizeof(s->locked.suspect), "%s", key ? key : "");
	s->locked.suspect_rests = false;
	snprintf(s->locked.stats.why, sizeof(s->locked.stats.why), "%s", bucket_why());
	s->locked.stats.stopped = true;
	s->locked.stats.error = error;
	s->locked.stats.stops++;
	send_tell_all_locked(s);
	return news;
}

static void stop(struct sends *s, int error, const char *key)
{
	lock_take(&s->lock);
	bool news = stop_locked(s, error, key);
	lock_drop(&s->lock);
	if (news)
		log_error("send: stopped; what is pending is kept and sent as soon as the bucket takes it "
			  "error=%s why=%s", strerror(-error), bucket_why());
}

/* key: what was answered, or NULL. */
static void resume(struct sends *s, const char *key)
{
	char suspect[KEY_BYTES_MAX + 1] = "";

	lock_take(&s->lock);
	bool news = s->locked.mode == SEND_TRIES;
	if (news) {
		if (key && s->locked.suspect_rests && strcmp(key, s->locked.suspect))
			memcpy(suspect, s->locked.suspect, sizeof(suspect));
		s->locked.mode = SEND_RUNS;
		s->locked.error = 0;
		s->locked.suspect[0] = '\0';
		s->locked.stats.why[0] = '\0';
		s->locked.stats.stopped = false;
		s->locked.stats.error = 0;
		send_again_locked(s);
	}
	lock_drop(&s->lock);
	if (news)
		log_info("send: goes on");
	if (suspect[0])
		send_put_off(s, suspect, NULL);
}

void send_answer(struct sends *s, int error, const char *key)
{
	if (send_concerns_bucket(error)) {
		stop(s, error, key);
	} else if (error == -ECANCELED) {
		lock_take(&s->lock);
		s->locked.cancelled = true;
		send_tell_all_locked(s);
		lock_drop(&s->lock);
	} else if (error == 0 || error == -ENOENT || error == -ESTALE || error == -EINVAL ||
		   error == -ENOMSG) {
		resume(s, key);
	}
}

/* Is there anything left to do, now or later? On an error: yes. */
static bool has_pending(struct sends *s)
{
	AUTO_ABORT struct txn *txn = NULL;
	uint64_t count = 1;
	int r = txn_begin_look(s->flow->index, &txn);
	if (!r)
		r = pending_count(txn, &count);
	return r || count;
}

/* Work until something was answered. There may be nothing that may be tried: a bucket that was out of reach is
 * back then, but one that refused is not known to be mended while something waits for it. */
static void trial_locked(struct sends *s) REQUIRES(&s->lock);
static void trial_locked(struct sends *s)
{
	int r = 1;
	s->locked.mode = SEND_TRIES;
	send_again_locked(s);
	while (r && s->locked.mode == SEND_TRIES && !s->locked.stop && !s->locked.cancelled &&
	       clock_ms() >= s->locked.pause_ms)
		r = send_work_locked(s, true);
	if (s->locked.mode != SEND_TRIES)
		return;
	bool refused = s->locked.error != -EHOSTDOWN;
	lock_drop(&s->lock);
	if (!refused || !has_pending(s))
		resume(s, NULL);
	lock_take(&s->lock);
	if (s->locked.mode == SEND_TRIES)
		wait_longer_locked(s);
}

void send_try_locked(struct sends *s)
{
	char suspect[KEY_BYTES_MAX + 1];

	s->locked.trying = true;
	snprintf(suspect, sizeof(suspect), "%s", s->locked.suspect_rests ? "" : s->locked.suspect);
	lock_drop(&s->lock);
	int r = bucket_probe(s->flow->bucket);
	if (r == -ECANCELED)
		send_answer(s, r, NULL);
	else if (r) /* whatever it is: with it, nothing can be sent */
		stop(s, send_concerns_bucket(r) ? r : -EHOSTDOWN, NULL);
	else if (suspect[0])
		put_off(s, suspect, NULL, SUSPECT_NS);
	lock_take(&s->lock);
	s->locked.suspect_rests |= !r && suspect[0];
	if (!r)
		trial_locked(s);
	s->locked.trying = false;
	wakeup_all(&s->work);
}

/* -- the index -- */

void send_index_failed(struct sends *s, int error)
{
	lock_take(&s->lock);
	bool news = !s->locked.pause_delay_ms;
	int64_t delay = s->locked.pause_delay_ms * 2;
	delay = delay < PAUSE_MS ? PAUSE_MS : delay > PAUSE_MS_MAX ? PAUSE_MS_MAX : delay;
	if (clock_ms() >= s->locked.pause_ms)
		s->locked.pause_delay_ms = delay;
	s->locked.pause_ms = clock_ms() + s->locked.pause_delay_ms;
	send_again_locked(s);
	lock_drop(&s->lock);
	if (news)
		log_error("send: the index cannot be used, nothing is sent until it can error=%s",
			  strerror(-error));
}

void send_index_works(struct sends *s)
{
	lock_take(&s->lock);
	bool news = s->locked.pause_delay_ms != 0;
	s->locked.pause_delay_ms = 0;
	lock_drop(&s->lock);
	if (news)
		log_info("send: the index can be used again");
}

/* -- one key -- */

void send_count(struct sends *s, const struct put_job *job)
{
	lock_take(&s->lock);
	if (job->how == PUT_BLOB) {
		s->locked.stats.puts++;
		if (job->node.size <= s->flow->config.part_size_bytes) /* else its parts were counted */
			s->locked.stats.bytes += job->node.size;
	} else if (job->how != PUT_THERE) {
		s->locked.stats.copies++;
	}
	lock_drop(&s->lock);
	failures_forget(s->flow->failures, job->wish.key);
}

void send_log_failure(struct sends *s, const char *key, int error, const char *why)
{
	lock_take(&s->lock);
	s->locked.stats.failures++;
	bool tell = !s->locked.told_ms || clock_ms() - s->locked.told_ms >= TELL_MS;
	uint64_t untold = s->locked.untold;
	s->locked.untold = tell ? 0 : untold + 1;
	if (tell)
		s->locked.told_ms = clock_ms();
	lock_drop(&s->lock);
	failures_note(s->flow->failures, key, error, why);
	if (tell)
		log_warn("send: failed, will be tried again key=%s error=%s why=%s others_failed=%" PRIu64,
			 key, strerror(-error), why, untold);
	else
		log_debug("send: failed, will be tried again key=%s error=%s why=%s", key,
			  strerror(-error), why);
}

/* The record gets a new transaction by this. It says fresh no more: a request was made for it, and want_absent would
 * take it for one that never can have been sent. */
static int put_off_in(struct txn *txn, const char *key, const struct pending_record *wish, int64_t most_ns)
{
	struct pending_record record;
	int r = pending_get(txn, key, &record);
	if (r)
		return r == -ENOENT ? 0 : r;
	if (wish && (record.want != wish->want || record.ino != wish->ino || record.version != wish->version))
		return 0;
	if (record.attempts < UINT32_MAX)
		record.attempts++;
	int64_t delay = send_delay_ns(record.attempts);
	record.retry_ns = clock_wall_ns() + (delay < most_ns ? delay : most_ns);
	record.fresh = false;
	return pending_put(txn, &record);
}

static void put_off(struct sends *s, const char *key, const struct pending_record *wish, int64_t most_ns)
{
	AUTO_ABORT struct txn *txn = NULL;

	int r = txn_begin_write(s->flow->index, &txn);
	if (!r)
		r = put_off_in(txn, key, wish, most_ns);
	if (!r)
		r = txn_commit(&txn);
	if (r) {
		send_index_failed(s, r);
		return;
	}
	checkpoint_kick(s->flow->checkpoints);
	lock_take(&s->lock);
	send_again_locked(s);
	lock_drop(&s->lock);
}

int send_put_off_in(struct txn *txn, const char *key)
{
	return put_off_in(txn, key, NULL, RETRY_NS_MAX);
}

void send_put_off(struct sends *s, const char *key, const struct pending_record *wish)
{
	put_off(s, key, wish, RETRY_NS_MAX);
}
