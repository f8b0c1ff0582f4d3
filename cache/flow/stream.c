/* Multipart uploads: their parts, and those that are begun while the file is still being written.
 *
 *     NEW ── a worker: record in the index, bucket_upload_create, record again ──> MAKING ──> MADE
 *     MADE: any worker takes the next part below `end` that is not done
 *     broken, not owned, nothing running: a worker aborts it (ABORTING), deletes the record, and it is gone
 *
 * There is at most one for a blob. It belongs to a blob, not to a version: parts are bytes of that blob below `end`, which do
 * not change. The PUT of a version (multipart.c) finds it by its blob, owns it, and seals it: `end` becomes the size of that
 * version. A part that reached beyond is then sent again, shorter; S3 takes the last part of a number. After a failure
 * of the whole bucket the owner lets go, and the next claim goes on where it stopped.
 *
 * node->locked.stream points to one as long as it can still grow. It holds a reference of the node, and clears that
 * pointer (node.lock) before it is freed; so who holds node.lock may use the pointer. When the file is renamed, replaced or
 * deleted, nobody tells: the claim of the new key finds it by its blob and gives it up, and stream_review() at the end of each
 * round of the table those that no claim will come for.
 *
 * Part sizes: all parts but the last are equal (some servers insist), as large as 10,000 parts need. Of a file that is still
 * growing the size is not known: equal parts up to part 4,000, then twice the size every 500 parts, up to 5 GiB. */
#include <errno.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "stream_internal.h"

enum { EQUAL_PARTS = 4000, DOUBLE_EVERY = 500, FAILS_MAX = 3 };
#define PART_BYTES_MAX (UINT64_C(5) << 30)

uint64_t stream_part_start(const struct stream *st, unsigned part, uint64_t *bytes)
{
	uint64_t start = 0, size = st->part_size;
	unsigned group = st->growing ? EQUAL_PARTS : STREAM_PARTS_MAX;
	while (part >= group) {
		start += group * size;
		part -= group;
		group = DOUBLE_EVERY;
		size = size * 2 < PART_BYTES_MAX ? size * 2 : PART_BYTES_MAX;
	}
	*bytes = size;
	return start + part * size;
}

struct stream *stream_find_locked(struct sends *s, uint64_t blob)
{
	for (struct list *l = s->locked.streams.next; l != &s->locked.streams; l = l->next) {
		struct stream *st = container_of(l, struct stream, link);
		if (st->blob == blob)
			return st;
	}
	return NULL;
}

void stream_free(struct stream **stream)
{
	struct stream *st = *stream;
	*stream = NULL;
	lock_take(&st->node->lock);
	if (st->node->locked.stream == st)
		st->node->locked.stream = NULL;
	lock_drop(&st->node->lock);
	node_put(&st->node);
	open_blob_put(&st->open);
	free(st->parts);
	free(st);
}

/* -- tasks -- */

static bool parts_grow(struct stream *st, unsigned count)
{
	if (count <= st->parts_space)
		return true;
	unsigned space = st->parts_space ? st->parts_space * 2 : 16;
	space = space < count ? count : space;
	struct stream_part *parts = realloc(st->parts, space * sizeof(*parts));
	if (!parts)
		return false;
	memset(parts + st->parts_space, 0, (space - st->parts_space) * sizeof(*parts));
	st->parts = parts;
	st->parts_space = space;
	return true;
}

static void break_it(struct stream *st, int error)
{
	st->broken = true;
	if (!st->error)
		st->error = error;
}

/* The next part that can be sent and is not, or is but reached beyond what has become the end. */
static bool part_task(struct stream *st, struct stream_task *task)
{
	for (unsigned i = st->first; i < STREAM_PARTS_MAX; i++) {
		task->start = stream_part_start(st, i, &task->bytes);
		if (task->start >= st->end || (!st->sealed && task->start + task->bytes > st->end))
			return false;
		if (task->bytes > st->end - task->start)
			task->bytes = st->end - task->start;
		if (!parts_grow(st, i + 1)) {
			break_it(st, -ENOMEM);
			return false;
		}
		const struct stream_part *part = &st->parts[i];
		if (part->state == PART_TODO || (part->state == PART_DONE && part->bytes != task->bytes)) {
			task->kind = TASK_PART;
			task->part = i;
			return true;
		}
		if (i == st->first)
			st->first++;
	}
	uint64_t bytes;
	if (st->end > stream_part_start(st, STREAM_PARTS_MAX, &bytes))
		break_it(st, -EFBIG);
	return false;
}

static bool task_of(struct stream *st, struct stream_task *task)
{
	task->stream = st;
	if (st->broken) {
		task->kind = TASK_ABORT;
		return !st->owned && !st->running && st->state != STREAM_MAKING && st->state != STREAM_ABORTING;
	}
	if (st->state == STREAM_NEW) {
		task->kind = TASK_MAKE;
		return true;
	}
	return st->state == STREAM_MADE && part_task(st, task);
}

static bool take_locked(struct sends *s, struct stream *st, struct stream_task *task) REQUIRES(&s->lock);
static bool take_locked(struct sends *s, struct stream *st, struct stream_task *task)
{
	if (!task_of(st, task))
		return false;
	if (task->kind == TASK_MAKE)
		st->state = STREAM_MAKING;
	else if (task->kind == TASK_ABORT)
		st->state = STREAM_ABORTING;
	else
		st->parts[task->part].state = PART_RUNNING;
	st->running++;
	/* next time others first */
	list_remove(&st->link);
	list_append(&s->locked.streams, &st->link);
	return true;
}

bool stream_task_locked(struct sends *s, struct stream *only, struct stream_task *out)
{
	if (only)
		return take_locked(s, only, out);
	if (leftover_task_locked(s, out))
		return true;
	for (struct list *l = s->locked.streams.next; l != &s->locked.streams; l = l->next)
		if (take_locked(s, container_of(l, struct stream, link), out))
			return true;
	return false;
}

static int send_part(struct sends *s, const struct stream_task *task, struct part *out)
{
	const struct stream *st = task->stream;
	struct part_request request = {
		.key = st->key,
		.id = st->id,
		.number = task->part + 1,
		.fd = st->open->fd,
		.offset = task->start,
		.length = task->bytes,
	};
	int r = bucket_upload_part(s->flow->bucket, &request, out);
	send_answer(s, r, st->key);
	return r;
}

/* A failure of the whole bucket leaves everything as it is, to go on later; but one that nobody has claimed yet and that
 * fails again and again may be refused for its key alone, and must not stop others. */
static void note_failure_locked(struct sends *s, struct stream *st, int error) REQUIRES(&s->lock);
static void note_failure_locked(struct sends *s, struct stream *st, int error)
{
	(void)s;
	if (error == -ECANCELED || (send_concerns_bucket(error) && (st->owned || ++st->fails < FAILS_MAX)))
		return;
	break_it(st, error);
}

static void run_part(struct sends *s, const struct stream_task *task)
{
	struct stream *st = task->stream;
	struct part sent = {0};
	int r = send_part(s, task, &sent);

	lock_take(&s->lock);
	struct stream_part *part = &st->parts[task->part];
	part->state = r ? PART_TODO : PART_DONE;
	part->bytes = task->bytes;
	memcpy(part->etag, sent.etag, sizeof(part->etag));
	if (r == 0)
		s->locked.stats.bytes += task->bytes;
	else
		note_failure_locked(s, st, r);
	if (r || st->sealed) /* sealed meanwhile, it may be too long */
		st->first = task->part < st->first ? task->part : st->first;
	st->running--;
	wakeup_all(&s->work);
	lock_drop(&s->lock);
}

static void run_make(struct sends *s, struct stream *st)
{
	int r = multipart_make(s, st);

	lock_take(&s->lock);
	st->state = r ? STREAM_NEW : STREAM_MADE;
	if (r)
		note_failure_locked(s, st, r);
	st->running--;
	wakeup_all(&s->work);
	lock_drop(&s->lock);
}

static void run_abort(struct sends *s, struct stream *st)
{
	int r = multipart_abort(s, st);

	lock_take(&s->lock);
	st->running--;
	if (r)
		st->state = st->id[0] ? STREAM_MADE : STREAM_NEW;
	else
		list_remove(&st->link);
	send_again_locked(s); /* a claim may wait for the blob */
	lock_drop(&s->lock);
	if (!r)
		stream_free(&st);
}

void stream_run(struct sends *s, const struct stream_task *task)
{
	if (task->kind == TASK_LEFTOVER)
		leftover_run(s, task->leftover);
	else if (task->kind == TASK_MAKE)
		run_make(s, task->stream);
	else if (task->kind == TASK_ABORT)
		run_abort(s, task->stream);
	else
		run_part(s, task);
}

/* -- while the file is being written -- */

static bool may_begin(struct sends *s, uint64_t blob)
{
	unsigned count = 0;
	lock_take(&s->lock);
	for (struct list *l = s->locked.streams.next; l != &s->locked.streams; l = l->next)
		count++;
	bool may = count < STREAMS_MAX && s->locked.mode == SEND_RUNS && !s->locked.stop &&
		   leftover_none_locked(s) && !stream_find_locked(s, blob);
	lock_drop(&s->lock);
	return may;
}

/* Is it to be sent under a name that will last? */
static bool read_key(struct sends *s, struct node *node, struct stream *st)
{
	AUTO_ABORT struct txn *txn = NULL;
	struct node_record record;
	int r = txn_begin_look(s->flow->index, &txn);
	if (!r)
		r = nodes_get(txn, node_ino(node), &record);
	if (r || (record.flags & NODE_ORPHAN) || record.name[0] == '.')
		return false;
	send_attrs_of(&record, &st->attrs);
	return nodes_key(txn, node_ino(node), st->key) == 0;
}

static void begin_locked(struct sends *s, struct node *node, uint64_t end) REQUIRES(&node->lock);
static void begin_locked(struct sends *s, struct node *node, uint64_t end)
{
	struct stream *st = NULL;
	/* what is not sent as a stream is sent later: no error here is one */
	if (node->locked.orphan || !may_begin(s, node->locked.blob) || node_open_blob_locked(node))
		return;
	st = calloc(1, sizeof(*st));
	if (!st || !read_key(s, node, st)) {
		free(st);
		return;
	}
	st->node = node_hold(node);
	st->open = open_blob_get(node->locked.open);
	st->blob = node->locked.blob;
	st->part_size = s->flow->config.part_size_bytes;
	st->growing = true;
	st->with_attrs = s->flow->config.attrs_object;
	st->end = end;
	lock_take(&s->lock);
	list_append(&s->locked.streams, &st->link);
	wakeup_all(&s->work);
	lock_drop(&s->lock);
	node->locked.stream = st;
}

void stream_written_locked(struct sends *s, struct node *node, uint64_t end)
{
	struct stream *st = node->locked.stream;
	uint64_t part_size = s->flow->config.part_size_bytes;

	if (st && st->blob != node->locked.blob) {
		stream_break_locked(s, node);
		st = NULL;
	}
	if (!st) {
		if (end > 2 * part_size && !s->flow->config.read_only)
			begin_locked(s, node, end);
		return;
	}
	lock_take(&s->lock);
	bool more = end / part_size > st->end / part_size;
	if (end > st->end)
		st->end = end;
	if (more)
		wakeup_all(&s->work);
	lock_drop(&s->lock);
}

void stream_break_locked(struct sends *s, struct node *node)
{
	struct stream *st = node->locked.stream;
	if (!st)
		return;
	node->locked.stream = NULL;
	lock_take(&s->lock);
	break_it(st, -ECANCELED);
	wakeup_all(&s->work);
	lock_drop(&s->lock);
}

/* -- those that nobody will come for -- */

static bool is_stale(struct stream *st)
{
	struct node *node = st->node;
	lock_take(&node->lock);
	bool written = node->locked.draft && node->locked.blob == st->blob;
	bool published = node->locked.published_blob == st->blob && node->locked.content == CONTENT_DIRTY;
	bool stale = node->locked.gone || node->locked.orphan || (!written && !published);
	if (stale && node->locked.stream == st)
		node->locked.stream = NULL;
	lock_drop(&node->lock);
	return stale;
}

void stream_review(struct sends *s)
{
	struct stream *found[STREAMS_MAX];
	unsigned count = 0;

	lock_take(&s->lock);
	for (struct list *l = s->locked.streams.next; l != &s->locked.streams && count < STREAMS_MAX; l = l->next) {
		struct stream *st = container_of(l, struct stream, link);
		if (st->owned || st->broken)
			continue;
		st->running++; /* so that it stays */
		found[count++] = st;
	}
	lock_drop(&s->lock);
	for (unsigned i = 0; i < count; i++) {
		bool stale = is_stale(found[i]);
		lock_take(&s->lock);
		found[i]->running--;
		if (stale && !found[i]->owned)
			break_it(found[i], -ECANCELED);
		wakeup_all(&s->work);
		lock_drop(&s->lock);
	}
}
