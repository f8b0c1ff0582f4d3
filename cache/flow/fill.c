/* Fill: the queues, the workers, and who is answered.
 *
 *   fill_want_locked → plan (fill_plan.c) makes tasks → urgent or ahead queue → a worker runs the task (fill_task.c)
 *   → its sink answers the waiters that are covered → its end records, plans again, or lets the fill go
 *
 * A waiter is in one place: in its fill's list (node.lock), in `late` (fills.lock), or on a worker's own list just
 * before done(). A fill that has waiters has a busy task: plan makes one, and each task's end plans again or
 * fails the waiters. So nothing waits for nobody.
 *
 * Stop: no new fill is made; tasks that are still queued end with -ECANCELED as they are taken; workers leave when there
 * is no fill any more. A fill that missed the flag finds the workers still there, because it is counted. */
#include "fill_internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"

void fill_answer(struct list *waits)
{
	struct list *link;

	while ((link = list_shift(waits))) {
		struct fill_wait *wait = container_of(link, struct fill_wait, link);
		wait->done(wait, wait->error);
	}
}

static struct fill_task *take_task(struct list *queue)
{
	struct list *link = list_shift(queue);

	return link ? container_of(link, struct fill_task, queued.link) : NULL;
}

/* Readahead leaves a part of the workers free, so that somebody who waits finds one. */
static struct fill_task *next_task_locked(struct fills *f) REQUIRES(&f->lock);
static struct fill_task *next_task_locked(struct fills *f)
{
	struct fill_task *task = take_task(&f->locked.urgent);

	if (task)
		return task;
	if (f->locked.ahead_running >= f->ahead_max && !f->stopping)
		return NULL;
	task = take_task(&f->locked.ahead);
	if (task) {
		task->queued.counted = true;
		f->locked.ahead_running++;
	}
	return task;
}

static void *work(void *arg)
{
	struct fills *f = arg;

	lock_take(&f->lock);
	for (;;) {
		struct list late;
		struct fill_task *task = NULL;

		list_init(&late);
		list_splice(&late, &f->locked.late);
		if (list_empty(&late))
			task = next_task_locked(f);
		if (!task && list_empty(&late)) {
			if (f->stopping && f->locked.fills == 0)
				break;
			wakeup_wait(&f->work, &f->lock);
			continue;
		}
		lock_drop(&f->lock);
		fill_answer(&late);
		if (task)
			fill_task_run(task);
		lock_take(&f->lock);
	}
	lock_drop(&f->lock);
	return NULL;
}

int fills_open(struct flow *flow, struct fills **out)
{
	struct fills *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	assert(flow->config.downloads > 0);
	f->flow = flow;
	f->threads = calloc(flow->config.downloads, sizeof(*f->threads));
	if (!f->threads) {
		free(f);
		return -ENOMEM;
	}
	f->ahead_max = flow->config.downloads - (flow->config.downloads + 3) / 4;
	if (f->ahead_max == 0)
		f->ahead_max = 1;
	lock_init(&f->lock);
	wakeup_init(&f->work);
	wakeup_init(&f->stopped);
	list_init(&f->locked.urgent);
	list_init(&f->locked.ahead);
	list_init(&f->locked.late);
	*out = f;
	return 0;
}

int fills_start(struct fills *f)
{
	f->stopping = false;
	for (unsigned i = 0; i < f->flow->config.downloads; i++) {
		int error = thread_start(&f->threads[i], "fill", work, f);
		if (error) {
			fills_stop(f);
			return error;
		}
		f->threads_count++;
	}
	return 0;
}

static void answer_late(struct fills *f)
{
	struct list late;

	list_init(&late);
	lock_take(&f->lock);
	list_splice(&late, &f->locked.late);
	lock_drop(&f->lock);
	fill_answer(&late);
}

void fills_stop(struct fills *f)
{
	lock_take(&f->lock);
	f->stopping = true;
	wakeup_all(&f->work);
	wakeup_all(&f->stopped);
	lock_drop(&f->lock);
	for (unsigned i = 0; i < f->threads_count; i++)
		pthread_join(f->threads[i], NULL);
	f->threads_count = 0;
	answer_late(f);
}

void fills_close(struct fills **fp)
{
	struct fills *f = *fp;

	*fp = NULL;
	if (!f)
		return;
	answer_late(f);
	assert(f->threads_count == 0 && f->locked.fills == 0);
	wakeup_destroy(&f->work);
	wakeup_destroy(&f->stopped);
	lock_destroy(&f->lock);
	free(f->threads);
	free(f);
}

void fill_queue(struct fill_task *task, bool ahead)
{
	struct fills *f = task->fill->fills;

	lock_take(&f->lock);
	task->queued.counted = false;
	list_append(ahead ? &f->locked.ahead : &f->locked.urgent, &task->queued.link);
	wakeup_one(&f->work);
	lock_drop(&f->lock);
}

void fill_promote(struct fill_task *task)
{
	struct fills *f = task->fill->fills;

	lock_take(&f->lock);
	if (!list_empty(&task->queued.link)) {
		list_remove(&task->queued.link);
		list_append(&f->locked.urgent, &task->queued.link);
	} else if (task->queued.counted) {
		task->queued.counted = false;
		f->locked.ahead_running--;
	}
	wakeup_one(&f->work);
	lock_drop(&f->lock);
}

/* Opens the blob that is there, while the node has no fill: a blob that is lost is then noticed and forgotten. */
static bool blob_seen_locked(struct node *node) REQUIRES(&node->lock);
static bool blob_seen_locked(struct node *node)
{
	int error = 0;

	if (node->locked.blob && !node->locked.open)
		error = node_open_blob_locked(node);
	if (!error || error == -EAGAIN)
		return true;
	log_error("fill: cannot open a blob ino=%llu blob=%llu error=%s",
		  (unsigned long long)node_ino(node), (unsigned long long)node->locked.blob,
		  strerror(-error));
	return false;
}

static bool admit(struct fills *f)
{
	lock_take(&f->lock);
	bool admitted = !f->stopping;
	f->locked.fills += admitted;
	lock_drop(&f->lock);
	return admitted;
}

struct fill *fill_get_locked(struct fills *f, struct node *node)
{
	struct fill *fill = node->locked.fill;

	if (fill)
		return f->stopping ? NULL : fill;
	if (!blob_seen_locked(node))
		return NULL;
	fill = calloc(1, sizeof(*fill));
	if (!fill)
		return NULL;
	if (!admit(f)) {
		free(fill);
		return NULL;
	}
	fill->fills = f;
	fill->node = node_hold(node);
	fill->recorded = node->locked.reserved;
	list_init(&fill->waits);
	for (size_t i = 0; i < FILL_TASKS; i++)
		fill_task_init(fill, &fill->tasks[i]);
	node->locked.fill = fill;
	return fill;
}

void fill_fail_locked(struct fill *fill, uint64_t start, uint64_t end, int error, struct list *ready)
{
	for (struct list *link = fill->waits.next, *next; link != &fill->waits; link = next) {
		struct fill_wait *wait = container_of(link, struct fill_wait, link);
		next = link->next;
		if (wait->start >= end || wait->end <= start)
			continue;
		wait->error = error;
		list_remove(link);
		list_append(ready, link);
	}
}

/* -EINPROGRESS: done() will be called. Else the answer, and it will not. */
static int want_locked(struct fills *f, struct node *node, struct fill_wait *wait)
	REQUIRES(&node->lock);
static int want_locked(struct fills *f, struct node *node, struct fill_wait *wait)
{
	struct fill *due = node->locked.fill;

	if (!fill_needed(node, wait->start, wait->end)) {
		if (!wait->proved || !due || !fill_check_due_locked(due, node))
			return 0;
		list_append(&due->waits, &wait->link); /* one of its tasks is busy, and it ends with the check */
		return -EINPROGRESS;
	}
	struct fill *fill = fill_get_locked(f, node);
	if (!fill)
		return f->stopping ? -ECANCELED : -EIO;
	list_append(&fill->waits, &wait->link);
	fill_plan_locked(fill, node);
	return -EINPROGRESS;
}

void fill_want_locked(struct fills *f, struct node *node, struct fill_wait *wait)
{
	int error = want_locked(f, node, wait);

	if (error == -EINPROGRESS)
		return;
	wait->error = error;
	lock_take(&f->lock);
	list_append(&f->locked.late, &wait->link);
	wakeup_one(&f->work);
	lock_drop(&f->lock);
}

static bool take_out(struct list *waits, const struct fill_wait *wait)
{
	for (struct list *link = waits->next; link != waits; link = link->next) {
		if (link != &wait->link)
			continue;
		list_remove(link);
		return true;
	}
	return false;
}

/* Only compares: whoever is not in a list may be another thread's already. Its task goes on, for the cache. */
bool fill_cancel_locked(struct fills *f, struct node *node, struct fill_wait *wait)
{
	bool waited = node->locked.fill && take_out(&node->locked.fill->waits, wait);

	if (!waited) {
		lock_take(&f->lock);
		waited = take_out(&f->locked.late, wait);
		lock_drop(&f->lock);
	}
	return waited;
}

bool fill_proved_locked(const struct node *node)
{
	return !node->locked.fill || !fill_check_due_locked(node->locked.fill, node);
}

struct blocked {
	struct fill_wait wait;
	struct lock lock;
	struct wakeup answered;
	bool done;
};

static void unblock(struct fill_wait *wait, int error)
{
	struct blocked *b = container_of(wait, struct blocked, wait);

	lock_take(&b->lock);
	b->wait.error = error;
	b->done = true;
	wakeup_one(&b->answered);
	lock_drop(&b->lock);
}

int fill_wait_for(struct fills *f, struct node *node, uint64_t start, uint64_t end)
{
	struct blocked b = { .wait = { .start = start, .end = end, .done = unblock } };

	lock_init(&b.lock);
	wakeup_init(&b.answered);
	lock_take(&node->lock);
	b.wait.proved = start == 0 && end >= node->locked.size;
	int error = want_locked(f, node, &b.wait);
	lock_drop(&node->lock);
	if (error == -EINPROGRESS) {
		lock_take(&b.lock);
		while (!b.done)
			wakeup_wait(&b.answered, &b.lock);
		lock_drop(&b.lock);
		error = b.wait.error;
	}
	wakeup_destroy(&b.answered);
	lock_destroy(&b.lock);
	return error;
}
