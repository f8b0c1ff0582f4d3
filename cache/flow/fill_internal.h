/* What the fill's own files share: the queues (fill.c), which ranges to ask for (fill_plan.c), one range
 * request (fill_task.c), whether the bytes are right (fill_check.c), and what is written to the index (fill_record.c). */
#ifndef TOOTFS_FILL_INTERNAL_H
#define TOOTFS_FILL_INTERNAL_H

#include "checkpoint.h"
#include "evict.h"
#include "fill.h"

enum {
	FILL_TASKS = 4,       /* of one node at a time */
	FILL_TASKS_AHEAD = 3, /* of those nobody waits for: one is kept free for a seek */
	FILL_ALIGN = 64 << 10,
	FILL_SEEK = 512 << 10, /* after a seek */
	FILL_FIRST = 1 << 20,  /* at the start of a file, which is mostly read on */
	FILL_TASK_MAX = 4 << 20,
	FILL_RECORD_EVERY = 64 << 20,
	FILL_SUSPECTS = 32,
};

struct fill_task {
	struct fill *fill; /* fixed, as is sink */
	struct sink sink;
	struct {
		struct list link;
		bool counted; /* in fills.locked.ahead_running */
	} queued; /* fills.lock */
	/* node.lock for the planner; the worker that runs it reads them without */
	bool busy;  /* queued or running */
	bool ahead; /* nobody waits for it */
	bool outdated; /* the node was seen to want something else */
	bool check;    /* brings nothing: reads back what is there */
	bool whole;    /* brings all of the object */
	bool held;     /* … and none of it is present before it is proved */
	uint64_t start, end, at; /* [start, at) is written */
	uint64_t version;        /* what it fetches; current as long as the node agrees */
	char etag[ETAG_BYTES];
	struct open_blob *open; /* where to, or NULL before it runs */
	struct sum wrong;       /* what came the first time; its worker's own */
};

/* Lives while it has waiters or busy tasks, and holds one reference of its node. */
struct fill {
	struct fills *fills; /* fixed */
	struct node *node;
	/* node.lock */
	struct list waits;
	struct fill_task tasks[FILL_TASKS];
	uint64_t made;       /* a blob that no record names yet, or 0 */
	uint64_t unrecorded; /* bytes written since the last record */
	uint64_t recorded;   /* what ages says the blob takes */
	bool attrs_known;
	struct object_attrs attrs; /* of the first answer */
	struct sum sum; /* what the content must come to; SUM_NONE = nobody knows */
	bool proved;    /* it does */
	bool changed; /* flow->changed is to be called */
};

struct fills {
	struct flow *flow;
	pthread_t *threads;
	unsigned threads_count, ahead_max;
	atomic_bool stopping;

	struct lock lock; /* leaf */
	struct wakeup work, stopped;
	struct {
		struct list urgent, ahead; /* of fill_task */
		struct list late;          /* of fill_wait: to be answered by a worker */
		unsigned ahead_running, fills;
		uint64_t suspects[FILL_SUSPECTS]; /* fill_check.c; inos, 0 = free */
		unsigned suspects_next;
	} locked;
};

/* -- fill.c -- */
/* The node's fill, made where there is none. NULL: no memory, or stopping. */
struct fill *fill_get_locked(struct fills *f, struct node *node) REQUIRES(&node->lock);
void fill_queue(struct fill_task *task, bool ahead);
/* A queued or running readahead task that somebody waits for now. */
void fill_promote(struct fill_task *task);
/* Calls done() of all. Nothing held. */
void fill_answer(struct list *waits);
/* Takes the waiters that overlap [start, end) over to ready. */
void fill_fail_locked(struct fill *fill, uint64_t start, uint64_t end, int error, struct list *ready);

/* -- fill_plan.c -- */
/* Makes tasks for what is waited for, as many as may be. */
void fill_plan_locked(struct fill *fill, struct node *node) REQUIRES(&node->lock);
/* Does the bucket have to be asked for [start, end)? */
bool fill_needed(const struct node *node, uint64_t start, uint64_t end);

/* -- fill_task.c -- */
void fill_task_init(struct fill *fill, struct fill_task *task);
/* By a worker; the task, and with the last one its fill, is over then. */
void fill_task_run(struct fill_task *task);
/* Does the node still want what this task fetches, where it puts it? */
bool fill_task_current(const struct fill_task *task, const struct node *node);
/* What a range costs; neighbours add up to the cost of the whole. */
static inline uint64_t fill_cost(uint64_t start, uint64_t end)
{
	return space_of(end) - space_of(start);
}

/* -- fill_check.c -- */
/* All of a held task arrived: 0 = it is right, or nothing says otherwise; -EAGAIN: it is not, fetch it again; -EBADMSG
 * (logged): it is not, again. *tries counts. */
int fill_check_arrived(struct fill_task *task, const char *key, unsigned *tries) MUST_CHECK;
/* All is present, and has to be read back before it is CLEAN. */
bool fill_check_due_locked(const struct fill *fill, const struct node *node);
/* A free task of the fill becomes the check. */
void fill_check_begin_locked(struct fill *fill, struct node *node, struct fill_task *task) REQUIRES(&node->lock);
/* By a worker: -EBADMSG (logged) = the bytes are not the object's. */
int fill_check_run(struct fill_task *task) MUST_CHECK;
/* What that means for the node, while it is still the one that was checked. */
void fill_check_end_locked(struct fill_task *task, struct node *node, int error) REQUIRES(&node->lock);
/* It brought wrong bytes before: all of it is fetched and proved before anybody gets any. */
bool fill_is_suspect(struct fills *f, uint64_t ino);

/* -- fill_record.c -- */
/* The key to ask for. -ECANCELED: the index has another content by now. */
int fill_record_key(const struct fill_task *task, char out[KEY_BYTES_MAX + 1]) MUST_CHECK;
/* Where the bytes of this blob are accounted, or NULL: it is somebody else's to release. */
uint64_t *fill_record_account(struct node *node, uint64_t blob);
/* What is there goes into the index: CLEAN when it is all. */
int fill_record_locked(struct fill *fill, struct node *node) REQUIRES(&node->lock) MUST_CHECK;
/* As if nothing had ever been fetched: the blob goes, and who has the file open has read another one. */
int fill_record_forget_locked(struct fill *fill, struct node *node) REQUIRES(&node->lock) MUST_CHECK;
/* The fill rests: the same where there is something to say, and a blob that no record names is thrown away. */
void fill_record_rest_locked(struct fill *fill, struct node *node) REQUIRES(&node->lock);
/* The bucket's object does not fit: -ESTALE when it was replaced (the node is the new one's then, the waiters are answered),
 * -EAGAIN when this mount is changing it itself, -ECANCELED when the node has another content by now, -EBADMSG (logged) when it
 * fits nothing, else why it cannot be read. */
int fill_record_replaced(struct fill_task *task, const char *key) MUST_CHECK;

#endif
