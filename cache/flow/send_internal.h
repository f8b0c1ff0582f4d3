/* What the sender's files share: threads (send.c), which key comes next (send_choose.c), what a failure means
 * (send_state.c), one PUT or copy (send_put.c), batches of deletes (send_remove.c), names that change places
 * (send_untie.c). Multipart uploads: stream_internal.h. */
#ifndef TOOTFS_SEND_INTERNAL_H
#define TOOTFS_SEND_INTERNAL_H

#include <errno.h>
#include "cache/base/list.h"
#include "cache/base/table.h"
#include "cache/index/pending.h"
#include "send.h"

/* A key that was chosen. At most one exists for a key, so at most one request is under way for it. */
struct claim {
	struct table_link link; /* in sends.locked.claims; id = send_hash(key) */
	struct list list;       /* in sends.locked.ready, or in its worker's batch */
	bool flying;            /* a worker has it */
	bool missed;            /* somebody else wanted the key meanwhile: look again afterwards */
	enum { CLAIM_PUT, CLAIM_ABSENT, CLAIM_KNOT } kind; /* what the scan saw; it is read again */
	char key[];
};

/* The scan's place in the table of wishes. */
struct send_round {
	bool scanning;         /* by one worker, which then owns position and found */
	bool midway;           /* the end of the table is not reached yet */
	bool again;            /* something changed: another round */
	bool found;            /* in this round */
	int64_t spent_ms, not_before_ms;
	int64_t retry_ns;      /* the earliest retry that was passed over; wall clock */
	char position[KEY_BYTES_MAX + 1];
};

enum send_mode { SEND_RUNS, SEND_STOPPED, SEND_TRIES };

struct send_waiter {
	struct list link;
	uint64_t ino;
	bool hit;
	struct wakeup wake;
};

struct sends {
	/* fixed */
	struct flow *flow;
	pthread_t *threads;
	unsigned threads_count; /* that run */

	struct lock lock; /* a leaf */
	struct wakeup work;
	struct {
		bool stop;
		bool cancelled; /* the bucket was stopped: nothing can be done but to wait for stop */
		struct table claims;
		struct list ready; /* claims that no worker has yet */
		struct send_round round;
		int64_t hurry_ns; /* failures before this do not count (wall clock) */
		/* send_state.c */
		enum send_mode mode;
		bool trying;   /* a worker looks whether the bucket is back */
		int error;     /* why it stopped */
		int64_t try_ms, delay_ms;
		char suspect[KEY_BYTES_MAX + 1];
		bool suspect_rests; /* it was put off */
		int64_t pause_ms, pause_delay_ms; /* the index failed */
		int64_t told_ms; /* when a failure of one key was logged last */
		uint64_t untold;
		/* multipart.c */
		struct list streams, leftovers;
		unsigned leftovers_running;
		struct list waiters;
		struct send_stats stats;
	} locked;
};

/* -- send.c -- */
/* One piece of work. 0 = there is none, and the lock was not dropped meanwhile. */
int send_work_locked(struct sends *s, bool parts_first) REQUIRES(&s->lock);
/* The wishes of this node changed. */
void send_tell(struct sends *s, uint64_t ino);
void send_tell_all_locked(struct sends *s) REQUIRES(&s->lock);

/* -- send_choose.c -- */
/* What a wish is judged by. covered is read before the transaction begins. */
struct send_look {
	uint64_t covered;
	int64_t now_ns, hurry_ns;
	bool dots_wait; /* names that begin with '.' are not sent at once */
};
enum send_verdict {
	SEND_IT,
	SEND_LATER, /* not covered, or its retry time has not come */
	SEND_HELD,
	SEND_FREED, /* its hold is over, which must be recorded and covered first */
};
uint64_t send_hash(const char *key);
/* Before the transaction that reads what is judged. */
void send_look(struct sends *s, struct send_look *look);
int send_judge(struct txn *txn, const struct send_look *look, struct pending_record *record,
	       enum send_verdict *out) MUST_CHECK;
/* 1 = *batch has claims, or asking again may help; 0 = nothing. */
int send_choose_locked(struct sends *s, struct list *batch) REQUIRES(&s->lock);
void send_release(struct sends *s, struct list *batch);
/* This key before others, where it is not chosen yet. */
void send_prefer(struct sends *s, const char *key);
void send_again_locked(struct sends *s) REQUIRES(&s->lock);
/* When to look again though nobody woke us; clock_ms(). */
int64_t send_due_ms_locked(const struct sends *s) REQUIRES(&s->lock);

/* -- send_state.c -- */
static inline bool send_concerns_bucket(int error)
{
	return error == -EACCES || error == -ENODEV || error == -EHOSTDOWN;
}
/* After every request: what its result says of the bucket. */
void send_answer(struct sends *s, int error, const char *key);
/* May a worker begin something now? */
bool send_may_work_locked(const struct sends *s) REQUIRES(&s->lock);
bool send_may_try_locked(const struct sends *s) REQUIRES(&s->lock);
void send_try_locked(struct sends *s) REQUIRES(&s->lock);
/* The index or memory failed: everything rests for a moment. */
void send_index_failed(struct sends *s, int error);
void send_index_works(struct sends *s);
int64_t send_delay_ns(uint32_t attempts);
/* A failure that concerns this wish alone: recorded, tried again later. wish NULL = whatever is wanted. */
void send_put_off(struct sends *s, const char *key, const struct pending_record *wish);
int send_put_off_in(struct txn *txn, const char *key) MUST_CHECK; /* whatever is wanted */
/* This job is done. */
struct put_job;
void send_count(struct sends *s, const struct put_job *job);
/* Counts it, and logs it unless another one was logged just now. */
void send_log_failure(struct sends *s, const char *key, int error, const char *why);

/* -- send_put.c -- */
struct put_job {
	struct pending_record wish;
	struct node_record node;
	char source[KEY_BYTES_MAX + 1];
	bool lives_here; /* the node's ETag is that of the object at this key */
	bool with_attrs;
	struct object_attrs attrs; /* as sent */
	enum { PUT_NOTHING, PUT_ABSENT, PUT_BLOB, PUT_COPY, PUT_ATTRS, PUT_THERE, PUT_NOWHERE } how;
	struct stream *done; /* its upload is completed; the record of it is still there */
	bool bucket_failed; /* bucket_why() speaks of this job */
};
void send_put(struct sends *s, struct list *batch);
void send_attrs_of(const struct node_record *record, struct object_attrs *out);
/* Does the index still want what the job is about to do? */
int send_still_wanted(struct sends *s, const struct put_job *job, bool *out) MUST_CHECK;

/* -- send_remove.c -- */
void send_remove(struct sends *s, struct list *batch);

/* -- send_untie.c -- */
/* Does this held record wait for itself, and is it the one to be untied? */
int send_is_knot(struct txn *txn, const struct pending_record *record, bool *out) MUST_CHECK;
void send_untie(struct sends *s, const char *key);

#endif
