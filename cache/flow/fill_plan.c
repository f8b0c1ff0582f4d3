/* Which ranges to ask the bucket for. No I/O: it looks at what is present and at what tasks are under way.
 *
 *   small (up to FILL_WHOLE_MAX)   all that is missing around the wanted byte: normally the whole object
 *   brought wrong bytes before     the same
 *   large, waited for              from the wanted byte, aligned down, over a window that grows with the unbroken run of
 *                                  bytes in front of it: after a seek there is no run and the window is small
 *   large, readahead               chunks up to `window` bytes after the reader, where window is the run behind it
 *
 * The run is read off the present ranges, so that nothing has to be remembered about readers: a reader who goes on in
 * order has twice its distance present or on the way each time, which is the doubling; several readers of one file
 * have a run each.
 *
 * Tasks of a node never overlap. A wanted byte that a task will bring joins it, and a readahead task that is joined
 * goes over to the urgent queue. */
#include "fill_internal.h"

#include <string.h>

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
	return value < low ? low : min_u64(value, high);
}

/* The range that begins last at or before `at`, or NULL. */
static const struct range *range_before(const struct ranges *r, uint64_t at)
{
	size_t low = 0, high = r->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (r->items[middle].start <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &r->items[low - 1] : NULL;
}

/* Bytes present without a break up to `at`. */
static uint64_t run_before(const struct ranges *r, uint64_t at)
{
	const struct range *range = range_before(r, at);

	return range && range->end >= at ? at - range->start : 0;
}

/* Whatever is under way for a content that the node no longer has brings nothing. */
static struct fill_task *task_at(struct fill *fill, const struct node *node, uint64_t at)
{
	for (size_t i = 0; i < FILL_TASKS; i++) {
		struct fill_task *task = &fill->tasks[i];
		if (task->busy && task->start <= at && at < task->end &&
		    fill_task_current(task, node))
			return task;
	}
	return NULL;
}

static struct fill_task *task_free(struct fill *fill, bool ahead)
{
	struct fill_task *found = NULL;
	unsigned busy = 0;

	for (size_t i = 0; i < FILL_TASKS; i++) {
		if (fill->tasks[i].busy)
			busy++;
		else
			found = &fill->tasks[i];
	}
	return ahead && busy >= FILL_TASKS_AHEAD ? NULL : found;
}

/* The missing bytes around `at` that no task will bring. */
static struct range gap_around(struct fill *fill, const struct node *node, uint64_t at)
{
	const struct ranges *present = &node->locked.present;
	const struct range *before = range_before(present, at);
	const struct range *after = before ? before + 1 : present->items;
	struct range gap = { before ? before->end : 0, node->locked.size };

	if (present->count && after < present->items + present->count)
		gap.end = min_u64(gap.end, after->start);
	for (size_t i = 0; i < FILL_TASKS; i++) {
		const struct fill_task *task = &fill->tasks[i];
		if (!task->busy || !fill_task_current(task, node))
			continue;
		if (task->end <= at && task->end > gap.start)
			gap.start = task->end;
		if (task->start > at && task->start < gap.end)
			gap.end = task->start;
	}
	return gap;
}

static void task_make(struct fill_task *task, const struct node *node, struct range range, bool ahead)
{
	task->busy = true;
	task->ahead = ahead;
	task->outdated = false;
	task->check = task->held = false;
	task->whole = range.start == 0 && range.end == node->locked.size;
	task->start = task->at = range.start;
	task->end = range.end;
	task->version = node->locked.version;
	memcpy(task->etag, node->locked.etag, sizeof(task->etag));
	fill_queue(task, ahead);
}

/* Cuts the gap around `at` to length bytes from about `at`; a small rest goes along. */
static struct range cut(struct range gap, uint64_t at, uint64_t length)
{
	uint64_t start = at & ~(uint64_t)(FILL_ALIGN - 1);
	uint64_t end = (at + length + FILL_ALIGN - 1) & ~(uint64_t)(FILL_ALIGN - 1);

	if (start > gap.start)
		gap.start = start;
	if (gap.end > end && gap.end - end > 2 * FILL_ALIGN)
		gap.end = end;
	return gap;
}

static void want_from(struct fill_task *task, const struct node *node, uint64_t at, uint64_t end)
{
	struct range gap = gap_around(task->fill, node, at);

	if (node->locked.size > FILL_WHOLE_MAX && !fill_is_suspect(task->fill->fills, node_ino(node))) {
		uint64_t least = at < FILL_ALIGN ? FILL_FIRST : FILL_SEEK;
		uint64_t window = clamp(run_before(&node->locked.present, at), least, FILL_TASK_MAX);
		gap = cut(gap, at, clamp(end - at, window, FILL_TASK_MAX));
	}
	task_make(task, node, gap, false);
}

/* False: no task is free. */
static bool plan_wait(struct fill *fill, struct node *node, const struct fill_wait *wait, bool all)
{
	uint64_t at = wait->start;
	struct range gap;

	while (ranges_gap(&node->locked.present, at, wait->end, &gap)) {
		struct fill_task *task = task_at(fill, node, gap.start);
		if (!task) {
			task = task_free(fill, false);
			if (!task)
				return false;
			want_from(task, node, gap.start, wait->end);
		} else if (task->ahead) {
			task->ahead = false;
			fill_promote(task);
		}
		if (!all)
			break;
		at = task->end;
	}
	return true;
}

/* First one task for each waiter, so that one who wants the whole file does not keep the others waiting. */
void fill_plan_locked(struct fill *fill, struct node *node)
{
	for (int all = 0; all < 2; all++) {
		for (struct list *l = fill->waits.next; l != &fill->waits; l = l->next) {
			struct fill_wait *wait = container_of(l, struct fill_wait, link);
			if (!plan_wait(fill, node, wait, all))
				return;
		}
	}
}

bool fill_needed(const struct node *node, uint64_t start, uint64_t end)
{
	return node->locked.content == CONTENT_REMOTE && !node->locked.draft && !node->locked.gone &&
	       !node_covers_locked(node, start, end);
}

/* The next byte from `at` on that is neither present nor on the way, or `end`. */
static uint64_t next_missing(struct fill *fill, const struct node *node, uint64_t at, uint64_t end)
{
	struct range gap;

	while (ranges_gap(&node->locked.present, at, end, &gap)) {
		struct fill_task *task = fill ? task_at(fill, node, gap.start) : NULL;
		if (!task)
			return gap.start;
		at = task->end;
	}
	return end;
}

void fill_ahead_locked(struct fills *f, struct node *node, uint64_t start, uint64_t end)
{
	uint64_t size = node->locked.size;

	(void)start;
	if (size <= FILL_WHOLE_MAX || end >= size || !fill_needed(node, end, size) || f->stopping)
		return;
	uint64_t window = clamp(run_before(&node->locked.present, end), FILL_SEEK / 2, FILL_AHEAD_MAX);
	uint64_t chunk = clamp(window / FILL_TASKS, FILL_SEEK, FILL_TASK_MAX);
	uint64_t limit = min_u64(size, end + window);

	for (;;) {
		uint64_t at = next_missing(node->locked.fill, node, end, limit);
		if (at >= limit)
			return;
		struct fill *fill = fill_get_locked(f, node);
		struct fill_task *task = fill ? task_free(fill, true) : NULL;
		if (!task)
			return;
		task_make(task, node, cut(gap_around(fill, node, at), at, chunk), true);
	}
}
