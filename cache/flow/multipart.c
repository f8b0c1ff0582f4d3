/* Multipart uploads: the PUT of a version by one, its making and its end.
 *
 * So that none is ever forgotten in the bucket (it would cost storage that nobody sees):
 *
 *     1  record {blob, key, no id}, and a checkpoint that covers it
 *     2  bucket_upload_create
 *     3  record {blob, key, id}
 *     4  parts, in any order, by all workers
 *     5  bucket_upload_complete, if the wish is still the same      or: bucket_upload_abort
 *     6  the settling transaction deletes the record                    a transaction that deletes the record
 *
 * Killed or cut off between 1 and 3, the record has no id: what became of it is found out by its key (leftover.c), before 2
 * is tried again, or by the next process. Killed later: aborted by its id. Until all that was found at the start is
 * cleared up, no other upload is begun, so that nothing new can be taken for old. */
#include <errno.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "checkpoint.h"
#include "stream_internal.h"

enum { COVER_MS = 60000, TRIES_MAX = 3 };
#define PART_GRAIN (UINT64_C(1) << 20)

/* -- the record -- */

static int record_put(struct sends *s, const struct stream *st, uint64_t *at)
{
	AUTO_ABORT struct txn *txn = NULL;
	struct upload_record record = {.blob = st->blob, .since_ns = clock_wall_ns()};

	memcpy(record.key, st->key, sizeof(record.key));
	memcpy(record.id, st->id, sizeof(record.id));
	int r = txn_begin_write(s->flow->index, &txn);
	if (r)
		return r;
	*at = txn_id(txn);
	r = uploads_put(txn, &record);
	if (!r)
		r = txn_commit(&txn);
	checkpoint_kick(s->flow->checkpoints);
	return r;
}

int multipart_record_delete(struct sends *s, uint64_t blob)
{
	AUTO_ABORT struct txn *txn = NULL;
	int r = txn_begin_write(s->flow->index, &txn);
	if (!r)
		r = uploads_delete(txn, blob);
	if (r == -ENOENT)
		return 0;
	if (!r)
		r = txn_commit(&txn);
	checkpoint_kick(s->flow->checkpoints);
	return r;
}

/* -- making and aborting, by stream.c -- */

struct making {
	struct upload_doubt doubt;
	struct sends *s;
	struct stream *st;
};

static int settle_unknown(struct sends *s, struct stream *st)
{
	st->late = true;
	int r = leftover_unknown(s, st->key, st->since_ns);
	if (!r)
		st->unsure = false;
	return r;
}

static int settle_doubt(struct upload_doubt *doubt)
{
	struct making *m = container_of(doubt, struct making, doubt);
	int r = settle_unknown(m->s, m->st);
	if (r && !stream_is_for_later(r)) /* uploads may not be listed, say: no reason not to send */
		r = 0;
	doubt->unsure = r != 0;
	return r;
}

static int create(struct sends *s, struct stream *st, char id[UPLOAD_ID_BYTES])
{
	struct making m = {{false, settle_doubt}, s, st};
	if (!st->since_ns)
		st->since_ns = clock_wall_ns();
	int r = bucket_upload_create(s->flow->bucket, st->key, st->with_attrs ? &st->attrs : NULL, &m.doubt, id);
	st->unsure = m.doubt.unsure;
	st->late |= st->unsure;
	send_answer(s, r, st->key);
	return r;
}

int multipart_make(struct sends *s, struct stream *st)
{
	uint64_t at;
	int r = st->unsure ? settle_unknown(s, st) : 0;
	if (stream_is_for_later(r)) {
		send_answer(s, r, st->key);
		return r;
	}
	r = record_put(s, st, &at);
	if (!r)
		r = checkpoint_wait(s->flow->checkpoints, at, clock_ms() + COVER_MS);
	if (r) {
		send_index_failed(s, r);
		return -ECANCELED; /* later, with no fault of its own */
	}
	char id[UPLOAD_ID_BYTES] = "";
	r = create(s, st, id);
	if (r)
		return r;
	memcpy(st->id, id, sizeof(id));
	r = record_put(s, st, &at);
	if (r)
		send_index_failed(s, r);
	return 0; /* with or without the record: the first one makes us look for it */
}

/* A create that was never answered may have taken effect since. */
static int look_again(struct sends *s, struct stream *st)
{
	int r = st->late || st->unsure ? leftover_unknown(s, st->key, st->since_ns) : 0;
	if (!r)
		st->late = st->unsure = false;
	return r;
}

/* Gives up after TRIES_MAX refusals: then the record stays, and the next start tries again. */
int multipart_abort(struct sends *s, struct stream *st)
{
	int r = st->id[0] ? bucket_upload_abort(s->flow->bucket, st->key, st->id) : 0;
	if (!r)
		r = look_again(s, st);
	if (stream_is_for_later(r))
		send_answer(s, r, st->key);
	if (r && ++st->tries < TRIES_MAX)
		return r;
	if (r) {
		log_warn("send: an unfinished upload cannot be aborted, it is left for the next start key=%s error=%s "
			 "why=%s", st->key, strerror(-r), bucket_why());
		return 0;
	}
	r = multipart_record_delete(s, st->blob);
	if (r)
		send_index_failed(s, r);
	return 0;
}

/* -- the PUT of a version -- */

static struct stream *stream_new(struct sends *s, const struct put_job *job, struct open_blob *open,
				 struct node *node)
{
	struct stream *st = calloc(1, sizeof(*st));
	uint64_t size = job->node.size, least = (size + STREAM_PARTS_MAX - 1) / STREAM_PARTS_MAX;

	if (!st)
		return NULL;
	st->part_size = s->flow->config.part_size_bytes;
	if (st->part_size < least)
		st->part_size = (least + PART_GRAIN - 1) / PART_GRAIN * PART_GRAIN;
	st->node = node_hold(node);
	st->open = open_blob_get(open);
	st->blob = open->id;
	st->with_attrs = job->with_attrs;
	st->attrs = job->attrs;
	memcpy(st->key, job->wish.key, sizeof(st->key));
	return st;
}

/* The blob's stream becomes ours, or *fresh does; NULL: another upload of the blob must end first. */
static struct stream *own_locked(struct sends *s, const struct put_job *job, struct stream **fresh)
	REQUIRES(&s->lock);
static struct stream *own_locked(struct sends *s, const struct put_job *job, struct stream **fresh)
{
	struct stream *st = stream_find_locked(s, job->node.blob);
	if (st && !st->owned && strcmp(st->key, job->wish.key)) {
		st->broken = true; /* renamed since */
		wakeup_all(&s->work);
	}
	if (st && (st->owned || st->broken))
		return NULL;
	if (!st) {
		if (!leftover_none_locked(s))
			return NULL;
		st = *fresh;
		*fresh = NULL;
		list_append(&s->locked.streams, &st->link);
	}
	st->owned = true;
	st->sealed = true;
	st->end = job->node.size;
	st->first = 0;
	return st;
}

static int own(struct sends *s, const struct put_job *job, struct open_blob *open, struct stream **out)
{
	struct node *node;
	int r = node_get(s->flow->nodes, job->node.ino, &node);
	if (r)
		return r == -ENOENT ? -EAGAIN : r;
	struct stream *fresh = stream_new(s, job, open, node);
	*out = NULL;
	if (fresh) {
		lock_take(&node->lock);
		lock_take(&s->lock);
		*out = own_locked(s, job, &fresh);
		lock_drop(&s->lock);
		/* what is written from now on is another version's */
		if (node->locked.stream && node->locked.stream->blob == job->node.blob)
			node->locked.stream = NULL;
		lock_drop(&node->lock);
		r = *out ? 0 : -EBUSY;
	} else {
		r = -ENOMEM;
	}
	if (fresh)
		stream_free(&fresh);
	node_put(&node);
	return r;
}

/* Sends parts until all are there. */
static int finish_parts(struct sends *s, struct stream *st)
{
	struct stream_task task;
	int r = -EAGAIN;

	lock_take(&s->lock);
	while (r == -EAGAIN) {
		if (s->locked.stop || s->locked.cancelled) {
			r = -ECANCELED;
		} else if (st->broken) {
			r = st->running ? r : st->error ? st->error : -EIO;
		} else if (s->locked.mode == SEND_STOPPED) {
			r = s->locked.error;
		} else if (clock_ms() < s->locked.pause_ms) {
			r = -EBUSY;
		} else if (stream_task_locked(s, st, &task)) {
			lock_drop(&s->lock);
			stream_run(s, &task);
			lock_take(&s->lock);
		} else if (!st->running && !st->broken) {
			r = 0;
		}
		if (r == -EAGAIN && st->running)
			wakeup_wait(&s->work, &s->lock);
	}
	lock_drop(&s->lock);
	return r;
}

static int complete(struct sends *s, const struct stream *st, struct object *out)
{
	uint64_t bytes, start = 0;
	unsigned count = 0;
	/* owned, sealed and with nothing running: nobody else touches the parts */
	while ((start = stream_part_start(st, count, &bytes)) < st->end)
		count++;
	struct part *parts = calloc(count, sizeof(*parts));
	if (!parts)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++) {
		parts[i].number = i + 1;
		memcpy(parts[i].etag, st->parts[i].etag, sizeof(parts[i].etag));
	}
	const struct complete_request request = {st->key, st->id, parts, count, st->end};
	int r = bucket_upload_complete(s->flow->bucket, &request, out);
	free(parts);
	return r;
}

/* The bucket or the index is out of order: it stays as it is, for the next claim. Else it is aborted. */
static void let_go(struct sends *s, struct stream *st, int r)
{
	lock_take(&s->lock);
	st->owned = false;
	if (!send_concerns_bucket(r) && r != -ECANCELED && r != -EBUSY)
		st->broken = true;
	send_again_locked(s);
	lock_drop(&s->lock);
}

int multipart_put(struct sends *s, struct put_job *job, struct open_blob *open, struct object *out)
{
	struct stream *st;
	bool wanted = true;
	int r = own(s, job, open, &st);
	if (r)
		return r;
	job->attrs = st->attrs;
	r = finish_parts(s, st);
	if (!r)
		r = send_still_wanted(s, job, &wanted);
	if (!r && !wanted)
		r = -EAGAIN; /* it is broken, and the job looked at again */
	if (!r) {
		r = complete(s, st, out);
		job->bucket_failed = r != 0;
		send_answer(s, r, st->key);
	}
	if (r) {
		let_go(s, st, r);
		return r;
	}
	if (look_again(s, st))
		log_debug("send: whether an upload is left is seen at the next start key=%s", st->key);
	job->done = st;
	return 0;
}

int multipart_settle(struct txn *txn, const struct stream *done)
{
	struct upload_record record = {.blob = done->blob, .since_ns = done->since_ns};
	int r = uploads_delete(txn, done->blob);
	if (r)
		return r == -ENOENT ? 0 : r;
	memcpy(record.key, done->key, sizeof(record.key));
	return done->late ? uploads_put(txn, &record) : 0;
}

void multipart_done(struct sends *s, struct put_job *job)
{
	struct stream *st = job->done;
	if (!st)
		return;
	job->done = NULL;
	lock_take(&s->lock);
	list_remove(&st->link);
	send_again_locked(s);
	lock_drop(&s->lock);
	stream_free(&st);
}

void multipart_close(struct sends *s)
{
	struct list *l;
	leftover_close(s);
	while ((l = list_shift(&s->locked.streams))) {
		struct stream *st = container_of(l, struct stream, link);
		stream_free(&st);
	}
}
