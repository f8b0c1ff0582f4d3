/* One range request: from a queue to the end of it.
 *
 *   room in the cache → a blob, where the node has none → key from the index → bucket_get, If-Match
 *   → sink: bytes into the blob, then present, then the waiters that are covered → end
 * and where the whole object comes and its sum is known:
 *   → sink: bytes into the blob → compared with the sum → present → all waiters → end
 *
 * A task is current while its node is REMOTE at the version, and in the blob, that the task began with. Everybody else who
 * changes a content does so under node.lock, so each look at the node checks that first; a task that is not current
 * any more writes at most into a blob that nobody reads, and touches nothing else.
 *
 * From the moment that room was taken, the bytes belong to the node's blob (locked.reserved): whoever takes the blob away
 * meanwhile gives them back with it, and the task's end gives back only what it did not write.
 *
 * A request that fails: the object may have another key since (renamed), may have been replaced behind our back, or this mount
 * itself may be at work on it; only then it is the reader's error. */
#include "failures.h"
#include "fill_internal.h"

#include <errno.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"

enum { TRIES_MAX = 8, PAUSE_MS = 250, DISK_WAIT_MS = 3000 };

bool fill_task_current(const struct fill_task *task, const struct node *node)
{
	if (node->locked.gone || node->locked.draft || node->locked.content != CONTENT_REMOTE ||
	    node->locked.version != task->version)
		return false;
	if (task->open && (task->open->id != node->locked.blob))
		return false;
	return !task->etag[0] || strcmp(task->etag, node->locked.etag) == 0;
}

/* The answer's headers against what is known. */
static int check_answer(struct fill_task *task, struct node *node, const struct object *object)
{
	char *etag = node->locked.etag;

	task->outdated = !fill_task_current(task, node);
	if (task->outdated)
		return -ECANCELED;
	if (object->size_bytes != node->locked.size)
		return -ESTALE;
	if (object->etag[0] && etag[0] && strcmp(object->etag, etag) != 0)
		return -ESTALE;
	if (!etag[0])
		memcpy(etag, object->etag, sizeof(node->locked.etag));
	memcpy(task->etag, etag, sizeof(task->etag));
	if (object->sum.kind != SUM_NONE || task->at == task->start)
		task->fill->sum = object->sum;
	if (task->at == task->start)
		task->held = task->whole && object->sum.kind != SUM_NONE;
	if (!task->fill->attrs_known) {
		task->fill->attrs = object->attrs;
		task->fill->attrs_known = true;
	}
	return 0;
}

static int task_begin(struct sink *sink, const struct object *object)
{
	struct fill_task *task = container_of(sink, struct fill_task, sink);
	struct node *node = task->fill->node;

	_Static_assert((int)NODE_ETAG_BYTES == (int)ETAG_BYTES, "etags are copied whole");
	lock_take(&node->lock);
	int error = check_answer(task, node, object);
	lock_drop(&node->lock);
	return error;
}

static void covered(struct fill *fill, const struct node *node, struct list *ready)
{
	for (struct list *link = fill->waits.next, *next; link != &fill->waits; link = next) {
		struct fill_wait *wait = container_of(link, struct fill_wait, link);
		next = link->next;
		if (!node_covers_locked(node, wait->start, wait->end) ||
		    (wait->proved && fill_check_due_locked(fill, node)))
			continue;
		wait->error = 0;
		list_remove(link);
		list_append(ready, link);
	}
}

static int task_take(struct sink *sink, uint64_t offset, const void *bytes, size_t length)
{
	struct fill_task *task = container_of(sink, struct fill_task, sink);
	struct node *node = task->fill->node;
	struct list ready;

	if (offset != task->at || length > task->end - offset)
		return -EPROTO;
	int error = blob_write(task->open->fd, offset, bytes, length);
	if (error)
		return error;

	list_init(&ready);
	lock_take(&node->lock);
	task->outdated = !fill_task_current(task, node);
	error = task->outdated ? -ECANCELED : 0;
	if (!error && !task->held)
		error = ranges_add(&node->locked.present, offset, offset + length);
	if (!error)
		task->at = offset + length;
	if (!error && !task->held) {
		task->fill->unrecorded += length;
		covered(task->fill, node, &ready);
	}
	lock_drop(&node->lock);
	fill_answer(&ready);
	return error;
}

void fill_task_init(struct fill *fill, struct fill_task *task)
{
	task->fill = fill;
	task->sink.begin = task_begin;
	task->sink.take = task_take;
	list_init(&task->queued.link);
}

/* A blob that exists is opened; a missing one is made. -EAGAIN: the node lost it, look again. */
static int blob_ready_locked(struct fill *fill, struct node *node) REQUIRES(&node->lock);
static int blob_ready_locked(struct fill *fill, struct node *node)
{
	struct flow *flow = node->flow;
	uint64_t id;
	int fd;

	if (node->locked.open)
		return 0;
	if (node->locked.blob)
		return node_open_blob_locked(node);
	int error = index_new_blob(flow->index, &id);
	if (!error)
		error = blob_create(flow->blobs, id, &fd);
	if (!error)
		error = open_blob_new(id, fd, &node->locked.open);
	if (error)
		return error;
	node->locked.blob = node->locked.published_blob = fill->made = id;
	return 0;
}

static int admit_locked(struct fill_task *task, struct node *node) REQUIRES(&node->lock);
static int admit_locked(struct fill_task *task, struct node *node)
{
	int error = -EAGAIN;

	task->outdated = !fill_task_current(task, node);
	if (task->outdated)
		return -ECANCELED;
	for (int tries = 0; error == -EAGAIN && tries < 3; tries++)
		error = blob_ready_locked(task->fill, node);
	if (error)
		return error;
	task->open = open_blob_get(node->locked.open);
	node->locked.reserved += fill_cost(task->start, task->end);
	return 0;
}

/* Returns early when the fills stop. */
static void pause_for(struct fills *f, int64_t ms)
{
	int64_t until = clock_ms() + ms;

	lock_take(&f->lock);
	while (!f->stopping && wakeup_wait_until(&f->stopped, &f->lock, until))
		;
	lock_drop(&f->lock);
}

/* The disk is full though there was room by our count: what can be evicted makes way, which takes a moment. False:
 * it has taken too long. */
static bool wait_for_disk(struct fill_task *task, int64_t until_ms)
{
	struct fills *f = task->fill->fills;

	if (f->stopping || clock_ms() >= until_ms)
		return false;
	space_disk_full(f->flow->evicts);
	pause_for(f, PAUSE_MS);
	return true;
}

/* Room and a blob. Readahead that finds no room is not worth waiting for: -EAGAIN, for those who joined it. */
static int admit(struct fill_task *task)
{
	struct node *node = task->fill->node;
	struct flow *flow = node->flow;
	uint64_t bytes = fill_cost(task->start, task->end);
	int error = 0;

	lock_take(&node->lock);
	bool ahead = task->ahead;
	lock_drop(&node->lock);
	if (!ahead)
		error = space_reserve(flow->evicts, bytes, clock_ms() + flow->config.io_timeout_ms);
	else if (!space_try(flow->evicts, bytes))
		error = -EAGAIN;
	if (error)
		return error;

	int64_t until_ms = clock_ms() + DISK_WAIT_MS;
	do {
		lock_take(&node->lock);
		error = admit_locked(task, node);
		lock_drop(&node->lock);
	} while (error == -ENOSPC && wait_for_disk(task, until_ms));
	if (error)
		space_release(flow->evicts, bytes);
	return error;
}

static int get(struct fill_task *task, const char *key)
{
	struct flow *flow = task->fill->fills->flow;
	int64_t until_ms = clock_ms() + DISK_WAIT_MS;
	int error;

	do {
		struct get_request request = {
			.key = key,
			.offset = task->at,
			/* without a range: some servers tell the sum of the whole only then */
			.length = task->whole && task->at == 0 ? 0 : task->end - task->at,
			.etag = task->etag,
			.sink = &task->sink,
		};
		error = bucket_get(flow->bucket, &request);
	} while (error == -ENOSPC && wait_for_disk(task, until_ms));
	return !error && task->at != task->end ? -EPROTO : error;
}

/* Wrong bytes are fetched once more. */
static int get_right(struct fill_task *task, const char *key)
{
	unsigned tries = 0;
	int error;

	do {
		error = get(task, key);
		if (!error && task->held)
			error = fill_check_arrived(task, key, &tries);
		if (error && task->held)
			task->at = task->start; /* nothing of it is there */
	} while (error == -EAGAIN && tries);
	return error;
}

static bool may_be_replaced(int error)
{
	return error == -ESTALE || error == -EINVAL || error == -EPROTO;
}

static int fetch(struct fill_task *task, char key[KEY_BYTES_MAX + 1])
{
	char now[KEY_BYTES_MAX + 1];
	int error = fill_record_key(task, key);

	for (int tries = 0; !error && tries < TRIES_MAX; tries++) {
		error = get_right(task, key);
		if (error != -ENOENT && !may_be_replaced(error))
			return error;
		int gone = fill_record_key(task, now);
		if (gone)
			return gone;
		if (strcmp(now, key) != 0) {
			memcpy(key, now, sizeof(now));
			error = 0;
		} else if (error != -ENOENT) {
			error = fill_record_replaced(task, key);
			if (error != -EAGAIN)
				return error;
			pause_for(task->fill->fills, PAUSE_MS);
			error = task->fill->fills->stopping ? -ECANCELED : 0;
		}
	}
	return error ? error : -EIO;
}

/* A bucket that is away fails every read: one line in a while says so. */
static void complain(const struct fill_task *task, const char *key, int error)
{
	static _Atomic int64_t next_ms;
	bool whole_bucket = error == -EHOSTDOWN || error == -EACCES || error == -ENODEV;
	bool local = error == -ENOSPC || error == -ENOMEM || error == -EIO;
	int64_t now = clock_ms(), due = next_ms;

	if (error == -ESTALE || error == -EBADMSG || error == -ECANCELED || error == -EAGAIN)
		return;
	if (!whole_bucket)
		failures_note(task->fill->fills->flow->failures, key, error, local ? strerror(-error) : bucket_why());
	if (whole_bucket && (now < due || !atomic_compare_exchange_strong(&next_ms, &due, now + 5000)))
		return;
	log_warn("fill: read failed ino=%llu key=%s offset=%llu error=%s%s%s",
		 (unsigned long long)node_ino(task->fill->node), key, (unsigned long long)task->at,
		 strerror(-error), local ? "" : " why=", local ? "" : bucket_why());
}

/* Who waits still, and what becomes of them. A task that was cancelled though it is current was cancelled by the
 * bucket, which is about to stop. */
static void settle_locked(struct fill_task *task, struct node *node, int error, struct list *ready)
	REQUIRES(&node->lock);
static void settle_locked(struct fill_task *task, struct node *node, int error, struct list *ready)
{
	struct fill *fill = task->fill;
	bool current = fill_task_current(task, node);

	if (fill->fills->stopping)
		fill_fail_locked(fill, 0, UINT64_MAX, -ECANCELED, ready);
	else if (node->locked.content != CONTENT_REMOTE || node->locked.draft || node->locked.gone)
		fill_fail_locked(fill, 0, UINT64_MAX, 0, ready);
	else if (error && error != -EAGAIN && !task->outdated && current)
		fill_fail_locked(fill, task->at, task->end, error == -ECANCELED ? error : -EIO, ready);
	covered(fill, node, ready);
	open_blob_put(&task->open); /* its place may be planned for something else at once */
	if (!list_empty(&fill->waits))
		fill_plan_locked(fill, node);
}

/* All of it came and is right: it becomes present at once. */
static int show_locked(struct fill_task *task, struct node *node) REQUIRES(&node->lock);
static int show_locked(struct fill_task *task, struct node *node)
{
	if (!fill_task_current(task, node))
		return -ECANCELED;
	int error = ranges_add(&node->locked.present, task->start, task->end);
	if (error)
		return error;
	task->fill->unrecorded += task->end - task->start;
	task->fill->proved = true;
	return 0;
}

static bool busy(const struct fill *fill)
{
	for (size_t i = 0; i < FILL_TASKS; i++)
		if (fill->tasks[i].busy)
			return true;
	return false;
}

/* True: it was the last task, and the fill is the caller's to free. */
static bool end_locked(struct fill_task *task, struct node *node, int error, struct list *ready)
	REQUIRES(&node->lock);
static bool end_locked(struct fill_task *task, struct node *node, int error, struct list *ready)
{
	struct fill *fill = task->fill;

	uint64_t unused = fill_cost(task->at, task->end);
	uint64_t *account = fill_record_account(node, task->open ? task->open->id : 0);
	if (account && unused) {
		*account -= unused;
		space_release(node->flow->evicts, unused);
	}
	task->busy = false;
	if (task->check)
		fill_check_end_locked(task, node, error);
	else if (task->held && !error)
		error = show_locked(task, node);
	settle_locked(task, node, error, ready);
	if (busy(fill)) {
		if (fill->unrecorded >= FILL_RECORD_EVERY && fill_task_current(task, node)) {
			error = fill_record_locked(fill, node);
			fill->unrecorded = error ? 1 : 0;
		}
		return false;
	}
	if (!fill->fills->stopping && fill_check_due_locked(fill, node)) {
		fill_check_begin_locked(fill, node, task);
		return false;
	}
	fill_record_rest_locked(fill, node);
	node->locked.fill = NULL;
	return true;
}

static void fill_free(struct fill *fill)
{
	struct fills *f = fill->fills;
	struct node *node = fill->node;

	free(fill);
	node_put(&node);
	lock_take(&f->lock);
	if (--f->locked.fills == 0 && f->stopping)
		wakeup_all(&f->work);
	lock_drop(&f->lock);
}

/* Another readahead may run in its place. */
static void uncount(struct fill_task *task)
{
	struct fills *f = task->fill->fills;

	lock_take(&f->lock);
	if (task->queued.counted) {
		f->locked.ahead_running--;
		task->queued.counted = false;
		wakeup_one(&f->work);
	}
	lock_drop(&f->lock);
}

static int run(struct fill_task *task, char key[KEY_BYTES_MAX + 1])
{
	if (task->fill->fills->stopping)
		return -ECANCELED;
	if (task->check)
		return fill_check_run(task);
	int error = admit(task);
	return error ? error : fetch(task, key);
}

void fill_task_run(struct fill_task *task)
{
	struct fill *fill = task->fill;
	struct flow *flow = fill->fills->flow;
	struct node *node = fill->node;
	uint64_t ino = node_ino(node);
	char key[KEY_BYTES_MAX + 1] = "";
	struct list ready;

	int error = run(task, key);
	if (error)
		complain(task, key, error);
	else
		failures_forget(flow->failures, key);
	uncount(task);

	list_init(&ready);
	lock_take(&node->lock);
	bool last = end_locked(task, node, error, &ready);
	bool changed = fill->changed;
	fill->changed = false;
	lock_drop(&node->lock);
	if (changed && flow->changed)
		flow->changed(flow->changed_arg, ino);
	fill_answer(&ready);
	if (error == -ENOSPC) /* once more: what was given up just now is what the evictor needs to commit */
		space_disk_full(flow->evicts);
	if (last)
		fill_free(fill);
}
